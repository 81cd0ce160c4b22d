"""Translated faces as they lie in the workspace: their pixels, and who each row is."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.contract.printable import from_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TranslatedFaces:
    """The faces of a translation; row i of the array is the translation of `faces[i]`."""

    images: NDArray[np.uint8]  # (N, S, S, 3) RGB; mapped from disk, read-only
    faces: tuple[Face, ...]  # the VIS faces, without files and box


def read_translated(folder: Path) -> TranslatedFaces:
    """Open a stored translation; the images stay on disk until they are indexed.

    Raises:
        DataError: a file is missing or damaged, or the files do not belong together.
    """
    try:
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        with (folder / "faces.csv").open(newline="", encoding="utf-8") as file:
            rows = [{name: from_cell(text) for name, text in row.items()} for row in csv.DictReader(file)]
        faces = tuple(Face(row["id"], "vis", row["subject"], row["expression"], row["pair"]) for row in rows)
    except (OSError, ValueError, EOFError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder}: translated faces are damaged ({error}); start their run again") from None
    if images.ndim != 4 or len(images) != len(faces):
        raise DataError(f"{folder}: translated faces do not belong together; start their run again")
    return TranslatedFaces(images, faces)
