"""What can be taken out of a workspace without a table losing a number: what no record needs.

A record names the stages behind its rows. One that was written by an earlier version names those that it shows; what
these need is then known of the finished ones alone, and nothing is taken that an unfinished one might need.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError, UsageError, unknown
from nferbench.contract.printable import one_line
from nferbench.workspace.entries import all_entries, read_entry
from nferbench.workspace.files import write_json
from nferbench.workspace.holders import PRUNE, RECORD, RUN, Holder, holders
from nferbench.workspace.locks import turn
from nferbench.workspace.overview import needs_of, resumable, size_of
from nferbench.workspace.recorded import Recorded, RecordedRow, all_recorded, reached, read_recorded

ASIDE = "pruned-"  # what a directory in partial/ begins with on its way out


@final
@dataclass(frozen=True)
class Named:
    """What a user names to be removed besides."""

    rows: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    failures: bool = False


@final
@dataclass(frozen=True)
class Removal:
    """Something to be removed."""

    kind: str
    path: Path
    bytes: int


@final
@dataclass(frozen=True)
class Pruning:
    """What is to be removed, and what there is to say of the rest."""

    removals: tuple[Removal, ...]
    leaving: Mapping[str, tuple[str, ...]]  # the rows that leave each record that loses any
    notes: tuple[str, ...]


def pruning(workspace: Path, named: Named) -> Pruning:
    """Find what no record needs once the named rows are gone; nothing is changed.

    Raises:
        UsageError: a name that no record has; a row or preset is named while a run is at work.
        DataError: a record cannot be read, so that it is not known what it needs.
    """
    recorded, faults = all_recorded(workspace)
    if faults:
        raise DataError(f"{faults[0]}; what it needs is not known: start its run again, or move it away, then prune")
    _check(recorded, named)
    live, gone = _locks(workspace)
    busy = [each for each in live if not each.lock.startswith(RECORD) and each.lock != PRUNE]
    aside = [*_aside(workspace), *(Removal("locks of runs that are gone", lock, size_of(lock)) for lock in gone)]
    if busy:
        who = f"process {busy[0].process} on {one_line(busy[0].host)}"
        if named.rows or named.presets:
            raise UsageError(f"{who} is at work in '{workspace}'; name rows and presets when it has ended")
        note = f"{who} is at work: stages, unfinished work and failures stay; prune again when it has ended"
        return Pruning(tuple(aside), {}, (note,))
    remaining = {record.name: _remaining(record, named) for record in recorded}
    leaving = {
        record.name: tuple(row.name for row in record.rows if row not in remaining[record.name])
        for record in recorded
        if remaining[record.name] != record.rows
    }
    kept = [record for record in recorded if remaining[record.name]]
    infos, broken = _entries(workspace)
    needs = {key: needs_of(info) for key, (_, info) in infos.items()}
    roots = [key for record in kept for key in record.faces]
    roots += [key for record in kept for row in remaining[record.name] for key in row.stages]
    needed = reached(roots, needs)
    unsure = [
        record.name
        for record in kept
        if any(not row.complete and set(row.results) - set(infos) for row in remaining[record.name])
    ]
    removals = [
        Removal(path.parent.name, path, size_of(path))
        for key, (path, _) in infos.items()
        if key not in needed and not (unsure and path.parent.name in ("faces", "networks", "translations"))
    ]
    short = {key[:12] for key in needed}
    removals += [
        Removal("damaged stages", path, size_of(path))
        for path in broken
        if path.name.rpartition("-")[2] not in short and not unsure
    ]
    removals += _unfinished(workspace, infos, needed, bool(unsure))
    removals += _failures(workspace, infos, needed, named.failures, bool(unsure))
    notes = [
        f"record {one_line(name)} does not say what its unfinished rows need: faces, networks, translations and "
        "unfinished work stay; its run, started again, writes it anew"
        for name in unsure
    ]
    return Pruning((*removals, *aside), leaving, tuple(notes))


def remove(workspace: Path, found: Pruning) -> None:
    """Remove it: rows leave their records first, then each directory is renamed aside and emptied there.

    Raises:
        HeldError: a record is being written, and that does not end.
        DataError: a record cannot be read any more.
        OSError: something cannot be removed; what is not removed is whole.
    """
    for name, leaving in found.leaving.items():
        path = workspace / "records" / f"{name}.json"
        with turn(workspace / "locks" / f"{RECORD}{name}", f"record {name}"):
            record = read_recorded(path)
            if rows := [row.content for row in record.rows if row.name not in leaving]:
                write_json(path, {**record.content, "rows": rows})
            else:
                path.unlink()
    for removal in found.removals:
        aside = workspace / "partial" / f"{ASIDE}{secrets.token_hex(8)}"
        aside.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            removal.path.rename(aside)
            if aside.is_dir() and not aside.is_symlink():
                shutil.rmtree(aside)
            else:
                aside.unlink()


def _check(recorded: Sequence[Recorded], named: Named) -> None:
    rows = dict.fromkeys(row.name for record in recorded for row in record.rows)
    presets = dict.fromkeys(record.preset for record in recorded)
    for name in named.rows:
        if name not in rows:
            raise unknown("row", name, rows, "nferbench status")
    for name in named.presets:
        if name not in presets:
            raise unknown("preset", name, presets, "nferbench status")


def _remaining(record: Recorded, named: Named) -> tuple[RecordedRow, ...]:
    if record.preset in named.presets:
        return ()
    return tuple(row for row in record.rows if row.name not in named.rows)


def _locks(workspace: Path) -> tuple[list[Holder], list[Path]]:
    """Those who are there, and the locks of runs that ended without removing theirs, which nobody takes again."""
    found = holders(workspace, time.time())
    gone = [workspace / "locks" / each.lock for each in found if not each.live and each.lock.startswith(RUN)]
    return [each for each in found if each.live], gone


def _entries(workspace: Path) -> tuple[dict[str, tuple[Path, Mapping[str, object]]], list[Path]]:
    """Where each stage lies and what its stage.json says, by key, and where those lie that have none of use."""
    infos: dict[str, tuple[Path, Mapping[str, object]]] = {}
    broken = []
    for path in all_entries(workspace):
        try:
            info = read_entry(path).info
        except (OSError, DataError):
            broken.append(path)
            continue
        infos[info["key"]] = (path, info)
    return infos, broken


def _aside(workspace: Path) -> Iterator[Removal]:
    for folder in ("damaged", "replaced"):
        for path in _inside(workspace / folder):
            yield Removal(folder, path, size_of(path))


def _unfinished(workspace: Path, done: Collection[str], needed: set[str], unsure: bool) -> Iterator[Removal]:
    """Directories in partial/ that no attempt will go on with."""
    for path in _inside(workspace / "partial"):
        key = path.name.partition(".")[0]  # what follows is the token of whoever was at work there last
        wanted = len(key) == 64 and key not in done and (key in needed or unsure)
        if not (wanted and resumable(path)):
            yield Removal("unfinished", path, size_of(path))


def _failures(workspace: Path, done: Collection[str], needed: set[str], named: bool, unsure: bool) -> Iterator[Removal]:
    for path in _inside(workspace / "failures"):
        if named or path.stem in done or not (path.stem in needed or unsure):
            yield Removal("failures", path, size_of(path))


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
