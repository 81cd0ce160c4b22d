"""Prepared faces as they lie in the workspace: arrays that need no decoding, and who each row is."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from nferbench.contract.dataset import Dropped, Face, Modality
from nferbench.contract.errors import DataError
from nferbench.contract.printable import from_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PreparedFaces:
    """The faces of a prepared data set; row i of each array belongs to `faces[i]`."""

    images: NDArray[np.uint8]  # (N, S, S, 3) RGB, NIR as three equal channels; mapped from disk, read-only
    landmarks: NDArray[np.float32] | None  # (N, K, 2) x, y in pixels, NaN where missing; None without landmarks
    faces: tuple[Face, ...]  # sorted by id; without files and box


def read_prepared(folder: Path) -> PreparedFaces:
    """Open what `prepare` wrote; the images stay on disk until they are indexed.

    Raises:
        DataError: a file is missing or damaged, or the files do not belong together.
    """
    try:
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        has_landmarks = (folder / "landmarks.npy").is_file()
        landmarks = np.load(folder / "landmarks.npy", allow_pickle=False) if has_landmarks else None
        with (folder / "faces.csv").open(newline="", encoding="utf-8") as file:
            faces = tuple(_stored_face(row) for row in csv.DictReader(file))
    except (OSError, ValueError, EOFError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder}: prepared faces are damaged ({error}); delete the folder to prepare again") from None
    if images.ndim != 4 or len(images) != len(faces) or (landmarks is not None and len(landmarks) != len(faces)):
        raise DataError(f"{folder}: prepared faces do not belong together; delete the folder to prepare again")
    return PreparedFaces(images, landmarks, faces)


def read_dropped(folder: Path) -> tuple[Dropped, ...]:
    """What `prepare` left out, and why.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with (folder / "dropped.csv").open(newline="", encoding="utf-8") as file:
            return tuple(Dropped(from_cell(row["what"]), from_cell(row["reason"])) for row in csv.DictReader(file))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder / 'dropped.csv'} is damaged ({error}); delete the folder to prepare again") from None


def rows_of(prepared: PreparedFaces, modality: Modality, subjects: Collection[str]) -> NDArray[np.int64]:
    """The rows of all faces of a modality and of these subjects, in order."""
    subjects = set(subjects)
    chosen = (row for row, face in enumerate(prepared.faces) if face.modality == modality and face.subject in subjects)
    return np.fromiter(chosen, np.int64)


def pairs(prepared: PreparedFaces, subjects: Collection[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the VIS and of the NIR faces of all pairs of these subjects; equal places are a pair."""
    faces = prepared.faces
    partner = {face.pair: row for row, face in enumerate(faces) if face.modality == "nir" and face.pair}
    vis = [int(row) for row in rows_of(prepared, "vis", subjects) if faces[row].pair in partner]
    return np.array(vis, np.int64), np.array([partner[faces[row].pair] for row in vis], np.int64)


def _stored_face(row: dict[str, str]) -> Face:
    row = {name: from_cell(text) for name, text in row.items()}
    modality = cast(Modality, row["modality"])
    return Face(row["id"], modality, row["subject"], row["expression"], row["pair"], split=row["split"])
