"""Locks between runs, on one machine or on several that share a file system: who is at work on what."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nferbench.contract.errors import NferbenchError

HEARTBEAT = 5.0  # seconds between two signs of life of a lock's owner
STALE = 60.0  # seconds without one after which a lock of another host is void
PATIENCE = 90.0  # seconds that `turn` waits: a lock of another host is void by then


class HeldError(NferbenchError):
    """A stage that another live run is at work on."""


@contextmanager
def claim(lock: Path, name: str) -> Iterator[None]:
    """Hold a lock while working on something.

    Args:
        lock: the file that stands for it.
        name: what the work is called in messages.

    Raises:
        HeldError: another live process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    _acquire(lock, name)
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(lock, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        lock.unlink(missing_ok=True)


@contextmanager
def turn(lock: Path, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock for work of a moment, after waiting for others to be done with theirs.

    Args:
        lock: the file that stands for it.
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


def _acquire(lock: Path, name: str) -> None:
    owner: dict[str, Any] = {"host": socket.gethostname(), "process": os.getpid(), "started": _started(os.getpid())}
    for _ in range(10):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder = _holder(lock)
            if holder is None:
                continue  # released meanwhile
            if not _is_void(lock, holder, owner["host"]):
                raise HeldError(
                    f"{name} is held by process {holder.get('process')} on {holder.get('host')}; "
                    "wait for that run to end, or give this one a --workspace of its own"
                ) from None
            # Renaming is atomic: of several that find a void lock, one removes it and the others try again.
            grave = lock.with_name(f"{lock.name}.{os.getpid()}.{time.monotonic_ns()}")
            try:
                lock.rename(grave)
                grave.unlink()
            except FileNotFoundError:
                pass
            continue
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(owner, file)
        except OSError:
            lock.unlink(missing_ok=True)
            raise
        return
    raise HeldError(f"{name}: its lock {lock} could not be taken; remove the file if no run is active")


def _holder(lock: Path) -> dict[str, Any] | None:
    for _ in range(20):  # a lock just created may still be empty
        try:
            holder = json.loads(lock.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            time.sleep(0.05)
            continue
        except OSError as error:
            raise HeldError(f"{lock} is no lock ({error.strerror}); move it away") from None
        return holder if isinstance(holder, dict) else {}
    return {}


def _is_void(lock: Path, holder: Mapping[str, Any], host: str) -> bool:
    if not holder:
        return True  # its owner did not live long enough to say who it is
    if holder.get("host") == host:
        process = holder.get("process")
        return not isinstance(process, int) or _started(process) != holder.get("started")
    try:
        return time.time() - lock.stat().st_mtime > STALE
    except FileNotFoundError:
        return True


def _started(process: int) -> str:
    """When a process of this machine began, in the kernel's ticks; "" for one that is gone (numbers are used again)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8")
    except OSError:
        if Path("/proc/self").exists():
            return ""
        try:
            os.kill(process, 0)
        except OSError:
            return ""
        return "alive"
    state, *rest = text.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]


def _heartbeat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(lock)
        except OSError:
            return
