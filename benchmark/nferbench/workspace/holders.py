"""Who is at work in a workspace, as its locks say. Nothing is taken, removed or written here but one's own presence."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError
from nferbench.workspace.locks import STALE, claim, signs, turn
from nferbench.workspace.owners import SINCE, UNREADABLE

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
    locks = sorted(path for path in (folder.iterdir() if folder.is_dir() else ()) if not path.name.startswith("."))
    found = [_holder(path, now) for path in locks]
    return [holder for holder in found if holder is not None]


def _holder(lock: Path, now: float) -> Holder | None:
    try:
        given = signs(lock)
    except DataError:
        given = []
    if not given:
        return None  # released meanwhile
    owner, touched = max(given, key=lambda sign: sign[1])
    silent = max(0.0, now - touched)
    gone = owner.gone()
    live = silent <= STALE if gone is None else not gone
    process = owner.process if owner != UNREADABLE else None
    return Holder(lock.name, owner.host, process, _moment(owner.since, lock.name), silent, live)


def _moment(said: str, lock: str) -> datetime | None:
    """Since when a lock is held: that of a run has it in its name."""
    try:
        if lock.startswith(RUN):
            return datetime.strptime(lock.split("-")[1], _STAMP).replace(tzinfo=UTC)
        return datetime.strptime(said, SINCE).replace(tzinfo=UTC)
    except ValueError:
        return None
