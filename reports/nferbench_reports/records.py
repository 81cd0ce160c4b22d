"""What the runner left in a workspace: records of runs, finished stages, and the reasons of those that are not."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import first_of, one_line
from nferbench_reports import telling

VERSION = 1  # of the record files that this module reads
SCORES = ("lpips", "psnr", "ssim", "psnr_paper", "ssim_paper")  # of the stage that every row has
RECOGNITION = ("accuracy", "macro_f1")
LARGEST = 64_000_000  # bytes of a record; one of a hundred rows on ten folds has half a million

TableName = Literal["comparison", "ablation", "study"]
Group = Literal["reference", "none", "gan", "diffusion", "given"]


_AS_STORED = ConfigDict(frozen=True, extra="ignore")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _line(text: str) -> str:
    return one_line(" ".join(text.split()))


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or not path.isprintable() or "\\" in path:
        raise ValueError(f"{path!r} is no path below the workspace")
    return path


Text = Annotated[str, AfterValidator(_line)]  # one printable line, whatever stands in the file
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)] | Annotated[int, Field(ge=-(2**63), lt=2**63)]
Value = bool | Number | Text | None
Key = Annotated[str, Field(pattern=r"^[\w+-]{1,128}$")]
Below = Annotated[str, AfterValidator(_below)]


@final
class Entry(BaseModel):
    """One stage of a run: its key, and its directory below the workspace."""

    model_config = _AS_STORED

    key: Key
    path: Below


@final
class MeasuredEntry(BaseModel):
    """The stage that measured a fold by one metric."""

    model_config = _AS_STORED

    name: Text  # of the metric
    key: Key
    path: Below


@final
class Metric(BaseModel):
    """What a row was measured by beside LPIPS, PSNR and SSIM."""

    model_config = _AS_STORED

    name: Annotated[Text, Field(min_length=1)]
    title: Annotated[Text, Field(min_length=1)]
    better: Literal["higher", "lower"]
    decimals: Annotated[int, Field(ge=0, le=9)] = 4
    lacking: Text = ""  # why a real face may give nothing to measure by
    note: Text = ""  # what a reader of the column must know
    identity: Text = ""  # stands for all that decides its numbers


@final
class FoldEntries(BaseModel):
    """The stages of one method on one fold; None where a stage does not apply to the method."""

    model_config = _AS_STORED

    fold: Count
    translation: Entry | None = None
    quality: Entry | None = None
    fer: Entry | None = None
    fer_repeats: tuple[Entry, ...] = ()  # further trainings of the same recogniser; none in records of earlier versions
    metrics: tuple[MeasuredEntry, ...] = ()  # by `Row.metrics`, as far as they are measured
    needs: tuple[Entry, ...] = ()  # all stages that these need, networks too; none in records of earlier versions

    def trainings(self) -> tuple[Entry, ...]:
        """All trainings of the recogniser, in the order of their seeds."""
        return () if self.fer is None else (self.fer, *self.fer_repeats)


@final
class Varied(BaseModel):
    """Which place in which study a row has: one method with many values of one of its fields."""

    model_config = _AS_STORED

    name: Text  # of the study
    method: Text
    field: Text
    value: Value
    default: Value  # what the method itself has there
    held: tuple[Text, ...] = ()  # what the study sets besides, in words
    rest: Text  # stands for all that is not varied: rows of one curve have it in common


def _told_apart_by_name(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    names = [*SCORES, *RECOGNITION, *(metric.name for metric in metrics)]
    if len(names) > len(set(names)):
        raise ValueError("a metric has the name of another column")
    return metrics


@final
class Row(BaseModel):
    """One method of a run, or one reference row."""

    model_config = _AS_STORED

    name: Text
    title: Text
    group: Group
    heterogeneous: bool = False
    tables: tuple[TableName, ...]
    stamps: tuple[Text, ...] = ()  # what a reader of the numbers must know about how they were made
    study: Varied | None = None  # None for rows of none, and in records of earlier versions
    metrics: Annotated[tuple[Metric, ...], AfterValidator(_told_apart_by_name)] = ()  # none in earlier versions
    folds: tuple[FoldEntries, ...]


@final
class Protocol(BaseModel):
    """Everything that two results must share to be compared."""

    model_config = _AS_STORED

    dataset: Text
    dataset_title: Text
    extra: Text | None = None
    extra_title: Text | None = None
    preset: Text
    size: Count
    folds: Annotated[int, Field(ge=1, le=10_000)]
    seed: int
    fer: Text
    fer_title: Text
    fer_seeds: Annotated[int, Field(ge=1, le=100)] = 1  # trainings of each recogniser; absent in earlier versions
    classes: tuple[Text, ...]
    subjects: Count
    pairs: Count
    splits: Text
    division: Literal["folds", "repeats", "fixed"] = "folds"
    crop: Text = ""  # how faces were found and cropped; empty in records of earlier versions
    place: Text = ""  # stands for where the data set lies; empty where nowhere, and in records of earlier versions
    without_extra: Text = "no extra set"  # why there is none, where there is none; records of earlier versions lack it
    known_as: Text = ""  # the data set's own name where a report has put more behind it; empty in every file

    def own_name(self) -> str:
        """The data set's own name, by which the published numbers are found."""
        return self.known_as or self.dataset

    def averaged(self) -> str:
        """How many trainings stand behind each number of recognition, as the end of a sentence; "" for one."""
        return f", recognition averaged over {self.fer_seeds} trainings" if self.fer_seeds > 1 else ""

    def trainings(self) -> str:
        """How often each recogniser is trained, such as "3 trainings"."""
        return f"{self.fer_seeds} training{'s' * (self.fer_seeds > 1)}"

    def divided(self) -> str:
        """How people are divided, such as "5 folds"."""
        words = {"folds": "fold", "repeats": "random draw", "fixed": "fixed split"}
        return f"{self.folds} {words[self.division]}{'s' * (self.folds > 1)}"

    def summary(self) -> str:
        """The protocol in one line."""
        extra = self.extra_title or self.extra or "none"
        crop = f", crop {self.crop}" if self.crop else ""
        return (
            f"preset {self.preset}, {self.size} px{crop}, {self.divided()}, seed {self.seed}, "
            f"extra set {extra}, FER {self.fer_title}{self.averaged()}"
        )


