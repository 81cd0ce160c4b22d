"""What other runs do with stages of this one: who is at work on them, and how that ended."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.engine.worker import ELSEWHERE, Finished
from nferbench.workspace.owners import Owner
from nferbench.workspace.stages import Stage, key
from nferbench.workspace.store import Store

LOOK = 1.0  # seconds between two looks at whether a lock is there, which is all that a wait costs
JUDGE = 5.0  # seconds between two looks at whether its owner lives

UNTRIED = ("killed", "held", "waiting")  # what says nothing of an attempt by another run


@dataclass(frozen=True)
class _Seen:
    owner: Owner
    look: float  # when to look again
    judge: float


@final
class Others:
    """The other runs on a workspace, as they are met. Failures that were noted before this object was made are past."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._past = store.failures()
        self._seen: dict[Stage, _Seen] = {}
        self._met: set[Stage] = set()

    def meet(self, stage: Stage) -> None:
        """Know that another run was at work on a stage."""
        self._met.add(stage)

    def at_work(self, stage: Stage) -> Owner | None:
        """Who else is at work on a stage, as it was a few seconds ago at most; None where nobody is who lives."""
        now = time.monotonic()
        seen = self._seen.get(stage)
        if seen is not None and now < seen.look:
            return seen.owner
        owner = None
        judge = now + JUDGE
        if self._store.is_locked(stage):
            self.meet(stage)
            if seen is not None and now < seen.judge:
                owner, judge = seen.owner, seen.judge
            else:
                with suppress(DataError, OSError):  # no lock, a full disk: whoever tries to take it says so
                    owner = self._store.holder(stage)
        if owner is None:
            self._seen.pop(stage, None)
        else:
            self._seen[stage] = _Seen(owner, now + LOOK, judge)
        return owner

    def ended(self, stage: Stage) -> Finished | None:
        """How another run ended a stage that nobody is at work on; None where it is this run's to do.

        A failure of another run counts like one of this run, or each of many runs would fail in turn. That a process
        was killed is no failure of its stage.
        """
        with suppress(DataError):  # damaged: whoever tries to do it says so
            if stage in self._met and self._store.find(stage) is not None:
                return Finished("done", ELSEWHERE)
        noted = self._store.failure(stage)
        if noted is None or noted == self._past.get(key(stage)) or noted.get("status") in UNTRIED:
            return None
        status, reason, by = (one_line(str(noted.get(name))) for name in ("status", "reason", "by"))
        return Finished(status, f"{reason} (in another run, {by})")
