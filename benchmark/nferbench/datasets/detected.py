"""A data set whose faces a detector has yet to find."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.dataset import Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import DataError, PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class Detected(FaceDataset):
    """Another data set, with box and landmarks of each picture from a detector instead of from the data.

    Where a picture shows several faces the largest is meant. A picture in which none is found is left out and named,
    as one that cannot be read is, unless it is already the square face: that one is handed on as it is.
    """

    inner: FaceDataset
    detector: FaceDetector

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.inner.title

    def listing(self, root: Path | None) -> Listing:
        return replace(self.inner.listing(root), landmarks=self.detector.points)

    def base(self, root: Path | None) -> Path | None:
        return self.inner.base(root)

    def problems(self, root: Path | None) -> list[str]:
        return self.inner.problems(root)

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        return self.inner.findings(listing, root)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        picture = self.inner.load(face, root, size)
        try:
            found = largest(self.detector, picture.pixels)
        except DataError:
            if picture.cropped:
                return replace(picture, box=None, landmarks=None)
            raise
        return replace(picture, box=found.box, landmarks=found.landmarks)


def largest(detector: FaceDetector, pixels: NDArray[np.uint8]) -> Detection:
    """The largest face in a picture (h, w, 3), which is the one meant.

    Raises:
        DataError: none is found.
        PluginError: the detector returns something else than its contract says.
    """
    found = detector.find(pixels)
    check_detections(detector, found)
    if not found:
        raise DataError(f"no face found by {detector.name}")
    return max(found, key=lambda detection: detection.area)


def check_detections(detector: FaceDetector, found: object) -> None:
    """Hold what a detector returned to its contract.

    Raises:
        PluginError: no tuple of `Detection`; a box that is not four finite numbers; landmarks of another form.
    """
    if not isinstance(found, tuple | list):
        raise PluginError(f"detector '{detector.name}' returned {type(found).__name__}; a tuple of Detection is due")
    for detection in found:
        _check(detector, detection)


def _check(detector: FaceDetector, found: object) -> None:
    import numpy as np

    if not isinstance(found, Detection):
        raise PluginError(f"detector '{detector.name}' found a {type(found).__name__}; Detection is due")
    box = np.asarray(found.box, dtype=object)
    if box.shape != (4,) or not all(isinstance(x, Real) and isfinite(x) for x in box):
        raise PluginError(f"detector '{detector.name}' found the box {found.box!r:.80}; four numbers are due")
    points, due = found.landmarks, (detector.points, 2)
    if points is None:
        return
    if not isinstance(points, np.ndarray) or points.shape != due or points.dtype.kind != "f":
        came = f"{points.dtype} of shape {points.shape}" if isinstance(points, np.ndarray) else type(points).__name__
        raise PluginError(
            f"detector '{detector.name}' found landmarks that are {came}; floating point of shape {due} is due"
        )
