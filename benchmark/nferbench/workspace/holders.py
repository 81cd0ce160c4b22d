"""Who is at work in a workspace, as its locks say. Nothing is taken, removed or written here but one's own presence."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from nferbench.contract.errors import DataError
from nferbench.workspace.files import read_json
from nferbench.workspace.locks import STALE, claim, turn

RUN = "run-"  # what the locks of whole runs begin with; those of stages are keys
RECORD = "record-"
PRUNE = "prune"
_STAMP = "%Y%m%dT%H%M%SZ"


@final
@dataclass(frozen=True)
class Holder:
    """Who holds, or held, a lock."""

    lock: str  # its name: the key of a stage, `PRUNE`, or `RUN` or `RECORD` and more
    host: str
    process: int | None
    since: datetime | None  # None where the lock does not say
    silent: float  # seconds since its last sign of life
    live: bool  # False: it is gone, and the lock is void


@contextmanager
def at_work(workspace: Path) -> Iterator[None]:
    """Show from beginning to end that a run is at work, between its stages too. Each run has a lock of its own.

    Raises:
        HeldError: the workspace is being pruned, and that does not end.
    """
    folder = workspace / "locks"
    name = f"{RUN}{datetime.now(UTC):{_STAMP}}-{secrets.token_hex(4)}"
    with claim(folder / name, "this run"):
        with turn(folder / PRUNE, "the workspace, which is being pruned,"):
            pass  # whoever prunes from here on sees this run
        yield


def holders(workspace: Path, now: float) -> list[Holder]:
    """All holders of locks, by name of the lock.

    Args:
        workspace: where the locks lie.
        now: seconds since 1970, by the clock that dates files there.
    """
    folder = workspace / "locks"
    found = [_holder(path, now) for path in sorted(folder.iterdir() if folder.is_dir() else ())]
    return [holder for holder in found if holder is not None]


def _holder(lock: Path, now: float) -> Holder | None:
    try:
        silent = now - lock.stat().st_mtime
        said = read_json(lock)
    except FileNotFoundError:
        return None  # released meanwhile
    except DataError:
        said = {}
    host, process = str(said.get("host", "unknown")), said.get("process")
    number = process if type(process) is int else None
    if host == socket.gethostname() and number is not None:
        live = _runs(number, said.get("started"))
    else:
        live = silent <= STALE
    since = _moment(said.get("since"), lock.name)
    return Holder(lock.name, host, number, since, max(0.0, silent), live)


def _moment(said: Any, lock: str) -> datetime | None:
    """Since when a lock is held: that of a run has it in its name."""
    try:
        if lock.startswith(RUN):
            return datetime.strptime(lock.split("-")[1], _STAMP).replace(tzinfo=UTC)
        if isinstance(said, str):
            return datetime.fromisoformat(said).astimezone(UTC)
        return datetime.fromtimestamp(said, UTC) if isinstance(said, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _runs(process: int, started: object) -> bool:
    """Whether a process of this machine is there, and began when the lock says."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8")
    except OSError:
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(process, 0)
        except OSError:
            return False
        return True
    state, *rest = text.rpartition(")")[2].split()
    return state != "Z" and rest[18] == started
