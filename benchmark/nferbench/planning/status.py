"""Which stages of a plan are done, and why the others must run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from nferbench.contract.errors import DataError
from nferbench.contract.values import changes, flatten
from nferbench.planning.plan import Work
from nferbench.workspace.entries import Entry
from nferbench.workspace.stages import Stage, description
from nferbench.workspace.store import Store

SHOWN_DIFFERENCES = 3
PARTS = ("first", "only", "part", "repeat")  # fields that say so, beside those of the fold


@dataclass(frozen=True)
class Status:
    """Whether a stage is in the store, and if not, why it runs."""

    stage: Stage
    state: Literal["done", "to run", "damaged", "again"]
    reason: str = ""
    entry: Entry | None = None


Leaves = Mapping[str, object]  # of a description, by dotted name


def statuses(work: Work, store: Store) -> list[Status]:
    """The state of every stage of a run, in order."""
    return states_of(work.stages, store)


def states_of(stages: Sequence[Stage], store: Store) -> list[Status]:
    """The state of each of these stages."""

    @cache
    def known(kind: str) -> Mapping[str, Sequence[Leaves]]:
        grouped: dict[str, list[Leaves]] = {}
        for entry in store.entries(kind):
            leaves = _leaves(entry.info["description"])
            grouped.setdefault(_place(leaves), []).append(leaves)
        return grouped

    return [_status(stage, store, known) for stage in stages]


def _status(stage: Stage, store: Store, known: Callable[[str], Mapping[str, Sequence[Leaves]]]) -> Status:
    try:
        entry = store.find(stage)
    except DataError as error:
        return Status(stage, "damaged", f"damaged: {error}")
    if entry is not None:
        return Status(stage, "done", entry=entry)
    mine = _leaves(description(stage))
    nearest: list[str] | None = None
    for theirs in known(stage.kind).get(_place(mine), ()):
        changed = changes(theirs, mine)
        if changed:
            nearest = changed if nearest is None or len(changed) < len(nearest) else nearest
        elif nearest is None:
            nearest = ["something it needs has changed"]
    if nearest is None or len(nearest) > SHOWN_DIFFERENCES or any(".is " in line for line in nearest):
        return Status(stage, "to run", "new")
    return Status(stage, "to run", "; ".join(nearest))


def _leaves(description: Mapping[str, object]) -> Leaves:
    """What a stage is, but for what it needs."""
    return {name: value for name, value in flatten(description) if name != "needs"}


def _place(leaves: Leaves) -> str:
    """Which part of a run a stage is; stages of other parts say nothing of why it runs, however alike they are."""
    part = {name: value for name, value in leaves.items() if name in PARTS or name.startswith("fold.")}
    return json.dumps(part, sort_keys=True)
