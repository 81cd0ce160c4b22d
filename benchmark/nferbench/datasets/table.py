"""The rows of a manifest: reading the CSV file and finding everything that is wrong with it."""

from __future__ import annotations

import csv
import io
import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import cast

from nferbench.contract.dataset import Face, Modality
from nferbench.contract.errors import DataError
from nferbench.contract.people import plain, spelled_alike
from nferbench.datasets.images import MIN_SIDE
from nferbench.datasets.labels import canonical
from nferbench.datasets.tree import name_fault

REQUIRED = ("path", "modality", "subject", "expression")
OPTIONAL = ("pair", "sequence", "frame", "session", "light", "view", "split", "box", "landmarks")
USED = ("vis", "nir")
UNUSED = ("lwir", "mwir", "swir")  # allowed in a manifest, left out of the listing

LARGEST_SHARE = 1.5  # a box in shares of the image may reach over its edge, and is still far from a box in pixels

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Row:
    """One image of a manifest. Where the label or the modality is not used, the face is never listed."""

    line: int  # in the file, from 1
    face: Face  # its expression is canonical, or the label in lower case where that means no class
    modality: str  # as written, in lower case
    label: str  # the expression as written
    known: bool  # the label means one of the seven classes
    columns: Mapping[str, str]  # sequence, frame, session, light, view; "" where empty
    odd: str  # why it is left out though it is there, such as a folder in place of a file; "" where it is not


def inside(root: Path, path: str) -> str:
    """A path of a manifest in POSIX form, checked to stay under the root.

    Raises:
        DataError: the path is empty, absolute, or leads out of the root, by '..' or by a symbolic link.
    """
    posix = PurePosixPath(path.replace("\\", "/"))
    if not path or "\0" in path or posix == PurePosixPath("."):
        raise DataError(f"path {path!r} is no path; it must name a file under the data root")
    if posix.is_absolute() or PureWindowsPath(path).drive:
        raise DataError(f"path {path!r} is absolute; it must be relative to the data root")
    if ".." in posix.parts:
        raise DataError(f"path {path!r} contains '..'; it must stay under the data root")
    if not Path(os.path.realpath(root / posix)).is_relative_to(os.path.realpath(root)):  # resolve() raises on circles
        raise DataError(f"path {path!r} leaves the data root by a symbolic link; copy the files or choose another root")
    return str(posix)


def read_table(file: Path, root: Path, aliases: Mapping[str, str]) -> tuple[list[Row], list[str]]:
    """Read and check a manifest row by row; what concerns several rows (pairs, selection) is checked by its owner.

    Args:
        file: the CSV file, UTF-8, header required.
        root: the folder that its paths are relative to.
        aliases: further names of expressions, as `checked_aliases` returns them.

    Returns:
        The rows without a fault, and one line for every fault of the others.

    Raises:
        DataError: the file is not UTF-8, not CSV, empty, or lacks a column; nothing else can be checked then.
    """
    header, lines = _read_csv(file)
    rows: list[Row] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    names = spelled_alike({_cells(header, values)["subject"] for _, values in lines})
    for number, values in lines:
        if len(values) > len(header):
            problems.append(f"line {number}: {len(values)} values for {len(header)} columns")
            continue
        cells = _cells(header, values)
        cells["subject"] = names[cells["subject"]]
        row, faults = _check_row(number, cells, root, aliases)
        if row is not None and row.face.id in first_line:
            faults = [f"path {row.face.id!r} is already on line {first_line[row.face.id]}"]
        problems += [f"line {number}: {fault}" for fault in faults]
        if row is not None and not faults:
            first_line[row.face.id] = number
            rows.append(row)
    return rows, problems


def _cells(header: list[str], values: list[str]) -> dict[str, str]:
    """The cells of a row by column, without surrounding blanks; "" where there is none."""
    return dict.fromkeys(REQUIRED + OPTIONAL, "") | dict(zip(header, (value.strip() for value in values), strict=False))


def share_faults(rows: Sequence[Row]) -> list[str]:
    """One line where most boxes of a list are shares of the image from 0 to 1, as those of many detectors are."""
    boxes = [(row.line, row.face.box) for row in rows if row.face.box]
    shares = [(line, box) for line, box in boxes if max(map(abs, box)) <= LARGEST_SHARE]
    if 2 * len(shares) <= len(boxes):
        return []
    line, box = shares[0]
    return [
        f"{len(shares)} of {len(boxes)} boxes are in 0-1, such as {' '.join(map(str, box))} on line {line}; "
        "pixels of the upright image are due"
    ]


