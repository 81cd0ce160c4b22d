"""Faces as a folder of PNG files with a table of what they are; nothing that is there is written over."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
from PIL import Image, UnidentifiedImageError

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import cell, one_line
from nferbench.workspace.files import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE = "faces.csv"


@final
@dataclass(frozen=True)
class Picture:
    """A face that is to be a file."""

    file: str  # path below the folder, POSIX form
    images: NDArray[np.uint8]  # (N, S, S, 3) RGB, of which it is one
    row: int

    def pixels(self) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.images[self.row])


def write_pictures(out: Path, pictures: Sequence[Picture], table: Sequence[Mapping[str, str]]) -> int:
    """Write each face as an RGB PNG file, then the table as faces.csv.

    Args:
        out: the folder; made if it is not there.
        pictures: the faces; no two with one file.
        table: rows with the same columns, one at least.

    Returns:
        How many faces were not there yet.

    Raises:
        UsageError: a file with other content is in the place of one of these; then nothing is written. Or the folder
            cannot be written.
    """
    text = _csv(table)
    try:
        missing = [picture for picture in pictures if not _is_there(out / picture.file, picture)]
        if (listed := out / TABLE).exists() and listed.read_bytes() != text:
            raise _other(listed)
        for picture in missing:
            path = out / picture.file
            path.parent.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            Image.fromarray(picture.pixels()).save(data, "PNG")
            write_bytes(path, data.getvalue())
        out.mkdir(parents=True, exist_ok=True)
        if not listed.exists():
            write_bytes(listed, text)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        where = one_line(str(error.filename or out))
        raise UsageError(f"{where} cannot be written ({error.strerror}); choose another folder") from None
    return len(missing)


def _is_there(path: Path, picture: Picture) -> bool:
    """Whether a file holds this face already.

    Raises:
        UsageError: it holds something else.
    """
    if not path.exists():
        return False
    try:
        with Image.open(path, formats=["PNG"]) as image:
            same = image.mode == "RGB" and np.array_equal(np.asarray(image), picture.pixels())
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        same = False
    if not same:
        raise _other(path)
    return True


def _other(path: Path) -> UsageError:
    return UsageError(f"{one_line(str(path))} is there with other content; move it away, or choose another folder")


def _csv(table: Sequence[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in table)
    return text.getvalue().encode(errors="backslashreplace")
