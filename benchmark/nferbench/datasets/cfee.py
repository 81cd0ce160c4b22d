"""CFEE (Du, Tao & Martinez 2014): posed expressions of 230 people, frontal, in visible light.

The layout is that of public code that reads it; no real copy was tried:
`CFEE_Database_230/{01-04/Images1,05-08/Images2,…,21-26/Images6}/CC_SSS_NNNN.jpg`, where CC is the expression, SSS the
person and NNNN the counter of the camera, and `AU_annotation_all_subjects.xls` beside them, whose sheet `summary` names
the expressions.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import final

from nferbench.contract.dataset import EXPRESSIONS, NEUTRAL, Dropped, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.errors import DataError
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.labels import canonical
from nferbench.datasets.left_out import counted
from nferbench.datasets.table import inside
from nferbench.datasets.tree import folders_in, images_below, only_copy, required_root

CODES: Mapping[int, str] = MappingProxyType(
    {1: "neutral", 2: "happiness", 3: "sadness", 4: "fear", 5: "anger", 6: "surprise", 7: "disgust"}
)
LAST_CODE = 26  # 08 to 26 are compound and other expressions
SHEET_FILE = "AU_annotation_all_subjects.xls"
SHEET = "summary"
SUBJECTS = range(229, 231)  # people, and so images of each expression, in a complete copy

_HOLDING = "CFEE_Database_230"  # what the data root holds
_NAME = re.compile(r"([0-9]{2})_([0-9]{3})_[0-9]{4}\.jpg", re.IGNORECASE)
_RANGE = re.compile(r"[0-9]{2}-[0-9]{2}")
_IMAGES = re.compile(r"images[0-9]", re.IGNORECASE)


@final
@dataclass(frozen=True)
class CfeeDataset(FaceDataset):
    """The faces of a copy of CFEE that show a basic expression; all in visible light, so there are no pairs.

    The names of the expressions are those of `CODES`. Where the .xls file is there and xlrd is installed, they are
    compared with its sheet, and a copy whose sheet says something else is refused.
    """

    name: str = field(default="cfee", compare=False)
    title: str = field(default="CFEE", compare=False)
    # Deviation: the paper takes "the full set"; compound expressions have no class in the target sets, nor has neutral.
    neutral: bool = False  # keep neutral faces, as a seventh class

    def listing(self, root: Path | None) -> Listing:
        root = required_root(self.name, root, _HOLDING)
        folder = _database(self.name, root)
        sheet = _sheet_file(root, folder)
        if sheet is not None:
            check_codes(read_sheet(sheet)[0], sheet)
        paths, dropped = images_below(root, folder)
        dropped = [drop for drop in dropped if Path(drop.what).name.casefold() != SHEET_FILE.casefold()]
        faces: dict[str, Face] = {}
        for path in paths:
            file = path.relative_to(root).as_posix()
            name = path.stem
            reason = self._refusal(path.name) or ("another file has this name" if name in faces else "")
            if reason:
                dropped.append(Dropped(file, reason))
            else:
                code, subject, _ = name.split("_")
                faces[name] = Face(name, "vis", subject, CODES[int(code)], files=(file,))
        if not faces:
            why = "; ".join(counted(dropped)[:3]) or "there is no image file"
            raise DataError(f"{folder}: no face can be used: {why}; images are called CC_SSS_NNNN.jpg")
        return Listing(tuple(sorted(faces.values(), key=lambda face: face.id)), 0, tuple(dropped))

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        root = required_root(self.name, root, _HOLDING)
        sheet = _sheet_file(root, _database(self.name, root))
        return (_sheet_finding(sheet), *self._counts(listing.faces))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import read_image

        root = required_root(self.name, root, _HOLDING)
        return Picture(read_image(root / inside(root, face.files[0])))

    def _refusal(self, name: str) -> str:
        """Why a file of this name is left out; "" where it is not."""
        match = _NAME.fullmatch(name)
        if match is None:
            return "the name is not of the form CC_SSS_NNNN.jpg"
        code = int(match[1])
        if max(CODES) < code <= LAST_CODE:
            return "a compound or other expression (codes 08 to 26)"
        if code not in CODES:
            return f"code {code:02d} is none of 01 to {LAST_CODE}"
        if CODES[code] == NEUTRAL and not self.neutral:
            return "neutral faces are not wanted"
        return ""

    def _counts(self, faces: Sequence[Face]) -> Iterator[Finding]:
        """How the faces differ from those of a complete copy."""
        few, many = SUBJECTS[0], SUBJECTS[-1]
        subjects = len({face.subject for face in faces})
        if subjects not in SUBJECTS:
            yield Finding(f"{subjects} subjects; a complete copy has {few} or {many}")
        counts = Counter(face.expression for face in faces)
        wanted = (*EXPRESSIONS, NEUTRAL) if self.neutral else EXPRESSIONS
        images = sum(counts[name] for name in EXPRESSIONS)
        if not few * len(EXPRESSIONS) <= images <= many * len(EXPRESSIONS):
            expected = f"{few * len(EXPRESSIONS):,} to {many * len(EXPRESSIONS):,}"
            yield Finding(f"{images:,} images of the six basic expressions; a complete copy has {expected}")
        for name in wanted:
            if not counts[name]:
                yield Finding(f"no image of {name}; is the copy complete?", serious=True)
        present = {name: counts[name] for name in wanted if counts[name]}
        if present and min(present.values()) < 0.95 * max(present.values()):
            told = ", ".join(f"{name} {count}" for name, count in present.items())
            yield Finding(f"the expressions are not equally frequent, as they are in a complete copy: {told}")


def codes_from_rows(rows: Iterable[Sequence[object]]) -> list[tuple[int, str]]:
    """The codes and words of a sheet, in its order; rows that do not start with a code and a word are passed over.

    Args:
        rows: the cells of each row; a code may be a number or text with leading zeros.

    >>> codes_from_rows([("category", "name"), (1.0, "Neutral"), ("02", " happy ", 0), ("", "")])
    [(1, 'Neutral'), (2, 'happy')]
    """
    codes = []
    for row in rows:
        cells = [str(cell).strip() for cell in row[:2]]
        if len(cells) == 2 and re.fullmatch(r"[0-9]{1,2}(\.0)?", cells[0]) and cells[1]:
            codes.append((int(cells[0].removesuffix(".0")), cells[1]))
    return codes


def check_codes(codes: Iterable[tuple[int, str]], sheet: Path) -> None:
    """Compare the words of a sheet with `CODES`.

    Raises:
        DataError: a code of `CODES` has another word there, or another code has the word of a basic expression.
    """
    for code, word in codes:
        table = CODES.get(code)
        if canonical(word) != table:
            raise DataError(
                f"{sheet}: sheet '{SHEET}' calls code {code:02d} {word!r}, the table of the reader calls it "
                f"{table or 'no basic expression'!r}; where the sheet is right list the faces in a manifest, "
                f"where it is wrong move the file away"
            )


def read_sheet(file: Path) -> tuple[list[tuple[int, str]], str]:
    """The codes and words of the sheet `summary` of an .xls file.

    Returns:
        As `codes_from_rows`, and ""; or an empty list, and why nothing could be read.
    """
    try:
        import xlrd  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return [], "xlrd is not installed (pip install xlrd)"
    try:
        # It writes its warnings to stdout unless it is given another place, and reads all sheets unless told not to.
        with xlrd.open_workbook(str(file), logfile=io.StringIO(), on_demand=True) as book:
            names = {name.strip().casefold(): name for name in book.sheet_names()}
            if SHEET not in names:
                return [], f"it has no sheet '{SHEET}', but {', '.join(map(repr, names.values()))}"
            sheet = book.sheet_by_name(names[SHEET])
            rows = [sheet.row_values(row, 0, 2) for row in range(sheet.nrows)]
    except Exception as error:  # it raises whatever it stumbles over in a damaged file
        return [], f"it is damaged ({' '.join(str(error).split())})"
    codes = codes_from_rows(rows)
    return codes, "" if codes else f"its sheet '{SHEET}' starts no row with a code and a word"


def _sheet_finding(sheet: Path | None) -> Finding:
    """What is known about the names of the codes in this copy."""
    table = "the names of codes 01 to 07 are those of the table of the reader, unchecked"
    if sheet is None:
        return Finding(f"{SHEET_FILE} is not there: {table}")
    codes, why = read_sheet(sheet)
    if why:
        return Finding(f"{sheet.name} was not read, {why}: {table}")
    check_codes(codes, sheet)
    silent = sorted(CODES.keys() - {code for code, _ in codes})
    without = f", but says nothing on {', '.join(f'{code:02d}' for code in silent)}" if silent else ""
    return Finding(f"{sheet.name} agrees with the table of the reader on the names of the codes{without}")


def _database(name: str, root: Path) -> Path:
    return only_copy(
        name,
        root,
        lambda folder: _is_database(root, folder),
        marked="folders such as 01-04/Images1",
        holding=_HOLDING,
    )


def _is_database(root: Path, folder: Path) -> bool:
    return any(
        _IMAGES.fullmatch(child.name)
        for part in folders_in(root, folder)
        if _RANGE.fullmatch(part.name)
        for child in folders_in(root, part)
    )


def _sheet_file(root: Path, folder: Path) -> Path | None:
    """The .xls file of a copy, in any case of its name; None where there is none, or it is a link out of the root."""
    for path in sorted(folder.iterdir()):
        if path.name.casefold() == SHEET_FILE.casefold() and path.resolve().is_relative_to(root.resolve()):
            return path
    return None


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [CfeeDataset()]