def _read_csv(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}: line {line} is not UTF-8; save the file as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, values) for values in reader if any(value.strip() for value in values)]
    except csv.Error as error:
        raise DataError(f"{file}: line {reader.line_num} is not CSV ({error})") from None
    if not lines:
        raise DataError(f"{file}: the file is empty; the first line must be {','.join(REQUIRED)},…")
    header = [name.strip().casefold() for name in lines[0][1]]
    _check_header(file, header)
    if len(lines) == 1:
        raise DataError(f"{file}: there is no row below the header; write one row for each image")
    return header, lines[1:]


def _check_header(file: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        found = ", ".join(repr(name) for name in header)
        raise DataError(f"{file}: missing column {', '.join(missing)}; found {found} (columns are separated by commas)")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{file}: column {', '.join(twice)} is there twice; keep one")
    for name in header:  # columns of the user's own are fine, a misspelt one would be ignored in silence
        near = get_close_matches(name, [known for known in OPTIONAL if known not in header], n=1, cutoff=0.8)
        if near and name not in REQUIRED + OPTIONAL:
            raise DataError(f"{file}: unknown column {name!r}; did you mean {near[0]!r}?")


def _check_row(
    number: int, cells: Mapping[str, str], root: Path, aliases: Mapping[str, str]
) -> tuple[Row | None, list[str]]:
    faults: list[str] = []
    files: list[str] = []
    odd: list[str] = []
    for column in ("path", "landmarks") if cells["landmarks"] else ("path",):
        try:
            path = inside(root, cells[column])
        except DataError as error:
            faults.append(str(error))
            continue
        files.append(path)
        try:
            odd += filter(None, [name_fault(path) or _kind_fault((root / path).stat().st_mode)])
        except PermissionError as error:
            odd.append(f"cannot be read ({error.strerror})")
        except OSError:
            faults.append(f"{column} {path!r} does not exist under {root}")
    if cells["landmarks"] and not cells["landmarks"].endswith(".npy"):
        faults.append(f"landmarks {cells['landmarks']!r} is not an .npy file")
    broken = [name for name in REQUIRED + OPTIONAL if name not in ("path", "landmarks") and name_fault(cells[name])]
    odd += [f"its {name} holds a line break or another control character" for name in broken]
    modality = cells["modality"].casefold()
    if modality not in USED + UNUSED:
        faults.append(f"unknown modality {cells['modality']!r}; known: {', '.join(USED + UNUSED)}")
    if not plain(cells["subject"]):
        faults.append("the subject is empty; write ? where the identity is unknown")
    box = split = None
    try:
        box = _box(cells["box"])
        split = _split(cells["split"])
    except ValueError as error:
        faults.append(str(error))
    if faults or split is None:
        return None, faults
    if box and min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE:
        odd.append(f"its box has fewer than {MIN_SIDE} pixels a side")
    expression = canonical(cells["expression"], aliases)
    face = Face(
        id=files[0],
        modality=cast(Modality, modality),
        subject=cells["subject"],
        expression=expression or cells["expression"].casefold(),
        pair=cells["pair"],
        files=tuple(files),
        box=box,
        split=split,
        sequence="/".join((cells["subject"], cells["expression"], cells["sequence"])) if cells["sequence"] else "",
    )
    columns = {name: cells[name] for name in ("sequence", "frame", "session", "light", "view")}
    reason = "; ".join(dict.fromkeys(odd))
    return Row(number, face, modality, cells["expression"], expression is not None, columns, reason), []


def _kind_fault(mode: int) -> str:
    """Why what has this mode is no file to read; "" where it is one. A pipe would keep a reader waiting forever."""
    return "" if stat.S_ISREG(mode) else "a folder, not a file" if stat.S_ISDIR(mode) else "not a file"


def _box(text: str) -> Box | None:
    if not text:
        return None
    try:
        x1, y1, x2, y2 = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"box {text!r} is not four numbers 'x1 y1 x2 y2'") from None
    if not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2):
        raise ValueError(f"box {text!r} has no area; it must be 'x1 y1 x2 y2' with x1 < x2 and y1 < y2")
    return x1, y1, x2, y2


def _split(text: str) -> str:
    text = text.casefold()
    if text in ("", "train", "test"):
        return text
    if text == "val":
        return "train"  # nothing here is chosen on validation faces of the list, so they train
    if text.isascii() and text.isdigit():
        return str(int(text))
    raise ValueError(f"split {text!r} is not train, val, test or a fold number")
