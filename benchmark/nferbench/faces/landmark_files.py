"""Landmark files beside a data set's images, for readers that pair or crop by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from nferbench.contract.dataset import Face, FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.detected import largest
from nferbench.datasets.table import inside
from nferbench.machine.cores import mapped


@dataclass(frozen=True)
class Written:
    """What became of the faces of a data set."""

    folder: str  # below the folder that the data set's files are relative to
    found: int
    missing: tuple[str, ...]  # ids of faces that were not found or not read; their landmarks are NaN
    kept: int  # files that were there already


def write_landmarks(
    dataset: FaceDataset, detector: FaceDetector, root: Path | None, progress: Callable[[int, int], None]
) -> Written:
    """Find every listed face and write its landmarks to `landmarks-<detector>/<path of the image>.npy`.

    Files that are there already are kept, so that an interrupted call goes on where it was. In a picture with several
    faces the largest is meant; one without a face gets NaN.

    Args:
        dataset: whose faces to find.
        detector: finds them; must find landmarks.
        root: the data root.
        progress: called with (faces done, faces in all), from one thread at a time.

    Raises:
        UsageError: a detector of boxes only; a data set without files.
    """
    if not detector.points:
        raise UsageError(f"detector '{detector.name}' finds no landmarks; choose another (nferbench detectors)")
    base, faces = dataset.base(root), dataset.listing(root).faces
    if base is None or not all(face.files for face in faces):
        raise UsageError(f"data set '{dataset.name}' has no files that landmarks could lie beside; give --data-root")
    folder = f"landmarks-{detector.name}"

    def write(face: Face) -> bool | None:
        path = base / inside(base, str(PurePosixPath(folder, face.files[0]).with_suffix(".npy")))
        if path.is_file():
            return None
        try:
            found = largest(detector, dataset.load(face, root, 0).pixels).landmarks
        except DataError:
            found = None
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        with aside.open("wb") as file:
            np.save(file, np.full((detector.points, 2), np.nan, np.float32) if found is None else found)
        aside.replace(path)
        return found is not None

    outcomes = []
    for outcome in mapped(write, faces):
        outcomes.append(outcome)
        progress(len(outcomes), len(faces))
    missing = tuple(face.id for face, outcome in zip(faces, outcomes, strict=True) if outcome is False)
    return Written(folder, outcomes.count(True), missing, outcomes.count(None))
