"""What is left of a plan: which stages can start, who else is at work on one, and what became of each."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, final

from nferbench.engine.others import Others
from nferbench.engine.worker import Finished
from nferbench.workspace.owners import Owner
from nferbench.workspace.stages import Stage, readable
from nferbench.workspace.store import Store

IDLE = 0.25  # seconds between two rounds of a run that only waits for others


class Reporter(Protocol):
    """What a run tells of its work; the command line shows it."""

    def started(self, stage: Stage) -> None: ...

    def progress(self, stage: Stage, done: int, total: int) -> None: ...

    def told(self, stage: Stage, text: str) -> None: ...

    def left(self, stage: Stage) -> None:
        """A stage that was started is another run's after all."""

    def waits(self, stage: Stage, holder: str) -> None:
        """Nothing else is to do; said once of each holder."""

    def ended(self, stage: Stage, finished: Finished) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended: stages by what became of them."""

    done: tuple[Stage, ...]
    failed: dict[Stage, Finished]  # with their status and reason; those that wait for a failed one as "waiting"


def stopped(timeout: float) -> Finished:
    """How a stage ends that took longer than a run allows, in seconds."""
    return Finished("timeout", f"stopped after {timeout:.0f} s (--timeout)")


@final
class Agenda:
    """The stages of a run. Whoever does them takes one after another, and says how each ended.

    What needs a stage that failed ends as "waiting" when the next one is taken.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        store: Store,
        reporter: Reporter,
        gate: Callable[[], None] | None,
        *,
        wait_for_others: bool,
    ) -> None:
        """Begin with nothing done.

        Args:
            stages: in an order in which each follows what it needs, and are taken as far as they can start; stages
                that are done already are left out.
            store: of the workspace.
            reporter: told of what ends, and of who is waited for.
            gate: called once when the stages that need no other are done, before any other is taken.
            wait_for_others: whether stages that another run is at work on are left to it.
        """
        self._stages = tuple(dict.fromkeys(stages))
        self._places = {stage: place for place, stage in enumerate(self._stages)}
        self._lacking: list[set[int]] = []  # of each, the places of what it needs and is not done
        self._needed_by: list[list[int]] = [[] for _ in self._stages]
        for place, stage in enumerate(self._stages):
            needs = {self._places[need] for need in stage.needs() if need in self._places}
            self._lacking.append(needs)
            for need in needs:
                self._needed_by[need].append(place)
        self._ready = [place for place, needs in enumerate(self._lacking) if not needs]  # and not taken; sorted
        self._later: list[int] = []  # of those that can start, what another run was found at work on when it was tried
        self._open = set(range(len(self._stages)))
        self._first = {place for place, stage in enumerate(self._stages) if not stage.needs()}
        self._taken: set[int] = set()
        self._doomed: list[tuple[int, int]] = []  # what will never start, and what it needs that failed
        self._done: list[Stage] = []
        self._failed: dict[Stage, Finished] = {}
        self._store = store
        self._reporter = reporter
        self._gate = gate
        self._others = Others(store) if wait_for_others else None
        self._waited: dict[Stage, Owner] = {}
        self._told: dict[Stage, Owner] = {}

    def is_open(self) -> bool:
        """Whether a stage has not ended."""
        return bool(self._open)

    def outcome(self) -> Outcome:
        """What became of those that have."""
        return Outcome(tuple(self._done), self._failed)

    def take(self) -> Stage | None:
        """The first stage that can start and is no other run's; None where there is none now.

        Raises:
            Exception: what the gate raises.
        """
        moved = True
        while moved:
            self._settle()
            moved = False
            self._waited = {}
            for place in (*self._ready, *self._later):
                stage = self._stages[place]
                if self._gate is not None and place not in self._first:
                    continue
                if self._others is not None:
                    if (owner := self._others.at_work(stage)) is not None:
                        self._waited[stage] = owner
                        continue
                    if (finished := self._others.ended(stage)) is not None:
                        self._take_off(place)
                        self.end(stage, finished)
                        moved = True
                        continue
                self._take_off(place)
                self._taken.add(place)
                return stage
        return None

    def end(self, stage: Stage, finished: Finished) -> None:
        """Say how a stage ended. One that another run turned out to be at work on is left to it, and can be taken again
        when that one has ended."""
        place = self._places[stage]
        self._taken.discard(place)
        if finished.status == "held" and self._others is not None:
            self._others.meet(stage)
            self._later.append(place)
            self._reporter.left(stage)
            return
        self._open.discard(place)
        self._first.discard(place)
        if finished.status == "done":
            self._done.append(stage)
            for other in self._needed_by[place]:
                self._lacking[other].discard(place)
                if not self._lacking[other]:
                    insort(self._ready, other)
        else:
            self._failed[stage] = finished
            self._doomed += [(other, place) for other in self._needed_by[place]]
        self._reporter.ended(stage, finished)

    def lose(self, stage: Stage, finished: Finished) -> None:
        """Say how a stage ended whose process can note nothing of it any more."""
        with suppress(OSError):  # a failure that cannot be noted (a full disk) is still told; the run goes on
            self._store.fail(stage, finished.status, finished.reason)
        self.end(stage, finished)

    def give_up(self, reason: str) -> None:
        """End all stages that were not taken as waiting."""
        self._sweep()
        self._ready.clear()
        self._later.clear()
        for place in sorted(self._open - self._taken):
            self.lose(self._stages[place], Finished("waiting", reason))
        self._doomed.clear()

    def tell_waits(self) -> None:
        """Say who is waited for, as far as it was not said."""
        for stage, owner in self._waited.items():
            if self._told.get(stage) != owner:
                self._told[stage] = owner
                self._reporter.waits(stage, owner.told())

    def _take_off(self, place: int) -> None:
        (self._ready if place in self._ready else self._later).remove(place)

    def _settle(self) -> None:
        """End what waits for what failed, and call the gate when it is time."""
        self._sweep()
        if self._gate is not None and not self._first:
            gate, self._gate = self._gate, None
            gate()

    def _sweep(self) -> None:
        while self._doomed:
            doomed, self._doomed = sorted(self._doomed), []
            for place, need in doomed:
                if place in self._open:
                    self.lose(self._stages[place], Finished("waiting", self._cause(self._stages[need])))

    def _cause(self, need: Stage) -> str:
        failed = self._failed[need]
        if failed.status == "waiting":
            return failed.reason
        return f"needs {readable(need)}: {failed.status}, {failed.reason}"
