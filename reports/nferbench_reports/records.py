"""The records of a workspace: which there are, which can be read, which are shown, and what tells them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from pydantic import TypeAdapter, ValidationError

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import first_of, one_line
from nferbench_reports import telling
from nferbench_reports.record import FoldEntries, Protocol, Record, Row, as_line
from nferbench_reports.stage_files import read_json

VERSION = 1  # of the record files that this module reads
LARGEST = 64_000_000  # bytes of a record; one of a hundred rows on ten folds has half a million


@final
@dataclass(frozen=True)
class Stored:
    """A record, and the file it was read from (relative to the workspace, POSIX form)."""

    record: Record
    file: str

    @property
    def name(self) -> str:
        """What the record is chosen by."""
        return PurePosixPath(self.file).stem


@final
@dataclass(frozen=True)
class Records:
    """The records to report, and what has to be said about the others."""

    chosen: tuple[Stored, ...]
    notes: tuple[str, ...]  # records that are not shown, and how to see them
    problems: tuple[str, ...]  # records and rows that could not be read, one line each


def read_records(
    workspace: Path, order: Sequence[str] = (), preset: str | None = None, names: Sequence[str] = ()
) -> Records:
    """Read the records of a workspace, one file a protocol; choose those of some names, or the newest of each dataset.

    Several of one dataset get a mark behind its name: without `names` those that lie in different places, which are
    different ones; with them whatever their protocols differ in. What cannot be read costs itself alone: a row of a
    record, or a record.

    Args:
        workspace: the directory that `nferbench run` filled.
        order: datasets that come first, in this order; the others follow by name. Not used with `names`.
        preset: only records of this preset; None takes all.
        names: exactly these records, in this order: names of their files without ".json", or beginnings of such names
            that no other record has.

    Raises:
        UsageError: there is no workspace, nothing was run in it, or nothing with this preset; a name is that of no
            record or the beginning of several, or of a record of another preset.
        DataError: there are records, and not one of them, or one that is named, can be read.
    """
    readable, problems = read_all(workspace)
    if names:
        return _named(names, preset, readable, problems)
    told = tuple(line for lines in problems.values() for line in lines)
    if not readable:
        raise DataError(f"no readable record in workspace '{workspace}'; {'; '.join(told)}")
    wanted = [stored for stored in readable if preset in (None, stored.record.protocol.preset)]
    if not wanted:
        presets = ", ".join(sorted({stored.record.protocol.preset for stored in readable}))
        raise UsageError(
            f"no stored results of preset '{preset}'; stored: {presets} ('nferbench run --preset {preset}' makes them)"
        )

    def rank(which: tuple[str, str]) -> tuple[int, str, str]:
        return (order.index(which[0]) if which[0] in order else len(order), *which)

    groups: dict[tuple[str, str], list[Stored]] = {}
    for stored in wanted:
        groups.setdefault((stored.record.protocol.dataset, stored.record.protocol.place), []).append(stored)
    chosen: list[Stored] = []
    notes: list[str] = []
    for which in sorted(groups, key=rank):
        newest, *older = sorted(groups[which], key=lambda stored: (stored.record.created, stored.file), reverse=True)
        chosen.append(newest)
        notes += [
            f"{newest.record.protocol.dataset_title}: shown is the newest record ({newest.file}), "
            f"not {other.file} ({other.record.protocol.summary()}); --record {one_line(other.name)} shows that"
            for other in older
        ]
    return Records(_told_apart(chosen, lambda of_one: list(map(telling.place, of_one))), tuple(notes), told)


def read_all(workspace: Path) -> tuple[list[Stored], dict[str, list[str]]]:
    """All records of a workspace by the names of their files, and by file what of them cannot be read, a line each.

    Raises:
        UsageError: there is no workspace, or nothing was run in it.
    """
    if not workspace.is_dir():
        raise UsageError(
            f"no workspace at '{workspace}'; make one with 'nferbench run --methods all --dataset synthetic-hfe' "
            "or name another with --workspace"
        )
    paths = sorted((workspace / "records").glob("*.json"))
    if not paths:
        raise UsageError(
            f"no stored results in workspace '{workspace}'; make some with "
            "'nferbench run --methods all --dataset synthetic-hfe'"
        )
    readable: list[Stored] = []
    problems: dict[str, list[str]] = {}
    for path in paths:
        file = path.relative_to(workspace).as_posix()
        try:
            record, unreadable = _read(path)
        except DataError as error:
            problems[file] = [one_line(f"{file}: {error}")]
            continue
        readable.append(Stored(record, file))
        if unreadable:
            problems[file] = [one_line(f"{file}: {row}") for row in unreadable]
    return readable, problems


def _named(
    names: Sequence[str],
    preset: str | None,
    readable: Sequence[Stored],
    problems: Mapping[str, Sequence[str]],
) -> Records:
    """The records that were asked for by name; what is wrong with others is of no concern."""
    by_name = {stored.name: stored for stored in readable}
    there = {**{PurePosixPath(file).stem: file for file in problems}, **{one.name: one.file for one in readable}}
    chosen: dict[str, Stored] = {}
    for asked in names:
        found = [asked] if asked in there else [name for name in sorted(there) if asked and name.startswith(asked)]
        if len(found) != 1:
            raise UsageError(
                (
                    f"'{one_line(asked)}' is the beginning of several records, {first_of(found)}; say more of its name"
                    if found
                    else f"no record '{one_line(asked)}'; there are {first_of(sorted(there))}"
                )
                + " (nferbench report --list has all names)"
            )
        (name,) = found
        if name not in by_name:
            raise DataError("; ".join(problems[there[name]]))
        stored = by_name[name]
        if preset not in (None, stored.record.protocol.preset):
            raise UsageError(
                f"record {one_line(name)} is of preset {stored.record.protocol.preset}, not {preset}; "
                "leave --preset out, or choose another --record"
            )
        chosen[name] = stored
    told = (line for stored in chosen.values() for line in problems.get(stored.file, ()))
    return Records(_told_apart(list(chosen.values()), telling.marks), (), tuple(told))


def _told_apart(chosen: Sequence[Stored], marked: Callable[[Sequence[Protocol]], Sequence[str]]) -> tuple[Stored, ...]:
    """The records, those of one data set with what tells them apart behind its name; no two have one name then."""
    groups: dict[str, list[Stored]] = {}
    for stored in chosen:
        groups.setdefault(stored.record.protocol.dataset, []).append(stored)
    marks = {
        stored.file: mark
        for group in groups.values()
        if len(group) > 1
        for stored, mark in zip(group, marked([stored.record.protocol for stored in group]), strict=True)
    }
    told = [_with_mark(stored, marks.get(stored.file, "")) for stored in chosen]
    taken = Counter(stored.record.protocol.dataset for stored in told)
    return tuple(
        _with_mark(plain, plain.name) if taken[stored.record.protocol.dataset] > 1 else stored
        for plain, stored in zip(chosen, told, strict=True)
    )


def _with_mark(stored: Stored, mark: str) -> Stored:
    """A record with a mark behind the name and the title of its data set."""
    if not mark:
        return stored
    protocol = stored.record.protocol
    short = re.sub(r"[^\w.+]+", "-", mark.casefold()).strip("-")
    told = {
        "dataset": f"{protocol.dataset}-{short}",
        "dataset_title": f"{protocol.dataset_title} ({as_line(mark)})",
        "known_as": protocol.dataset,
    }
    return Stored(stored.record.model_copy(update={"protocol": protocol.model_copy(update=told)}), stored.file)


def _read(path: Path) -> tuple[Record, list[str]]:
    """A record without the rows that cannot be read, and what is wrong with those.

    Raises:
        DataError: the record cannot be read at all, or not one of its rows.
    """
    again = "run the same 'nferbench run' again to rewrite it"
    try:
        if not path.is_file():
            raise DataError("not a file; move it out of the workspace")
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"larger than {LARGEST // 10**6} MB, so not a record of a run; move it out of the workspace"
            )
        raw = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"not readable as JSON ({error}); {again}") from None
    version = raw.get("version") if isinstance(raw, dict) else None
    if version != VERSION:
        raise DataError(f"record version {version!r:.40}, this nferbench reads {VERSION}; report with the one that ran")
    try:
        record = Record.model_validate({**raw, "rows": []})
    except ValidationError as error:
        raise DataError(f"not a record of a run ({_first(error)}); run the same 'nferbench run' again") from None
    rows, faults = _rows(raw.get("rows"), record.protocol.fer_seeds)
    if faults and not rows:
        raise DataError(f"not a record of a run ({faults[0]}); run the same 'nferbench run' again")
    return record.model_copy(update={"rows": tuple(rows)}), [
        f"a row is left out ({fault}); {again}" for fault in faults
    ]


def _rows(raw: Any, seeds: int) -> tuple[list[Row], list[str]]:
    """The rows of a record that can be read, each name once, and what is wrong with the others.

    Args:
        raw: what stands in the record.
        seeds: how many trainings of the recogniser, each another one, stand behind a fold that has any.
    """
    if not isinstance(raw, list):
        return [], ["rows: not a list"]
    rows: dict[str, Row] = {}
    faults: list[str] = []
    for i, each in enumerate(raw):
        try:
            row = _ROW.validate_python(each)
        except ValidationError as error:
            faults.append(f"rows.{i}.{_first(error)}")
            continue
        if row.name in rows:
            faults.append(f"rows.{i}.name: there is another row '{row.name}'")
        elif len({fold.fold for fold in row.folds}) < len(row.folds):
            faults.append(f"rows.{i}.folds: one fold twice")
        elif any(keys and not len(keys) == len(set(keys)) == seeds for keys in map(_training_keys, row.folds)):
            faults.append(f"rows.{i}.folds: not {seeds} trainings of the recogniser behind each")
        else:
            rows[row.name] = row
    return list(rows.values()), faults


def _training_keys(fold: FoldEntries) -> list[str]:
    return [entry.key for entry in fold.trainings()]


_ROW = TypeAdapter(Row)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
