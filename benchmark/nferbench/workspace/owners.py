"""Who holds a lock: a process of this machine, which can be asked for, or one of another, which cannot."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import final

from nferbench.contract.printable import one_line

SINCE = "%Y-%m-%d %H:%M:%S UTC"  # how a lock says since when it is held


@final
@dataclass(frozen=True)
class Owner:
    """A process that took a lock."""

    host: str
    process: int
    started: str  # in the kernel's ticks, for numbers of processes are used again
    boot: str | None = None  # of the machine, and the namespace of its processes: where either differs, a number means
    namespace: str | None = None  # another process; None in locks that are older than these fields
    since: str = ""  # when the lock was taken, by the clock of its owner

    def told(self) -> str:
        """For people."""
        since = f" since {self.since}" if self.since else ""
        return one_line(f"process {self.process} on {self.host}{since}")

    def written(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    def gone(self) -> bool | None:
        """Whether it is known to have ended; None where that cannot be told from here."""
        here = _here()
        if (self.host, self.boot, self.namespace) not in (here, (here[0], None, None)):
            return None
        return _started(self.process) != self.started


UNREADABLE = Owner("a host that cannot be read", 0, "", "", "")


def this_process() -> Owner:
    """The owner of locks that are taken now."""
    now = f"{datetime.now(UTC):{SINCE}}"
    host, boot, namespace = _here()
    return Owner(host, os.getpid(), _started(os.getpid()), boot, namespace, now)


def read_owner(text: str) -> Owner | None:
    """What `Owner.written` gave; None for anything else."""
    try:
        said = json.loads(text)
        owner = Owner(**{field.name: said[field.name] for field in fields(Owner) if field.name in said})
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (owner.host, owner.started, owner.since, owner.boot or "", owner.namespace or "")
    return owner if type(owner.process) is int and all(isinstance(each, str) for each in texts) else None


@cache
def _here() -> tuple[str, str, str]:
    """What a process number of this process's machine means something with."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # no path: pid:[4026531836]
    except OSError:
        boot = namespace = ""  # no Linux: the name of the host is all that there is
    return socket.gethostname(), boot, namespace


def _started(process: int) -> str:
    """When a process of this machine began, in the kernel's ticks; "" for one that is gone."""
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
