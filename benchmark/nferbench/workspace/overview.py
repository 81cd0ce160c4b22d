"""What a workspace holds: what is done, at work, failed, unfinished or damaged, and what room it takes. Only read."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.workspace.entries import all_entries, check, read_entry
from nferbench.workspace.files import read_json
from nferbench.workspace.holders import RUN, Holder, holders
from nferbench.workspace.recorded import Recorded, all_recorded, reached
from nferbench.workspace.stages import KINDS
from nferbench.workspace.unfinished import MARK

BLOCKS = "blocks"  # finished parts of faces that are being prepared
ASIDE = ("partial", "damaged", "replaced", "failures", "records", "cache")  # folders beside those of the kinds


@final
@dataclass(frozen=True)
class Folder:
    """What one folder of the workspace takes."""

    name: str
    items: int
    bytes: int


@final
@dataclass(frozen=True)
class RowState:
    """How far a row of a record is, and what it takes."""

    record: str
    row: str
    done: int  # stages behind it that are whole
    stages: int  # all stages behind it, as far as the record and what is done tell
    bytes: int  # of all that is done
    alone: int  # of what no other row needs


@final
@dataclass(frozen=True)
class Running:
    """A stage, or a whole run, that somebody is at work on."""

    what: str  # its name
    key: str  # of the stage; "" for a run
    host: str
    process: int | None
    since: datetime | None  # of the lock, else of what lies in the partial directory; None where neither tells
    silent: float  # seconds since its last sign of life


@final
@dataclass(frozen=True)
class Failed:
    """The last attempt at a stage that is not done."""

    what: str
    key: str
    status: str
    reason: str


@final
@dataclass(frozen=True)
class Begun:
    """Work that nobody is at."""

    what: str
    key: str
    bytes: int
    done: int | None  # updates, or images, as its mark says; None where it has none
    resumable: bool  # whether the next attempt can go on with it


@final
@dataclass(frozen=True)
class Overview:
    """A workspace at one moment."""

    workspace: str
    at: datetime
    done: int  # whole stages
    folders: tuple[Folder, ...]  # kinds in the order of work, then the others
    rows: tuple[RowState, ...]
    running: tuple[Running, ...]
    failed: tuple[Failed, ...]
    waiting: int  # stages that wait for a failed one
    unfinished: tuple[Begun, ...]
    damaged: tuple[str, ...]  # what is wrong, a line each
    unreadable: tuple[str, ...]  # records, a line each


def overview(workspace: Path) -> Overview:
    """Look at a workspace, also while runs are at work in it: what comes or goes meanwhile may be missed, no more.

    Raises:
        OSError: a folder cannot be listed.
    """
    recorded, unreadable = all_recorded(workspace)
    sizes, needs, damaged = _entries(workspace)
    held = {holder.lock: holder for holder in holders(workspace, time.time()) if holder.live}
    names = _names(workspace, recorded)
    failed = [each for each in _failures(workspace) if each.key not in sizes and each.key not in held]
    begun = [each for each in _partial(workspace, names) if each.key not in sizes and each.key not in held]
    return Overview(
        one_line(str(workspace)),
        datetime.now(UTC).replace(microsecond=0),
        len(sizes),
        (
            *(Folder(kind, len(_inside(workspace / kind)), size_of(workspace / kind)) for kind in KINDS),
            *(Folder(name, len(_inside(workspace / name)), size_of(workspace / name)) for name in ASIDE),
        ),
        tuple(_rows(recorded, sizes, needs)),
        tuple(_running(workspace, holder, names) for holder in held.values() if _is_work(holder)),
        tuple(each for each in failed if each.status != "waiting"),
        sum(each.status == "waiting" for each in failed),
        tuple(begun),
        tuple(damaged),
        tuple(unreadable),
    )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; those that go meanwhile count nothing."""
    with suppress(OSError):
        if not path.is_dir():
            return path.lstat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def resumable(partial: Path) -> bool:
    """Whether an attempt can go on with what lies in a partial directory."""
    return (partial / MARK).exists() or any(partial.glob(f"{BLOCKS}/*"))


