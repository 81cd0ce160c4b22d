"""What a plan asks of a card: its distinct networks, translations and recognisers, and the hours that they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, final

from nferbench.planning.cards import SHARE, Card
from nferbench.planning.costs import cost_key, samples, units
from nferbench.planning.plan import Work
from nferbench.workspace.stages import Recognise, Stage, TrainNetwork, Translate

Kind = Literal["network", "translation", "recogniser"]
KINDS: tuple[Kind, ...] = ("network", "translation", "recogniser")


@final
@dataclass(frozen=True)
class Item:
    """Stages of a plan that cost the same a unit."""

    kind: Kind
    name: str
    stage: Stage  # one of them
    stages: int  # how many there are
    units: int  # of all of them: updates, or images
    resident: int  # bytes of faces that lie on the card meanwhile


@final
@dataclass(frozen=True)
class Demand:
    """What an item asks of a card, computed and not measured."""

    parameters: int
    batch: int  # rows of an update; images that --batch asks for
    piece: int  # rows, or images, that are computed at a time
    recompute: bool  # whether activations are computed anew in the backward pass
    peak: int  # bytes
    bf16: int  # operations of an update or an image whose operands are bfloat16
    float32: int  # operations of the others
    lacks: str = ""  # what it lacks on this card and what would help; empty where it fits

    def seconds(self, card: Card) -> float:
        """Seconds of an update or an image at `SHARE` of the card's peak."""
        return (self.bf16 / card.bf16 + self.float32 / card.tf32) / SHARE


def items(work: Work) -> list[Item]:
    """The distinct networks, translations by networks and recognisers of a plan, done or not, in its order.

    Left out are networks that get no updates, such as given ones. Networks of one name are told apart by the first
    method that asks for them.
    """
    groups: dict[str, list[Stage]] = {}
    for stage in work.stages:
        if isinstance(stage, TrainNetwork | Recognise) or (isinstance(stage, Translate) and stage.networks):
            groups.setdefault(cost_key(stage, ""), []).append(stage)
    found = [item for stages in groups.values() if (item := _item(stages, work)).units]
    names = Counter((item.kind, item.name) for item in found)
    askers: dict[Stage, str] = {}
    for stage in work.stages:
        if isinstance(stage, Translate):
            for need in stage.networks:
                askers.setdefault(need, stage.translator.name)
    return [
        replace(item, name=f"{item.name} of {askers[item.stage]}")
        if item.stage in askers and names[item.kind, item.name] > 1
        else item
        for item in found
    ]


def measured(item: Item, card: Card, known: Mapping[str, float]) -> float | None:
    """Seconds a unit that were measured on such a card; None where none were.

    Args:
        item: what was timed.
        card: a known one, or none is found.
        known: seconds a unit by cost key.
    """
    keys = [cost_key(item.stage, device) for device in card.devices]
    return next((known[key] for key in keys if key in known), None)


def _item(stages: list[Stage], work: Work) -> Item:
    first = stages[0]
    total = sum(units(stage, work) for stage in stages)
    if isinstance(first, TrainNetwork):
        faces = max(len(work.listings[stage.faces].faces) for stage in stages if isinstance(stage, TrainNetwork))
        return Item("network", first.role, first, len(stages), total, faces * first.faces.size**2 * 3)
    if isinstance(first, Recognise):
        faces = max(samples(stage, work) for stage in stages if isinstance(stage, Recognise))
        return Item("recogniser", first.fer.name, first, len(stages), total, faces * first.faces.size**2 * 3)
    if isinstance(first, Translate):
        return Item("translation", first.translator.name, first, len(stages), total, 0)
    raise TypeError(f"no demand of a {type(first).__name__}")
