"""Doing a stage: hold its lock, fill its partial directory, commit the result with what it cost."""

from __future__ import annotations

import time
from typing import Any

import torch

from nferbench import faces
from nferbench.fitting import fit
from nferbench.recognising import recognise
from nferbench.stages import PrepareFaces, Recognise, ScoreTranslation, Stage, TrainNetwork, Translate
from nferbench.store import Entry
from nferbench.stored import Context
from nferbench.translating import score_faces, translate_faces
from nferbench.values import describe, digest


def do(stage: Stage, context: Context) -> Entry:
    """Do one stage, hold its lock meanwhile, and commit the result.

    Raises:
        HeldError: another run is at work on it.
        DataError: a needed entry is missing or damaged.
        DivergedError, PluginError: see the kinds of stages.
    """
    with context.store.claim(stage):
        if (entry := context.store.find(stage) or context.store.adopt(stage)) is not None:
            return entry
        partial = context.store.partial(stage)
        resumed = any(partial.glob("checkpoint*")) or any(partial.glob(f"{faces.BLOCKS}/*"))
        began = time.monotonic()
        result = perform(stage, context)
        cost = {
            "key": cost_key(stage, context.device),
            "seconds": round(time.monotonic() - began, 3),
            "units": result["units"],
            "resumed": resumed,
        }
        made_with = {"torch": torch.__version__, "device": device_name(context.device)}
        return context.store.commit(stage, {"result": result, "cost": cost, "made_with": made_with})


def perform(stage: Stage, context: Context) -> dict[str, Any]:
    """Fill the partial directory of a stage; return what its stage.json says of the result."""
    if isinstance(stage, PrepareFaces):
        root = context.roots.get(stage.dataset.name)
        folder = context.store.partial(stage)
        counts = faces.prepare(
            stage.dataset,
            root,
            stage.size,
            stage.crop,
            folder,
            context.progress,
            register=stage.register,
            smooth=stage.smooth,
        )
        return {**counts, "units": counts["faces"]}
    if isinstance(stage, TrainNetwork):
        return fit(stage, context)
    if isinstance(stage, Translate):
        return translate_faces(stage, context)
    if isinstance(stage, ScoreTranslation):
        return score_faces(stage, context)
    if isinstance(stage, Recognise):
        return recognise(stage, context)
    raise TypeError(f"no way to do a {type(stage).__name__}")


def cost_key(stage: Stage, device: torch.device) -> str:
    """What the time of a stage depends on: two stages with one key cost the same per unit."""
    where = device_name(device)
    if isinstance(stage, PrepareFaces):
        parts: list[Any] = [describe(stage.dataset), stage.size, stage.crop]
    elif isinstance(stage, TrainNetwork):
        parts = [describe(stage.recipe), stage.faces.size, stage.faces.landmarks]
    elif isinstance(stage, Translate):
        parts = [describe(stage.translator), stage.source.size]
    elif isinstance(stage, ScoreTranslation):
        parts = [stage.lpips, stage.translation.source.size]
    elif isinstance(stage, Recognise):
        parts = [describe(stage.fer), stage.faces.size]
    else:
        raise TypeError(f"no cost of a {type(stage).__name__}")
    return digest([stage.kind, where, *parts])[:16]


def device_name(device: torch.device) -> str:
    """The hardware a time was measured on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
