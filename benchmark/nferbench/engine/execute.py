"""Doing a stage that is claimed: fill its partial directory, commit the result with what it cost."""

from __future__ import annotations

import time
from typing import Any

import torch

from nferbench.contract.precision import precision_on
from nferbench.engine.context import Context
from nferbench.engine.fitting import fit
from nferbench.engine.giving import give
from nferbench.engine.measuring import measure_faces
from nferbench.engine.placing import device_name
from nferbench.engine.recognising import recognise
from nferbench.engine.scoring import score_faces
from nferbench.engine.taking import take_images
from nferbench.engine.translating import translate_faces
from nferbench.faces.prepare import BLOCKS, prepare
from nferbench.machine.resident import forget_peak, peak
from nferbench.planning.code import code_of, foreign
from nferbench.planning.costs import cost_key
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
    key,
)


def execute(stage: Stage, context: Context) -> bool:
    """Do one stage whose lock is held, and commit the result.

    Its `cost` has `seconds` and `units`, and of work that was gone on with as far as it is known: `seconds_before`, of
    earlier attempts, which are no part of `seconds`, or `units_before`, which were done when these seconds began.

    Returns:
        Whether it was done here; False where another run had done it, or all but its last step.

    Raises:
        LostError: another run took the lock meanwhile; nothing was committed.
        DataError: a needed entry is missing or damaged.
        DivergedError, PluginError: see the kinds of stages.
    """
    if (context.store.find(stage) or context.store.adopt(stage)) is not None:
        return False
    partial = context.store.partial(stage)
    resumed = any(partial.glob("checkpoint*")) or any(partial.glob(f"{BLOCKS}/*"))
    if context.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(context.device)
    told = forget_peak()
    began = time.monotonic()
    result = _perform(stage, context)
    cost = {
        "key": cost_key(stage, device_name(context.device)),
        "seconds": round(time.monotonic() - began, 3),
        "units": result["units"],
        "resumed": resumed,
        **result.pop("cost", {}),
    }
    made_with = {
        "torch": torch.__version__,
        "device": device_name(context.device),
        "code": code_of(stage),
        **_computed(context, told),
        **result.pop("made_with", {}),
    }
    context.store.commit(stage, {"result": result, "cost": cost, "made_with": made_with})
    return True


def _computed(context: Context, told: bool) -> dict[str, Any]:
    """How a stage was computed, as far as it was not a CPU's only way, and the memory that it took at most.

    Args:
        context: of the stage.
        told: whether this process tells its peak since the stage began.
    """
    how = context.how
    said: dict[str, Any] = {"compiled": True} if how.compiled else {}
    if context.device.type == "cuda":
        said |= {
            "precision": precision_on(context.device),
            "deterministic": how.deterministic,
            "peak_bytes": torch.cuda.max_memory_allocated(context.device),
        }
    elif told and (resident := peak()) is not None:
        said["peak_resident_bytes"] = resident
    return said


def _perform(stage: Stage, context: Context) -> dict[str, Any]:
    """Fill the partial directory of a stage; return what its stage.json says of the result."""
    if isinstance(stage, PrepareFaces):
        root = context.roots.get(key(stage))
        folder = context.store.partial(stage)
        counts = prepare(
            stage.dataset,
            root,
            stage.size,
            stage.crop,
            folder,
            context.reached,
            key=f"{key(stage)} {foreign(stage)}",
            register=stage.register,
            smooth=stage.smooth,
        )
        return {**counts, "units": counts["faces"]}
    if isinstance(stage, TrainNetwork):
        return fit(stage, context)
    if isinstance(stage, GivenNetwork):
        return give(stage, context)
    if isinstance(stage, Translate):
        return translate_faces(stage, context)
    if isinstance(stage, GivenImages):
        return take_images(stage, context)
    if isinstance(stage, ScoreTranslation):
        return score_faces(stage, context)
    if isinstance(stage, MeasureTranslation):
        return measure_faces(stage, context)
    if isinstance(stage, Recognise):
        return recognise(stage, context)
    raise TypeError(f"no way to do a {type(stage).__name__}")
