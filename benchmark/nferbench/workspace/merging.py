"""Taking the stages and records of another workspace into this one.

A stage is checked before it is taken: its description hashes to its key, and its files to what was written. What is
here already stays as it is.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.workspace.entries import DESCRIPTION, Entry, all_entries, fault, keys_of, misplaced, read_entry, verify
from nferbench.workspace.files import write_json
from nferbench.workspace.holders import RECORD
from nferbench.workspace.locks import HeldError, turn
from nferbench.workspace.measured import with_measured
from nferbench.workspace.predictions import PREDICTIONS, same_answers
from nferbench.workspace.recorded import Recorded, RecordedRow, all_recorded, read_recorded
from nferbench.workspace.stages import KINDS
from nferbench.workspace.store import Store, read_workspace

PATIENCE = 5.0  # seconds that a stage is waited for; another merge is done with it by then, a run may take hours
# What makes results comparable; the rest of a protocol says more of the same, and came later.
_LATER = {"fer_seeds", "crop", "division", "without_extra", "place"}


@final
@dataclass(frozen=True)
class Taken:
    """What became of one stage or record of the other workspace."""

    outcome: Literal["linked", "copied", "same", "differs", "joined", "refused"]
    text: str = ""  # what there is to say, one line
    bytes: int = 0
    rows: int = 0  # of a record, that were taken


def other_workspace(path: Path, mine: Path) -> Store:
    """Another workspace, to be merged into one.

    Raises:
        UsageError: it is none, or the same one.
    """
    try:
        store = read_workspace(path)
        if not path.is_dir() or not any((path / name).is_dir() for name in (*KINDS, "records")):
            raise UsageError(f"no workspace at '{path}'; name the folder that a --workspace was")
        next(path.iterdir())
        if mine.exists() and path.samefile(mine):
            raise UsageError(f"'{path}' is the workspace that is merged into; name another one")
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read ({error.strerror}); name a workspace that can") from None
    return store


def merge_stages(other: Path, mine: Path) -> Iterator[Taken]:
    """Take the stages of another workspace, one after another.

    Raises:
        OSError: this workspace cannot be written, or is full; what was taken stays.
    """
    here = keys_of(mine)
    for path in all_entries(other):
        if path.exists():  # a run may be at work there
            yield _stage(path, mine, here)


def merge_records(other: Path, mine: Path) -> Iterator[Taken]:
    """Take the records of another workspace, after its stages.

    Raises:
        OSError: this workspace cannot be written.
    """
    recorded, faults = all_recorded(other)
    yield from (Taken("refused", f"{each}; left out") for each in faults)
    here = keys_of(mine)
    for record in recorded:
        try:
            with turn(mine / "locks" / f"{RECORD}{record.name}", f"record {record.name}"):
                yield _record(record, mine, here)
        except HeldError as error:
            yield Taken("refused", str(error))


def _stage(path: Path, mine: Path, here: Mapping[str, Path]) -> Taken:
    try:
        entry = read_entry(path)
    except (OSError, DataError) as error:
        return _refused(str(error))
    if wrong := misplaced(entry):
        return _refused(wrong)
    key = entry.info["key"]
    place = mine / path.parent.name / path.name
    try:
        with turn(mine / "locks" / key, one_line(entry.info["stage"]), PATIENCE):
            there = here.get(key[:12], place)
            if there.exists():
                return _refused(found) if isinstance(found := fault(path), str) else _compared(entry, there)
            outcome = _fill(entry, mine / "partial", place)
    except HeldError as error:
        return Taken("refused", f"{one_line(str(error))}, then merge again")
    except (DataError, FileNotFoundError) as error:
        return _refused(str(error))
    with suppress(OSError):
        (mine / "failures" / f"{key}.json").unlink(missing_ok=True)
    return Taken(outcome, bytes=sum(int(file["bytes"]) for file in entry.info["files"].values()))


def _refused(wrong: str) -> Taken:
    return Taken("refused", f"damaged, left out: {one_line(wrong)}")


def _compared(theirs: Entry, here: Path) -> Taken:
    name = one_line(theirs.info["stage"])
    if isinstance(reason := fault(here), str):
        return Taken("refused", f"{one_line(reason)}; nferbench verify --set-aside, then merge again")
    ours = read_entry(here)
    if ours.info["key"] != theirs.info["key"]:
        return Taken("refused", f"{name} is not taken: '{one_line(here.name)}' is in its place; move it away")
    if _same(ours, theirs):
        return Taken("same")
    made = [one_line(str(each.info.get("made_with", {}).get("device", "unknown"))) for each in (ours, theirs)]
    text = f"{name} is kept as it is here (made on {made[0]}), it is other there (made on {made[1]})"
    return Taken("differs", text)


def _same(one: Entry, other: Entry) -> bool:
    """Whether two entries of a stage hold the same; an earlier version left out the class scores of predictions."""
    mine, theirs = _content(one), _content(other)
    unlike = {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)}
    return not unlike or (unlike == {PREDICTIONS} and same_answers(one.path / PREDICTIONS, other.path / PREDICTIONS))


def _content(entry: Entry) -> dict[str, str]:
    return {name: file["sha256"] for name, file in entry.info["files"].items()}


def _fill(entry: Entry, partial: Path, place: Path) -> Literal["linked", "copied"]:
    """Fill a directory aside, compare it with what was written, and rename it to its place.

    Raises:
        DataError: a file of the other workspace is missing or has changed.
    """
    aside = partial / f"merged-{entry.info['key'][:12]}-{secrets.token_hex(4)}"
    linked = True
    try:
        for name in (*entry.info["files"], DESCRIPTION):  # the description last, as a run does
            target = aside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            linked &= _link(entry.path / name, target)
        filled = read_entry(aside)
        if filled.info != entry.info:
            raise DataError(f"{entry.path} changed while it was taken; merge again")
        verify(filled)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(place)
    except DataError as error:
        raise DataError(str(error).replace(str(aside), str(entry.path))) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return "linked" if linked else "copied"


def _link(source: Path, target: Path) -> bool:
    """Give a file a second name, or copy it where that cannot be done; whether it was the former."""
    if not source.is_symlink():
        with suppress(OSError):
            os.link(source, target)
            return True
    shutil.copyfile(source, target)
    return False


def _record(theirs: Recorded, mine: Path, here: Mapping[str, Path]) -> Taken:
    path = mine / "records" / f"{theirs.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_json(path, theirs.content)
        return Taken("joined", rows=len(theirs.rows))
    try:
        ours = read_recorded(path)
    except DataError as error:
        again = "start its run again, or move it away, then merge again"
        return Taken("refused", f"{one_line(str(error))}; that of the other workspace is not joined to it: {again}")
    if _identity(ours) != _identity(theirs):
        return Taken("refused", f"record {one_line(theirs.name)} is of another protocol there; left out")
    own = {row.name: row for row in ours.rows}
    new = [row for row in theirs.rows if row.name not in own]
    better = {
        row.name: row
        for row in theirs.rows
        if row.name in own and not _whole(own[row.name], here) and _whole(row, here)
    }
    better = {name: row for name, row in better.items() if row.content != own[name].content}
    theirs_of = {row.name: row.content for row in theirs.rows}
    joined = [
        with_measured(with_measured(better.get(row.name, row).content, row.content), theirs_of.get(row.name, {}))
        for row in ours.rows
    ]
    changed = sum(mine != row.content for mine, row in zip(joined, ours.rows, strict=True))
    if not new and not changed:
        return Taken("same")
    write_json(path, {**ours.content, "rows": [*joined, *(row.content for row in new)]})
    return Taken("joined", rows=len(new) + changed)


def _identity(record: Recorded) -> dict[str, Any]:
    protocol = {name: value for name, value in record.content["protocol"].items() if name not in _LATER}
    return {**protocol, "faces": sorted(record.faces)}


def _whole(row: RecordedRow, here: Mapping[str, Path]) -> bool:
    """Whether all stages that a row shows are here."""
    return all(key[:12] in here for key in row.results)
