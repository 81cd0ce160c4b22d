"""How a run shows itself: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import final

from rich.cells import cell_len, set_cell_size
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
from rich.table import Column

from nferbench.cli.formatting import duration
from nferbench.engine.worker import Finished
from nferbench.workspace.stages import Stage, readable

QUIET_SECONDS = 20.0  # between two plain lines of progress of one stage


NUMBERS = 28  # columns of a count such as 1024/4096, of two times, and of the gaps


def fitted(label: str, width: int) -> str:
    """A label in so many columns, what it begins and ends with kept: the kind of a stage, and its fold.

    >>> fitted("recognition smallcnn-pix2pix-fold4", 24)
    'recognition …pix2pix-fold4'
    """
    if cell_len(label) <= width:
        return label
    head, _, rest = label.rpartition(" ")
    head = set_cell_size(head, min(cell_len(head), width // 2)) + " "
    while cell_len(head) + cell_len(rest) >= width and rest:
        rest = rest[1:]
    return f"{head}…{rest}"


@final
class LiveReporter:
    """A bar for all stages and one for each that is at work. For terminals."""

    def __init__(self, console: Console, stages: Sequence[Stage]) -> None:
        self._console = console
        whole = Column(no_wrap=True, min_width=7)  # the times are shown whole: labels and bars give way
        bar = min(max((console.width - NUMBERS) // 5, 4), 40)
        self._room = max(console.width - NUMBERS - bar, 10)  # columns of a label
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=bar),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=whole),
            TimeRemainingColumn(table_column=whole),
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
        self.left(stage)
        self._tasks[stage] = self._progress.add_task(fitted(f"  {readable(stage)}", self._room), total=None)

    def progress(self, stage: Stage, done: int, total: int) -> None:
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def told(self, stage: Stage, text: str) -> None:
        self._console.print(f"note: {readable(stage)}: {text}", markup=False, highlight=False)

    def left(self, stage: Stage) -> None:
        if stage in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage))

    def waits(self, stage: Stage, holder: str) -> None:
        self.left(stage)
        self._tasks[stage] = self._progress.add_task(fitted(f"  waiting: {readable(stage)}", self._room), total=None)
        self._console.print(f"{readable(stage)}: waiting for {holder}", markup=False, highlight=False)

    def ended(self, stage: Stage, finished: Finished) -> None:
        self._progress.advance(self._all)
        self.left(stage)
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

    def left(self, stage: Stage) -> None:
        return

    def waits(self, stage: Stage, holder: str) -> None:
        self._print(f"          {readable(stage)}: waiting for {holder}")

    def ended(self, stage: Stage, finished: Finished) -> None:
        self._ended += 1
        elapsed = time.monotonic() - self._began
        left = elapsed / self._ended * (self._total - self._ended)
        end = f"{finished.status}: {finished.reason}"
        if finished.status == "done":
            end = finished.reason or f"{finished.seconds:.1f} s"
        self._print(f"{self._ended:>4}/{self._total} {readable(stage)}  {end}  (about {duration(left)} left)")
        if finished.trace:
            self._print(finished.trace)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
