"""What the rest of a run will cost, from what was measured before its first training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from nferbench.contract.dataset import Face
from nferbench.contract.translator import NetworkRecipe
from nferbench.contract.values import describe, digest
from nferbench.planning.plan import Work
from nferbench.planning.status import Status
from nferbench.planning.updates import asked
from nferbench.workspace.stages import (
    GivenImages,
    GivenNetwork,
    MeasureTranslation,
    PrepareFaces,
    Recognise,
    ScoreTranslation,
    Stage,
    TrainNetwork,
    Translate,
    Translation,
    readable,
)


@dataclass(frozen=True)
class Preflight:
    """What was found before the first training."""

    problems: tuple[str, ...] = ()  # networks that cannot be built on these faces, one line each
    lacking: tuple[str, ...] = ()  # what a training needs besides faces and is not there, one line each
    parameters: Mapping[NetworkRecipe, int] = field(default_factory=dict)
    sizes: Mapping[NetworkRecipe, int] = field(default_factory=dict)  # bytes of the stored weights
    seconds: dict[str, float] = field(default_factory=dict)  # per unit, by cost key
    keys: Mapping[Stage, str] = field(default_factory=dict)  # cost keys of the stages
    notes: tuple[str, ...] = ()  # what of given weights is not used, or what they leave to start from nothing


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


def estimate(work: Work, states: Sequence[Status], found: Preflight) -> Estimate:
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
            timed = not count or found.keys[stage] in found.seconds
            updates[stage.role] = before + seconds[stage] if timed and before is not None else None
        elif isinstance(stage, PrepareFaces | Translate | GivenImages):
            side = stage.size if isinstance(stage, PrepareFaces) else stage.source.size
            size += count * side * side * 3
    unknown = sum(found.keys[stage] not in found.seconds and units(stage, work) > 0 for stage in seconds)
    return Estimate(sum(seconds.values()), max(finish.values(), default=0.0), size, updates, unknown)


def units(stage: Stage, work: Work) -> int:
    """How much there is to do in a stage: updates of a training, else images.

    Raises:
        PluginError: a recipe that cannot say how many updates it has.
    """
    if isinstance(stage, PrepareFaces):
        return len(work.listings[stage].faces)
    if isinstance(stage, TrainNetwork):
        faces = work.listings[stage.faces].faces
        training = [face for face in faces if face.subject not in stage.fold.test]
        pairs = {face.pair for face in training if face.modality == "nir" and face.pair}
        count = sum(face.modality == "vis" and face.pair in pairs for face in training)
        return asked(readable(stage), stage.recipe, count)
    if isinstance(stage, Translate):
        faces = work.listings[stage.source].faces
        nir = {face.pair for face in faces if face.modality == "nir" and face.pair}
        if stage.only is not None:
            wanted = set(stage.only)
            faces = tuple(face for face in faces if face.id in wanted)
        count = sum(face.modality == "vis" and _translated(face, stage, nir) for face in faces)
        return count if stage.first is None else min(count, stage.first)
    if isinstance(stage, GivenImages):
        return len(stage.files)
    if isinstance(stage, ScoreTranslation | MeasureTranslation):
        return units(stage.translation, work)
    if isinstance(stage, Recognise):
        return asked(readable(stage), stage.fer, samples(stage, work))
    raise TypeError(f"no units of a {type(stage).__name__}")


def samples(stage: Recognise, work: Work) -> int:
    """How many faces a recogniser is fitted on."""
    faces = work.listings[stage.faces].faces
    count = sum(face.modality == "nir" and face.subject not in stage.fold.test for face in faces)
    if isinstance(stage.extra, Translation):
        count += units(stage.extra, work)
    elif stage.extra is not None:
        count += sum(face.modality == stage.extra_modality for face in work.listings[stage.extra].faces)
    return count


def _translated(face: Face, stage: Translate, nir: Set[str]) -> bool:
    tested = stage.fold is not None and face.subject in stage.fold.test and face.pair in nir
    return stage.part == "all" or tested


def cost_key(stage: Stage, device: str) -> str:
    """What the time of a stage depends on: two stages with one key cost the same per unit.

    Args:
        stage: any.
        device: the name of the hardware that does it.
    """
    if isinstance(stage, PrepareFaces):
        parts: list[Any] = [describe(stage.dataset), stage.size, stage.crop]
    elif isinstance(stage, TrainNetwork):
        parts = [describe(stage.recipe), stage.faces.size, stage.faces.landmarks]
    elif isinstance(stage, GivenNetwork):
        parts = [describe(stage.recipe), "given"]
    elif isinstance(stage, Translate):
        parts = [describe(stage.translator), stage.source.size]
    elif isinstance(stage, GivenImages):
        parts = ["given", stage.source.size]
    elif isinstance(stage, ScoreTranslation):
        parts = [stage.lpips, stage.translation.source.size]
    elif isinstance(stage, MeasureTranslation):
        parts = [describe(stage.metric), stage.translation.source.size]
    elif isinstance(stage, Recognise):
        parts = [describe(stage.fer), stage.faces.size]
    else:
        raise TypeError(f"no cost of a {type(stage).__name__}")
    return digest([stage.kind, device, *parts])[:16]
