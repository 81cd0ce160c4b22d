"""How a run shows itself: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from nferbench.cli.formatting import duration
from nferbench.engine.worker import Finished
from nferbench.workspace.stages import Stage, readable

QUIET_SECONDS = 20.0  # between two plain lines of progress of one stage


@final
class LiveReporter:
    """A bar for all stages and one for each that is at work. For terminals."""

    def __init__(self, console: Console, stages: Sequence[Stage]) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._all = self._progress.add_task("all stages", total=len(stages))
        self._tasks: dict[Stage, TaskID] = {}

    def __enter__(self) -> LiveReporter:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, stage: Stage) -> None:
        self._tasks[stage] = self._progress.add_task(f"  {readable(stage)}", total=None)

    def progress(self, stage: Stage, done: int, total: int) -> None:
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def told(self, stage: Stage, text: str) -> None:
        self._console.print(f"note: {readable(stage)}: {text}", markup=False, highlight=False)

    def ended(self, stage: Stage, finished: Finished) -> None:
        self._progress.advance(self._all)
        if stage in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage))
        if finished.status not in ("done", "waiting"):
            self._console.print(
                f"{finished.status}: {readable(stage)}: {finished.reason}", markup=False, highlight=False
            )
        if finished.trace:
            self._console.print(finished.trace, markup=False, highlight=False)


@final
class PlainReporter:
    """One line a finished stage, and one now and then of those that take long. For logs."""

    def __init__(self, console: Console, stages: Sequence[Stage]) -> None:
        self._console = console
        self._total = len(stages)
        self._ended = 0
        self._began = time.monotonic()
        self._spoken: dict[Stage, float] = {}

    def __enter__(self) -> PlainReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def started(self, stage: Stage) -> None:
        self._spoken[stage] = time.monotonic()

    def progress(self, stage: Stage, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._spoken.get(stage, now) >= QUIET_SECONDS:
            self._spoken[stage] = now
            self._print(f"          {readable(stage)}: {done} of {total}")

    def told(self, stage: Stage, text: str) -> None:
        self._print(f"note: {readable(stage)}: {text}")

    def ended(self, stage: Stage, finished: Finished) -> None:
        self._ended += 1
        elapsed = time.monotonic() - self._began
        left = elapsed / self._ended * (self._total - self._ended)
        end = f"{finished.seconds:.1f} s" if finished.status == "done" else f"{finished.status}: {finished.reason}"
        self._print(f"{self._ended:>4}/{self._total} {readable(stage)}  {end}  (about {duration(left)} left)")
        if finished.trace:
            self._print(finished.trace)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
