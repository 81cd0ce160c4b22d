"""What the memory of a card affords an update, found by rehearsing it."""

from __future__ import annotations

from functools import cache, lru_cache

import torch

from nferbench.contract.translator import FaceSpec, NetworkRecipe
from nferbench.engine.choosing import chosen
from nferbench.engine.means import Means
from nferbench.engine.rehearsing import Rehearsed, Training
from nferbench.machine.share import budget


def room_on(device: torch.device, sharing: int) -> int:
    """Bytes of a GPU that one of `sharing` workers may plan with now, what this process keeps for later included."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    return budget(total, free, sharing, torch.cuda.memory_allocated(device))


def afforded(training: Training, batch: int, room: float, piece: int | None = None) -> tuple[Means, Rehearsed]:
    """The fastest means of an update that fit, and what it takes with them.

    Args:
        training: to be rehearsed.
        batch: rows of the update.
        room: free bytes.
        piece: rows at a time that were asked for; None leaves the choice.
    """

    @cache
    def update(means: Means) -> Rehearsed:
        return training.update(batch, means)

    def peak(means: Means) -> float:
        if means.piece < batch and (about := training.estimate(means)) > room:
            return about
        return update(means).peak

    means = chosen(batch, room, peak, divisible=training.divisible, recomputable=training.recomputable, piece=piece)
    return means, update(means)


@lru_cache(maxsize=64)
def means_within(recipe: NetworkRecipe, spec: FaceSpec, room: int, piece: int | None = None) -> Means:
    """The means that a training starts with where `room` bytes are free, by `afforded`.

    What cannot be rehearsed, such as a plugin that reads a number in its update, starts with `piece`, or its whole
    batch; should memory run out, it is halved.
    """
    try:
        return afforded(Training(recipe, spec), recipe.batch_size, room, piece)[0]
    except Exception:  # whatever a plugin raises on tensors without values; its training will tell
        return Means(min(piece or recipe.batch_size, recipe.batch_size))
