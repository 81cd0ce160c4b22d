"""What of a record can be shown as pictures: the finished translations of rows and folds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from nferbench.contract.errors import DataError, UsageError, unknown
from nferbench.workspace.entries import Entry, keys_of, misplaced, read_entry, verify
from nferbench.workspace.overview import needs_of
from nferbench.workspace.recorded import Recorded, RecordedRow
from nferbench.workspace.stages import Translate
from nferbench.workspace.store import KEY_LETTERS, Store

Part = Literal["test", "extra"]


@final
@dataclass(frozen=True)
class Cell:
    """A finished translation of a row."""

    row: str
    fold: int
    entry: Entry


@final
@dataclass(frozen=True)
class Shown:
    """The finished translations of a record that were asked for, and a line for each row that is not complete."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def having(records: Sequence[Recorded], rows: Collection[str]) -> tuple[Recorded, ...]:
    """The records that have one of these rows; all where no row is named.

    Raises:
        UsageError: a row that none of them has.
    """
    known = dict.fromkeys(row.name for record in records for row in record.rows)
    for name in rows:
        if name not in known:
            raise unknown("row", name, known, "nferbench status")
    return tuple(record for record in records if not rows or any(row.name in rows for row in record.rows))


def shown(record: Recorded, rows: Collection[str], folds: Collection[int], part: Part, store: Store) -> Shown:
    """The translations of a record, each file of them checked.

    Args:
        record: whose.
        rows: names, of which those of other records are passed over; none for all that translate.
        folds: numbers; none for all.
        part: the test faces, or the extra set.
        store: of the workspace.

    Raises:
        UsageError: a fold that there is not, a row that translates nothing, what was named and is not done; or
            nothing is done.
        DataError: a stored file has changed since it was written.
    """
    translating = {row.name: _references(row, part, store) for row in record.rows}
    for name in translating:
        if name in rows and not translating[name]:
            raise UsageError(f"row '{name}' of {record.name} has no translation of the {_called(part)}; name another")
    known = sorted({fold for each in translating.values() for fold in each})
    if wrong := [fold for fold in folds if fold not in known]:
        raise UsageError(f"{record.name} has no fold {wrong[0]}; it has {', '.join(map(str, known)) or 'none'}")
    cells: list[Cell] = []
    notes: list[str] = []
    for name, references in translating.items():
        wanted = {fold: each for fold, each in references.items() if not folds or fold in folds}
        if rows and name not in rows:
            continue
        done = {fold: entry for fold, each in wanted.items() if (entry := _entry(each, store)) is not None}
        cells += [Cell(name, fold, entry) for fold, entry in done.items()]
        if lacking := [str(fold) for fold in wanted if fold not in done]:
            line = f"row '{name}' of {record.name}: fold {', '.join(lacking)} of the {_called(part)} is not done"
            if folds or rows:
                raise UsageError(f"{line}; start its run again, or name others")
            notes.append(line)
    if not cells:
        raise UsageError(f"{record.name} has no finished translation of the {_called(part)}; start its run again")
    return Shown(tuple(cells), tuple(notes))


def faces_of(record: Recorded, part: Part, store: Store) -> Entry:
    """The prepared faces that a part of a record was translated from, every file checked.

    Raises:
        DataError: they are gone or have changed.
    """
    named = record.content["faces"] if part == "test" else record.content.get("extra_faces")
    entry = _entry(named, store) if named else None
    if entry is None:
        raise DataError(f"the prepared faces of {record.name} are not in the workspace any more; start its run again")
    return entry


def _called(part: Part) -> str:
    return "test faces" if part == "test" else "extra set"


def _references(row: RecordedRow, part: Part, store: Store) -> dict[int, Mapping[str, Any]]:
    """How a record names the translations of a row, by fold."""
    named = {
        int(cell["fold"]): cell.get("translation") if part == "test" else _extra(cell, store)
        for cell in row.content["folds"]
    }
    return {fold: each for fold, each in named.items() if each}


def _extra(cell: Mapping[str, Any], store: Store) -> Mapping[str, Any] | None:
    """How the translation of the extra set is named, which a recogniser was fitted on.

    Records of earlier versions name what they show alone; what that needs is known where it is done.
    """
    needed = cell.get("needs")
    if needed is None and (fitted := cell.get("fer")) and (entry := _entry(fitted, store)) is not None:
        places = keys_of(store.workspace)
        keys = [each for each in needs_of(entry.info) if each[:KEY_LETTERS] in places]
        paths = {each: places[each[:KEY_LETTERS]].relative_to(store.workspace).as_posix() for each in keys}
        needed = [{"key": each, "path": path} for each, path in paths.items()]
    return next((each for each in needed or () if each["path"].startswith(f"{Translate.kind}/")), None)


def _entry(named: Mapping[str, Any], store: Store) -> Entry | None:
    """An entry that a record names, whole; None where it is not there."""
    path = store.workspace / Path(named["path"])
    try:
        entry = read_entry(path)
    except FileNotFoundError:
        return None
    fault = misplaced(entry)
    if fault or entry.info["key"] != named["key"]:
        raise DataError(fault or f"{path} holds the results of another stage; start its run again")
    verify(entry)
    return entry
