"""Locks between runs, on one machine or on several that share a file system: who is at work on what.

A lock is a folder with one file in it, which is named by a random token of its owner and touched as long as that one
lives. It is made aside and renamed into place, which succeeds only where nothing or an empty folder is: everywhere, on
NFS too, where the server decides. No hard links are needed. To release a lock, or to clear it of an owner that is gone,
is to remove the file of that token. So whoever was held up between judging a lock and acting on it can do no harm: the
name that is removed is the one that was judged, and no later owner has it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError, NferbenchError
from nferbench.contract.printable import one_line
from nferbench.workspace.owners import UNREADABLE, Owner, read_owner, this_process

HEARTBEAT = 5.0  # seconds between two signs of life of a lock's owner
STALE = 60.0  # seconds without one after which a lock is void whose owner cannot be asked for
PATIENCE = 90.0  # seconds that `turn` waits: a lock of another host is void by then
TRIES = 50  # to take a lock that nobody holds

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class HeldError(NferbenchError):
    """A stage that another live run is at work on."""


@final
class LostError(HeldError):
    """A lock that was thought void while its owner was held up, and that another one took."""


@final
@dataclass(frozen=True)
class Claim:
    """A lock that this process took."""

    lock: Path
    name: str  # of the work, in messages
    token: str
    lost: threading.Event = field(default_factory=threading.Event)  # set once it is known to be

    def check(self) -> None:
        """Give a sign of life, which asks the file system and no cache whether the lock is still ours.

        Raises:
            LostError: it is not.
        """
        try:
            os.utime(self.lock / self.token)
        except OSError as error:
            if error.errno in _GONE:
                self.lost.set()
        if self.lost.is_set():
            to = ""
            with suppress(DataError, OSError):
                if other := holder(self.lock):
                    to = f" to {other.told()}"
            raise LostError(f"the lock of {self.name} was lost{to}, as its owner gave no sign of life; nothing is kept")


@contextmanager
def claim(lock: Path, name: str) -> Iterator[Claim]:
    """Hold a lock while working on something.

    Args:
        lock: the folder that stands for it.
        name: what the work is called in messages.

    Raises:
        HeldError: another live process holds it.
        DataError: something else is in its place.
    """
    mine = _take(lock, name)
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(mine, stop), daemon=True)
    beat.start()
    try:
        yield mine
    finally:
        stop.set()
        beat.join()
        with suppress(OSError):
            (lock / mine.token).unlink()
            lock.rmdir()


@contextmanager
def turn(lock: Path, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock for work of a moment, after waiting for others to be done with theirs.

    Args:
        lock: the folder that stands for it.
        name: what the work is called in messages.
        patience: seconds after which waiting is given up.

    Raises:
        HeldError: another live process has held it all that time.
    """
    deadline = time.monotonic() + patience
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(claim(lock, name))
                break
            except HeldError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield


def holder(lock: Path) -> Owner | None:
    """Who holds a lock; None where nobody does who lives.

    Raises:
        DataError: something else is in its place.
    """
    for sign in _signs(lock):
        owner, void = _judged(lock, sign)
        if not void:
            return owner
    return None


def signs(lock: Path) -> list[tuple[Owner, float]]:
    """Who gave signs of life at a lock, void or not, and when last, in seconds since 1970. Nothing is written.

    Raises:
        DataError: something else is in its place.
    """
    return [said for sign in _signs(lock) if (said := _read(lock, sign)) is not None]


def _take(lock: Path, name: str) -> Claim:
    lock.parent.mkdir(parents=True, exist_ok=True)
    mine = Claim(lock, name, secrets.token_hex(16))
    aside = lock.with_name(f".{mine.token}")
    try:
        for _ in range(TRIES):
            _clear(lock, name)
            if not aside.exists():
                aside.mkdir()
                (aside / mine.token).write_text(this_process().written(), "utf-8")
            try:
                aside.rename(lock)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                if not (lock / mine.token).exists():  # where it is, only the answer that all went well was lost
                    time.sleep(0.02)
                    continue
            return mine
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    raise DataError(f"{name}: its lock {lock} could not be taken; remove it if no run is active")


def _clear(lock: Path, name: str) -> None:
    """Remove void signs from a lock; what is removed is named by what was judged.

    Raises:
        HeldError: it is held.
    """
    for sign in _signs(lock):
        owner, void = _judged(lock, sign)
        if not void:
            raise HeldError(
                f"{name} is held by {owner.told()}; wait for that run to end, or give this one a --workspace of its own"
            )
        with suppress(OSError):
            sign.unlink()
    with suppress(OSError):
        lock.rmdir()  # not all file systems rename onto an empty folder; one with something in it stays


def _signs(lock: Path) -> list[Path]:
    """The files of a lock that say who holds it: one, or none."""
    try:
        names = os.listdir(lock)  # noqa: PTH208
    except NotADirectoryError:
        return [lock]  # of an earlier version, where the lock was a file; removing that never removes a folder
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{lock} is no lock ({error.strerror}); move it away") from None
    odd = [name for name in names if not re.fullmatch(r"[0-9a-f]{32}|\..*", name)]
    if odd:
        raise DataError(f"{lock} is no lock (it holds {one_line(odd[0])}); move it away")
    return [lock / name for name in names if not name.startswith(".")]


def _judged(lock: Path, sign: Path) -> tuple[Owner, bool]:
    """Who gave a sign, and whether it is void."""
    said = _read(lock, sign)
    if said is None:
        return UNREADABLE, True  # released meanwhile
    owner, touched = said
    gone = owner.gone()
    return owner, _now(lock.parent) - touched > STALE if gone is None else gone


def _read(lock: Path, sign: Path) -> tuple[Owner, float] | None:
    """Who gave a sign, and when last; None where it is gone."""
    try:
        with sign.open("rb") as file:  # opening asks the server of a network file system for the time as it is now
            touched = os.fstat(file.fileno()).st_mtime
            return read_owner(file.read(2**16).decode("utf-8", "replace")) or UNREADABLE, touched
    except OSError as error:
        if error.errno in (*_GONE, errno.EISDIR):
            return None
        raise DataError(f"{lock} is no lock ({error.strerror}); move it away") from None


def _now(folder: Path) -> float:
    """The time by the clock that stamps the files of a folder: those of two machines may be minutes apart."""
    probe = folder / f".{secrets.token_hex(16)}"
    try:
        probe.touch()
        os.utime(probe)
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _heartbeat(mine: Claim, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(mine.lock / mine.token)
        except OSError as error:
            if error.errno in _GONE:
                mine.lost.set()
                return