@final
class Record(BaseModel):
    """One run of one protocol."""

    model_config = _AS_STORED

    version: Literal[1]
    created: Annotated[datetime, AfterValidator(_aware)]
    command: Text
    nferbench: Text
    protocol: Protocol
    faces: Entry
    extra_faces: Entry | None = None  # None also in records of earlier versions
    rows: tuple[Row, ...]

    def metrics(self) -> tuple[Metric, ...]:
        """What any row was measured by; of two of one name that of the first row, which is of the newest run."""
        named: dict[str, Metric] = {}
        for row in self.rows:
            for metric in row.metrics:
                named.setdefault(metric.name, metric)
        return tuple(named.values())


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
        "dataset_title": f"{protocol.dataset_title} ({_line(mark)})",
        "known_as": protocol.dataset,
    }
    return Stored(stored.record.model_copy(update={"protocol": protocol.model_copy(update=told)}), stored.file)


def folder_of(workspace: Path, entry: Entry) -> Path:
    """Where a stage lies: its key alone names the directory, the readable part may have come from another run."""
    stored = workspace / entry.path
    if stored.name.endswith(f"-{entry.key[:12]}") and stored.is_dir():
        return stored  # without a look at all others
    return next(stored.parent.glob(f"*-{entry.key[:12]}"), stored)


def missing_reason(workspace: Path, entry: Entry, *files: str) -> str | None:
    """Why a stage has no result, in one line without a full stop; None where it is complete.

    Args:
        workspace: where it lies.
        entry: the stage.
        files: those of its files that will be read; each must be what was written.
    """
    stored = folder_of(workspace, entry) / "stage.json"
    if stored.exists() or stored.parent.is_file():
        name = stored.parent.name
        try:
            info = read_json(stored)
            for file in files:
                if file in info.get("left_out", ()):
                    return f"bundles have no faces in them ({file} is left out)"
            written = {file: str(info["files"][file]["sha256"]) for file in files}
            mine = info["key"] == entry.key
        except (OSError, ValueError, KeyError, TypeError):
            return f"{name} is damaged; run the same 'nferbench run' again"
        if not mine:
            return f"{name} holds the results of another stage; run 'nferbench run' again"
        changed = [file for file in files if _sha256(stored.parent / file) != written[file]]
        if changed:
            return (
                f"{name}/{changed[0]} is not what was written; try 'nferbench verify --set-aside', then 'nferbench run'"
            )
        return None
    path = workspace / "failures" / f"{entry.key}.json"
    if not path.is_file():
        return "not run yet"
    try:
        failure = read_json(path)
        parts = [str(failure["status"]), str(failure.get("reason") or "")]
        stage = str(failure.get("stage") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"failed; failures/{path.name} is damaged"
    parts = [_line(part).rstrip(".") for part in parts]
    reason = ": ".join(part for part in parts if part)
    if parts[0] == "waiting" and parts[1]:
        return parts[1]  # already names the stage that failed and how
    return f"{reason} ({_line(stage)})" if stage else reason


def _sha256(path: Path) -> str | None:
    try:
        state = path.stat()
        return _hashed(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    except OSError:
        return None


@cache
def _hashed(path: Path, state: tuple[int, ...]) -> str:
    """The checksum of a file; what changes when the file does is part of the question."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: it is none, or one of a nesting that no run writes.
        OSError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None


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
