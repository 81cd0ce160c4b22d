"""What the items of a plan ask of a card: each is rehearsed in the way in which it would be done there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from nferbench.contract.errors import NferbenchError
from nferbench.engine.affording import afforded
from nferbench.engine.how import How, settle
from nferbench.engine.rehearsing import Training, rehearsed_recogniser, rehearsed_translation
from nferbench.planning.cards import Card
from nferbench.planning.demands import Demand, Item
from nferbench.workspace.stages import Recognise, TrainNetwork, Translate

CLASSES = 6  # of a recogniser; how many changes next to nothing


def demands(items: Sequence[Item], card: Card, how: How, batch: int) -> Iterator[Demand | str]:
    """One after the other; why it could not be computed where that is so.

    Args:
        items: of a plan.
        card: which they would be done on.
        how: they would be computed; its pieces are taken where it names them.
        batch: images that are translated at a time where they fit.
    """
    settle(how, torch.device("cpu"))
    for item in items:
        try:
            yield _demand(item, card, how, batch)
        except NferbenchError as error:
            yield str(error)
        except Exception as error:  # whatever a plugin raises, such as where it reads a number
            yield f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _demand(item: Item, card: Card, how: How, batch: int) -> Demand:
    room = card.room - item.resident
    if isinstance(item.stage, TrainNetwork):
        return _training(item.stage, room, item.resident, how.piece)
    if isinstance(item.stage, Translate):
        return _translation(item.stage, room, batch)
    if isinstance(item.stage, Recognise):
        fer = item.stage.fer
        parameters, took = rehearsed_recogniser(fer, item.stage.faces.size, CLASSES)
        lacks = _lacks(took.peak - room, "a smaller batch_size")
        peak = took.peak + item.resident
        return Demand(parameters, fer.batch_size, fer.batch_size, False, peak, took.bf16, took.float32, lacks)
    raise TypeError(f"no demand of a {type(item.stage).__name__}")


def _training(stage: TrainNetwork, room: float, resident: int, piece: int | None) -> Demand:
    training = Training(stage.recipe, stage.faces.spec())
    batch = stage.recipe.batch_size
    means, took = afforded(training, batch, room, piece)
    lacks = _lacks(took.peak - room, "a smaller batch_size or network")
    held = took.peak + resident
    return Demand(training.parameters, batch, means.piece, means.recompute, held, took.bf16, took.float32, lacks)


def _translation(stage: Translate, room: float, batch: int) -> Demand:
    recipes = stage.translator.networks()
    specs = {role: need.spec() for role, need in zip(sorted(recipes), stage.networks, strict=True)}
    count = batch
    while True:
        parameters, took = rehearsed_translation(stage.translator, specs, stage.source.size, count)
        if took.peak <= room or count == 1:
            break
        count //= 2
    lacks = _lacks(took.peak - room, "a smaller network")
    return Demand(parameters, batch, count, False, took.peak, took.bf16 // count, took.float32 // count, lacks)


def _lacks(missing: float, help: str) -> str:
    """What is missing, in words; nothing where nothing is."""
    if missing <= 0:
        return ""
    tenths = math.ceil(missing / 1e8)
    return f"{tenths / 10:.1f} GB too little; {help}, or a card with more memory, would help"
