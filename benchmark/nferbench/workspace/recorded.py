"""Records as they lie in a workspace: their rows, and the stages that stand behind each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.workspace.files import read_json

VERSION = 1  # of the records that are read here


@final
@dataclass(frozen=True)
class RecordedRow:
    """A row of a record."""

    name: str
    content: Mapping[str, Any]  # as it is stored
    results: tuple[str, ...]  # keys of the stages that it shows
    stages: Mapping[str, str]  # of all stages that it names, key to path below the workspace
    complete: bool  # whether it names all that it needs; rows of earlier versions name what they show


@final
@dataclass(frozen=True)
class Recorded:
    """A record: which stages stand behind the rows of a table."""

    name: str  # of its file, without .json
    content: Mapping[str, Any]  # as it is stored
    faces: Mapping[str, str]  # the stages that prepare its data sets, key to path
    rows: tuple[RecordedRow, ...]

    @property
    def preset(self) -> str:
        return str(self.content["protocol"].get("preset"))


def read_recorded(path: Path) -> Recorded:
    """The record in a file.

    Raises:
        DataError: it is none of this version, or a row of it is none.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise DataError(f"{path} is gone") from None
    if content.get("version") != VERSION:
        raise DataError(f"{path} is a record of version {content.get('version')!r:.40}; {VERSION} is read")
    rows, protocol = content.get("rows"), content.get("protocol")
    try:
        if not isinstance(rows, list) or not isinstance(protocol, dict):
            raise ValueError("it has no rows or no protocol")
        faces = dict(_references([content["faces"], content.get("extra_faces")]))
        return Recorded(path.stem, content, faces, tuple(map(_row, rows)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no record of a run ({one_line(str(error))})") from None


def all_recorded(workspace: Path) -> tuple[list[Recorded], list[str]]:
    """The records of a workspace by name, and what is wrong with those that cannot be read, a line each."""
    found, faults = [], []
    for path in sorted((workspace / "records").glob("*.json")):
        try:
            found.append(read_recorded(path))
        except DataError as error:
            faults.append(one_line(str(error)))
    return found, faults


def reached(keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> set[str]:
    """These stages, and all that they need as far as `needs` tells."""
    found: set[str] = set()
    left = list(keys)
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += needs.get(key, ())
    return found


def _row(content: Any) -> RecordedRow:
    shown: dict[str, str] = {}
    behind: dict[str, str] = {}
    for fold in content["folds"]:
        shown |= _references([fold.get("translation"), fold.get("quality"), fold.get("fer")])
        shown |= _references(fold.get("fer_repeats", []))
        shown |= _references(fold.get("metrics", []))
        behind |= _references(fold.get("needs", []))
    complete = all("needs" in fold for fold in content["folds"])
    if not isinstance(content["name"], str):
        raise ValueError("a row has no name")
    return RecordedRow(content["name"], content, tuple(shown), {**behind, **shown}, complete)


def _references(items: Iterable[Any]) -> dict[str, str]:
    """Keys and paths of the stages that are named; None stands for a stage that does not apply."""
    found = {}
    for item in items:
        if item is None:
            continue
        key, place = item["key"], PurePosixPath(item["path"])
        if not isinstance(key, str) or place.is_absolute() or ".." in place.parts or len(place.parts) != 2:
            raise ValueError(f"{item['path']!r:.80} is no place of a stage")
        found[key] = str(place)
    return found
