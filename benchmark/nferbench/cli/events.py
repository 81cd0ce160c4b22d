"""A log of a run for other tools: one event a line, as JSON, added to a file while the run goes on."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from nferbench.cli.output import complain
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.contract.unnamed import unnamed
from nferbench.workspace.stages import Stage, key, readable
from nferbench.workspace.store import Store

if TYPE_CHECKING:
    from nferbench.engine.agenda import Reporter
    from nferbench.engine.worker import Finished

PROGRESS_SECONDS = 30.0  # least time between two events of progress of one stage


def event_log(path: Path, store: Store, device: str) -> EventLog:
    """A log that is added to; its first event says that this run has begun.

    Args:
        path: the file; made if it is not there.
        store: of the workspace.
        device: "cpu" or "cuda", that stages are done on.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        log = EventLog(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), path, store, device)
        log.write("begun", None, {"device": device})
    except OSError as error:
        raise UsageError(
            f"--log {path} cannot be written ({error.strerror}); name a file in a folder that can be written to"
        ) from None
    return log


def both(first: Reporter, second: Reporter) -> Reporter:
    """A reporter that tells two."""
    return _Both(first, second)


@final
class EventLog:
    """Writes the events of one run. Several runs may add to one file, for a line is written at once.

    A line has `time` (UTC), `event` ("begun", "started", "progress", "told", "left" to
    another run that has it, "waits" for one, or "ended"), `stage`, `kind` and `key`
    (null for the whole run), and `host` and `process` of the run. "ended" has `status`, `reason`, `seconds`, and of a
    stage that is done the `device` it was done on and the memory of a GPU that it took at most, `peak_bytes`; null
    where that is not known. No line names a file.
    """

    def __init__(self, file: int, path: Path, store: Store, device: str) -> None:
        self._file = file
        self._path = path
        self._store = store
        self._device = device
        self._broken = False
        self._since: dict[Stage, float] = {}
        self._spoken: dict[Stage, float] = {}

    def started(self, stage: Stage) -> None:
        self._since[stage] = self._spoken[stage] = time.monotonic()
        self._add("started", stage, {"device": self._device})

    def progress(self, stage: Stage, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._spoken.get(stage, 0.0) >= PROGRESS_SECONDS:
            self._spoken[stage] = now
            self._add("progress", stage, {"done": done, "total": total})

    def told(self, stage: Stage, text: str) -> None:
        self._add("told", stage, {"reason": unnamed(one_line(text))})

    def left(self, stage: Stage) -> None:
        self._since.pop(stage, None)
        self._add("left", stage, {})

    def waits(self, stage: Stage, holder: str) -> None:
        self._add("waits", stage, {"reason": unnamed(one_line(holder))})

    def ended(self, stage: Stage, finished: Finished) -> None:
        began = self._since.pop(stage, None)
        made: Mapping[str, Any] = {}
        if finished.status == "done":
            with suppress(OSError, DataError):
                entry = self._store.find(stage)
                made = entry.info.get("made_with", {}) if entry else {}
        spent = 0.0 if began is None else time.monotonic() - began
        end = {
            "status": finished.status,
            "reason": unnamed(one_line(finished.reason)),
            "seconds": round(finished.seconds or spent, 3),
            "device": made.get("device") or (None if began is None else self._device),
            "peak_bytes": made.get("peak_bytes"),
        }
        self._add("ended", stage, end)

    def write(self, event: str, stage: Stage | None, more: Mapping[str, Any]) -> None:
        """Add an event.

        Raises:
            OSError: it cannot be written, or not all of it.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "stage": one_line(readable(stage)) if stage else None,
            "kind": stage.kind if stage else None,
            "key": key(stage) if stage else None,
            "host": socket.gethostname(),
            "process": os.getpid(),
            **more,
        }
        data = (json.dumps(line) + "\n").encode()
        if os.write(self._file, data) < len(data):
            raise OSError(0, "half a line was written")

    def _add(self, event: str, stage: Stage, more: Mapping[str, Any]) -> None:
        if self._broken:
            return
        try:
            self.write(event, stage, more)
        except OSError as error:
            self._broken = True
            complain(f"--log {self._path} cannot be written any more ({error.strerror}); the run goes on without it")


@final
class _Both:
    """Tells two reporters of everything."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._two = (first, second)

    def started(self, stage: Stage) -> None:
        for each in self._two:
            each.started(stage)

    def progress(self, stage: Stage, done: int, total: int) -> None:
        for each in self._two:
            each.progress(stage, done, total)

    def told(self, stage: Stage, text: str) -> None:
        for each in self._two:
            each.told(stage, text)

    def left(self, stage: Stage) -> None:
        for each in self._two:
            each.left(stage)

    def waits(self, stage: Stage, holder: str) -> None:
        for each in self._two:
            each.waits(stage, holder)

    def ended(self, stage: Stage, finished: Finished) -> None:
        for each in self._two:
            each.ended(stage, finished)