def _entries(workspace: Path) -> tuple[dict[str, int], dict[str, list[str]], list[str]]:
    """Bytes of each whole stage and what it needs, by key, and what is wrong with the others."""
    sizes: dict[str, int] = {}
    needs: dict[str, list[str]] = {}
    damaged: list[str] = []
    for path in all_entries(workspace):
        try:
            entry = read_entry(path)
            check(entry)
        except FileNotFoundError:
            continue
        except (OSError, DataError) as error:
            if path.exists():  # not set aside meanwhile
                damaged.append(one_line(str(error)))
            continue
        sizes[entry.info["key"]] = sum(int(file["bytes"]) for file in entry.info["files"].values())
        needs[entry.info["key"]] = needs_of(entry.info)
    return sizes, needs, damaged


def needs_of(info: Mapping[str, Any]) -> list[str]:
    """The keys that the stage of a stage.json needs."""
    needs = info["description"].get("needs")
    return [each for each in needs if isinstance(each, str)] if isinstance(needs, list) else []


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _names(workspace: Path, recorded: list[Recorded]) -> dict[str, str]:
    """What stages are called, by key: locks and partial directories have the key alone."""
    names = {}
    for record in recorded:
        for stages in (record.faces, *(row.stages for row in record.rows)):
            for key, place in stages.items():
                kind, name = PurePosixPath(place).parts
                names[key] = one_line(f"{kind} {name.removesuffix(f'-{key[:12]}')}")
    return names | {each.key: each.what for each in _failures(workspace) if each.what}


def _failures(workspace: Path) -> Iterator[Failed]:
    for path in sorted(_inside(workspace / "failures")):
        if path.suffix != ".json":
            continue
        try:
            said = read_json(path)
        except FileNotFoundError:
            continue
        except DataError:
            said = {"status": "failed", "reason": f"{path} cannot be read"}
        what, status, reason = (
            one_line(" ".join(str(said.get(name, "")).split())) for name in ("stage", "status", "reason")
        )
        yield Failed(what or f"stage {path.stem[:12]}", path.stem, status, reason)


def _partial(workspace: Path, names: Mapping[str, str]) -> Iterator[Begun]:
    for path in sorted(_inside(workspace / "partial")):
        done = None
        with suppress(OSError, DataError):
            said = read_json(path / MARK).get("done")
            done = said if type(said) is int and said >= 0 else None
        key = path.name.partition(".")[0]  # what follows is the token of whoever was at work there last
        yield Begun(names.get(key, f"stage {one_line(key)[:12]}"), key, size_of(path), done, resumable(path))


def _is_work(holder: Holder) -> bool:
    return holder.lock.startswith(RUN) or len(holder.lock) == 64


def _running(workspace: Path, holder: Holder, names: Mapping[str, str]) -> Running:
    key = "" if holder.lock.startswith(RUN) else holder.lock
    what = names.get(key, f"stage {key[:12]}") if key else "run"
    since = holder.since or _oldest(workspace, key)
    return Running(what, key, one_line(holder.host), holder.process, since, round(holder.silent, 1))


def _oldest(workspace: Path, key: str) -> datetime | None:
    """When the first of what lies in the partial directory of a stage was written."""
    with suppress(OSError):
        times = [each.stat().st_mtime for path in workspace.glob(f"partial/{key}*") for each in path.iterdir()]
        return datetime.fromtimestamp(min(times), UTC).replace(microsecond=0) if times else None
    return None


def _rows(recorded: list[Recorded], sizes: Mapping[str, int], needs: Mapping[str, list[str]]) -> Iterator[RowState]:
    behind = [(record, row, reached(row.stages, needs)) for record in recorded for row in record.rows]
    users = Counter(key for _, _, keys in behind for key in keys)
    for record, row, keys in behind:
        done = [key for key in keys if key in sizes]
        alone = sum(sizes[key] for key in done if users[key] == 1)
        total = sum(sizes[key] for key in done)
        yield RowState(one_line(record.name), one_line(row.name), len(done), len(keys), total, alone)
