"""Which stages of a plan are done, and why the others must run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from nferbench.contract.errors import DataError
from nferbench.contract.values import differences
from nferbench.planning.plan import Work
from nferbench.workspace.entries import Entry
from nferbench.workspace.stages import Stage, description
from nferbench.workspace.store import Store

SHOWN_DIFFERENCES = 3


@dataclass(frozen=True)
class Status:
    """Whether a stage is in the store, and if not, why it runs."""

    stage: Stage
    state: Literal["done", "to run", "damaged", "again"]
    reason: str = ""
    entry: Entry | None = None


def statuses(work: Work, store: Store) -> list[Status]:
    """The state of every stage, in order."""

    @cache
    def known(kind: str) -> list[Entry]:
        return list(store.entries(kind))

    return [_status(stage, store, known) for stage in work.stages]


def _status(stage: Stage, store: Store, known: Callable[[str], list[Entry]]) -> Status:
    try:
        entry = store.find(stage)
    except DataError as error:
        return Status(stage, "damaged", f"damaged: {error}")
    if entry is not None:
        return Status(stage, "done", entry=entry)
    mine = {name: value for name, value in description(stage).items() if name != "needs"}
    nearest: list[str] | None = None
    for other in known(stage.kind):
        theirs = {name: value for name, value in other.info["description"].items() if name != "needs"}
        changed = differences(theirs, mine)
        if changed and not any(line.startswith(("first ", "fold.", "part ", "repeat ")) for line in changed):
            nearest = changed if nearest is None or len(changed) < len(nearest) else nearest
        elif not changed and nearest is None:
            nearest = ["something it needs has changed"]
    if nearest is None or len(nearest) > SHOWN_DIFFERENCES or any(".is " in line for line in nearest):
        return Status(stage, "to run", "new")
    return Status(stage, "to run", "; ".join(nearest))
