"""What the runner left in a workspace: records of runs, finished stages, and the reasons of those that are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from nferbench.contract.errors import DataError, UsageError

VERSION = 1  # of the record files that this module reads

TableName = Literal["comparison", "ablation"]
Group = Literal["reference", "none", "gan", "diffusion"]


_AS_STORED = ConfigDict(frozen=True, extra="ignore")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@final
class Entry(BaseModel):
    """One stage of a run: its key, and its directory below the workspace."""

    model_config = _AS_STORED

    key: str
    path: str


@final
class FoldEntries(BaseModel):
    """The stages of one method on one fold; None where a stage does not apply to the method."""

    model_config = _AS_STORED

    fold: int
    translation: Entry | None = None
    quality: Entry | None = None
    fer: Entry | None = None


@final
class Row(BaseModel):
    """One method of a run, or one reference row."""

    model_config = _AS_STORED

    name: str
    title: str
    group: Group
    heterogeneous: bool = False
    tables: tuple[TableName, ...]
    stamps: tuple[str, ...] = ()  # what a reader of the numbers must know about how they were made
    folds: tuple[FoldEntries, ...]


@final
class Protocol(BaseModel):
    """Everything that two results must share to be compared."""

    model_config = _AS_STORED

    dataset: str
    dataset_title: str
    extra: str | None = None
    extra_title: str | None = None
    preset: str
    size: int
    folds: int
    seed: int
    fer: str
    fer_title: str
    classes: tuple[str, ...]
    subjects: int
    pairs: int
    splits: str
    division: Literal["folds", "repeats", "fixed"] = "folds"
    crop: str = ""  # how faces were found and cropped; empty in records of earlier versions

    def summary(self) -> str:
        """The protocol in one line."""
        extra = self.extra_title or self.extra or "none"
        crop = f", crop {self.crop}" if self.crop else ""
        plural = "s" * (self.folds > 1)
        divided = {"folds": f"fold{plural}", "repeats": f"random draw{plural}", "fixed": f"fixed split{plural}"}
        return (
            f"preset {self.preset}, {self.size} px{crop}, {self.folds} {divided[self.division]}, seed {self.seed}, "
            f"extra set {extra}, FER {self.fer_title}"
        )


@final
class Record(BaseModel):
    """One run of one protocol."""

    model_config = _AS_STORED

    version: Literal[1]
    created: Annotated[datetime, AfterValidator(_aware)]
    command: str
    nferbench: str
    protocol: Protocol
    faces: Entry
    extra_faces: Entry | None = None  # None also in records of earlier versions
    rows: tuple[Row, ...]


@final
@dataclass(frozen=True)
class Stored:
    """A record, and the file it was read from (relative to the workspace, POSIX form)."""

    record: Record
    file: str


@final
@dataclass(frozen=True)
class Records:
    """The records to report, one a dataset, and what has to be said about the others."""

    chosen: tuple[Stored, ...]
    notes: tuple[str, ...]  # records that are not shown, and how to see them
    problems: tuple[str, ...]  # files that could not be read


def read_records(workspace: Path, order: Sequence[str] = (), preset: str | None = None) -> Records:
    """Read the records of a workspace, one file a protocol, and choose the newest of each dataset.

    Args:
        workspace: the directory that `nferbench run` filled.
        order: datasets that come first, in this order; the others follow by name.
        preset: only records of this preset; None takes all.

    Raises:
        UsageError: there is no workspace, nothing was run in it, or nothing with this preset.
        DataError: there are records, and not one of them can be read.
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
    problems: list[str] = []
    for path in paths:
        file = path.relative_to(workspace).as_posix()
        try:
            readable.append(Stored(_read(path), file))
        except DataError as error:
            problems.append(f"{file}: {error}")
    if not readable:
        raise DataError(f"no readable record in workspace '{workspace}'; {'; '.join(problems)}")
    wanted = [stored for stored in readable if preset in (None, stored.record.protocol.preset)]
    if not wanted:
        presets = ", ".join(sorted({stored.record.protocol.preset for stored in readable}))
        raise UsageError(
            f"no stored results of preset '{preset}'; stored: {presets} ('nferbench run --preset {preset}' makes them)"
        )

    def rank(dataset: str) -> tuple[int, str]:
        return (order.index(dataset) if dataset in order else len(order), dataset)

    chosen: list[Stored] = []
    notes: list[str] = []
    for dataset in sorted({stored.record.protocol.dataset for stored in wanted}, key=rank):
        mine = [stored for stored in wanted if stored.record.protocol.dataset == dataset]
        newest, *older = sorted(mine, key=lambda stored: (stored.record.created, stored.file), reverse=True)
        chosen.append(newest)
        notes += [
            f"{newest.record.protocol.dataset_title}: shown is the newest record ({newest.file}), "
            f"not {other.file} ({other.record.protocol.summary()})"
            for other in older
        ]
    return Records(tuple(chosen), tuple(notes), tuple(problems))


def folder_of(workspace: Path, entry: Entry) -> Path:
    """Where a stage lies: its key alone names the directory, the readable part may have come from another run."""
    stored = workspace / entry.path
    return next(stored.parent.glob(f"*-{entry.key[:12]}"), stored)


def missing_reason(workspace: Path, entry: Entry) -> str | None:
    """Why a stage has no result, in one line without a full stop; None where it is complete."""
    stored = folder_of(workspace, entry) / "stage.json"
    if stored.is_file():
        try:
            mine = json.loads(stored.read_text(encoding="utf-8"))["key"] == entry.key
        except (OSError, ValueError, KeyError, TypeError):
            return f"{stored.parent.name} is damaged; run the same 'nferbench run' again"
        return None if mine else f"{stored.parent.name} holds the results of another stage; run 'nferbench run' again"
    path = workspace / "failures" / f"{entry.key}.json"
    if not path.is_file():
        return "not run yet"
    try:
        failure = json.loads(path.read_text(encoding="utf-8"))
        parts = [str(failure["status"]), str(failure.get("reason") or "")]
        stage = str(failure.get("stage") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"failed; failures/{path.name} is damaged"
    reason = ": ".join(" ".join(part.split()).rstrip(".") for part in parts if part.strip())
    if parts[0] == "waiting" and parts[1]:
        return " ".join(parts[1].split()).rstrip(".")  # already names the stage that failed and how
    return f"{reason} ({stage})" if stage else reason


def _read(path: Path) -> Record:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not readable as JSON ({error}); run the same 'nferbench run' again to rewrite it") from None
    version = raw.get("version") if isinstance(raw, dict) else None
    if version != VERSION:
        raise DataError(f"record version {version!r}, this nferbench reads {VERSION}; report with the one that ran")
    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"not a record of a run ({where}: {first['msg']}); run the same 'nferbench run' again"
        ) from None
