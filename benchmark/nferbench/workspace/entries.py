"""A complete stage as it lies in a workspace: read, and compared with what its stage.json says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.contract.values import digest
from nferbench.workspace.files import read_json, sha256
from nferbench.workspace.stages import KINDS

DESCRIPTION = "stage.json"
SMALL = 2**20  # bytes up to which a file is compared by content wherever its entry is found


@final
@dataclass(frozen=True)
class Entry:
    """A complete stage in the store."""

    path: Path
    info: Mapping[str, Any]  # the content of stage.json


def read_entry(path: Path) -> Entry:
    """The entry in a directory; its files have not been looked at.

    Raises:
        FileNotFoundError: there is no such directory.
        DataError: it has no stage.json, or one that does not say what a stage.json says.
    """
    try:
        info = read_json(path / DESCRIPTION)
    except FileNotFoundError:
        if path.exists():
            raise DataError(f"{path} has no {DESCRIPTION}") from None
        raise
    if fault := _fault(info):
        raise DataError(f"{path / DESCRIPTION} is not that of a stage ({fault})")
    return Entry(path, info)


def check(entry: Entry) -> None:
    """Compare every file with its size, and small ones with their SHA-256.

    Raises:
        DataError: a file is missing or has changed.
    """
    for name, file in entry.info["files"].items():
        path = entry.path / name
        try:
            found = path.stat().st_size
            if found == file["bytes"] and found <= SMALL:
                _compare(path, file["sha256"])
        except OSError:
            raise DataError(f"{path} is missing or cannot be read") from None
        if found != file["bytes"]:
            raise DataError(f"{path} has {found} bytes where {file['bytes']} were written")


def verify(entry: Entry) -> None:
    """Read every file of an entry and compare it with its SHA-256.

    Raises:
        DataError: a file is missing or has changed.
    """
    for name, file in entry.info["files"].items():
        try:
            _compare(entry.path / name, file["sha256"])
        except OSError:
            raise DataError(f"{entry.path / name} is missing or cannot be read") from None


def all_entries(workspace: Path) -> Iterator[Path]:
    """What lies where the entries of a workspace lie, in the order of work."""
    for kind in KINDS:
        folder = workspace / kind
        yield from sorted(folder.iterdir()) if folder.is_dir() else ()


def fault(path: Path) -> str | int:
    """What is wrong with an entry: its name, its description or a file of it; the bytes read where nothing is."""
    try:
        entry = read_entry(path)
        verify(entry)
    except (OSError, DataError) as error:
        return str(error)
    if wrong := misplaced(entry):
        return wrong
    return sum(int(file["bytes"]) for file in entry.info["files"].values())


def misplaced(entry: Entry) -> str | None:
    """What is wrong with the name, the folder or the key of an entry; None where each is that of its description."""
    path, key, described = entry.path, entry.info["key"], entry.info["description"]
    if not path.name.endswith(f"-{key[:12]}"):
        return f"{path} holds the results of another stage, {one_line(entry.info['stage'])}"
    if digest(described) != key:
        return f"{path / DESCRIPTION} describes another stage than its key"
    if described.get("kind") != path.parent.name:
        return f"{path} is not of the kind {path.parent.name}"
    return None


def keys_of(workspace: Path) -> dict[str, Path]:
    """Where each entry lies, by the first 12 digits of its key, which its name ends in; not looked into."""
    return {path.name.rpartition("-")[2]: path for path in all_entries(workspace)}


def _compare(path: Path, expected: str) -> None:
    if sha256(path) != expected:
        raise DataError(f"{path} has changed since it was written")


def _fault(info: Mapping[str, Any]) -> str | None:
    """What is wrong with a stage.json; None where it is as it should be."""
    for name, kind in (("key", str), ("stage", str), ("created", str), ("description", dict), ("files", dict)):
        if not isinstance(info.get(name), kind):
            return f"{name} is {_shown(info.get(name))}"
    for name in ("result", "cost", "made_with"):  # which earlier versions may lack
        if not isinstance(info.get(name, {}), dict):
            return f"{name} is {_shown(info[name])}"
    for name, file in info["files"].items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            return f"a file called {_shown(name)}"
        if not isinstance(file, dict) or type(file.get("bytes")) is not int or not isinstance(file.get("sha256"), str):
            return f"files: {_shown(name)} without size and SHA-256"
    cost = info.get("cost", {})
    if cost and not (isinstance(cost.get("key"), str) and all(_amount(cost.get(n)) for n in ("seconds", "units"))):
        return f"cost is {_shown(cost)}"
    return None


def _amount(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
