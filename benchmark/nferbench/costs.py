"""What the rest of a run will cost, from what was measured before its first training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nferbench.plan import Status, Work, units
from nferbench.stages import PrepareFaces, Stage, TrainNetwork, Translate
from nferbench.translator import NetworkRecipe


@dataclass(frozen=True)
class Survey:
    """What was found before the first training."""

    problems: tuple[str, ...] = ()  # networks that cannot be built on these faces, one line each
    parameters: Mapping[NetworkRecipe, int] = field(default_factory=dict)
    sizes: Mapping[NetworkRecipe, int] = field(default_factory=dict)  # bytes of the stored weights
    seconds: dict[str, float] = field(default_factory=dict)  # per unit, by cost key
    keys: Mapping[Stage, str] = field(default_factory=dict)  # cost keys of the stages


@dataclass(frozen=True)
class Estimate:
    """What the stages that are still to run will take."""

    seconds: float  # of one worker; divide by the number of workers for the least time
    longest: float  # seconds of the longest chain of stages, which no number of workers shortens
    bytes: int  # of results on the disk
    updates: dict[str, float | None]  # seconds of training by network role; None where it could not be timed
    unknown: int  # stages that could not be timed, counted as nothing

    def wall(self, jobs: int) -> float:
        """Seconds from start to end with some workers."""
        return max(self.seconds / jobs, self.longest)


def estimate(work: Work, states: Sequence[Status], found: Survey) -> Estimate:
    """Time and disk of the stages that are to run, from measured seconds per unit."""
    seconds: dict[Stage, float] = {}
    finish: dict[Stage, float] = {}
    size = 0
    updates: dict[str, float | None] = {}
    for state in states:
        stage = state.stage
        if state.state == "done":
            finish[stage] = 0.0
            continue
        count = units(stage, work)
        seconds[stage] = count * found.seconds.get(found.keys[stage], 0.0)
        finish[stage] = seconds[stage] + max((finish[need] for need in stage.needs()), default=0.0)
        if isinstance(stage, TrainNetwork):
            size += found.sizes.get(stage.recipe, 0)
            before = updates.get(stage.role, 0.0)
            timed = found.keys[stage] in found.seconds
            updates[stage.role] = before + seconds[stage] if timed and before is not None else None
        elif isinstance(stage, PrepareFaces | Translate):
            side = stage.size if isinstance(stage, PrepareFaces) else stage.source.size
            size += count * side * side * 3
    unknown = sum(found.keys[stage] not in found.seconds for stage in seconds)
    return Estimate(sum(seconds.values()), max(finish.values(), default=0.0), size, updates, unknown)
