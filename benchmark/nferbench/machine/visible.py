"""Which GPUs CUDA_VISIBLE_DEVICES leaves to a process, read as CUDA reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nferbench.machine.gpus import Card

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible(value: str | None, cards: Sequence[Card] | None) -> tuple[str, ...]:
    """The devices that CUDA shows, each by a name that, as the variable's whole value, shows that device alone.

    CUDA takes numbers, or UUIDs "GPU-…" and "MIG-…", which may be cut short while one device alone begins like that;
    the first entry says which of the three. It stops at the first entry that is none of them or names no device, and
    shows nothing where a device is named twice.

    Args:
        value: of the variable; None where it is not set.
        cards: of the computer; None where that cannot be told, and every entry of a right form is then believed.

    Returns:
        In CUDA's order. Where the variable is not set and a card is divided, all parts, each by its UUID.

    >>> visible("2,0,-1,1", (Card(), Card(), Card()))
    ('2', '0')
    >>> visible("0,,1", None), visible(",1", None), visible("1,1", None), visible("", None)
    (('0',), (), (), ())
    """
    if value is None:
        return _all(cards or ())
    if value.startswith(("GPU-", "MIG-")):
        return _by_uuid(value, cards)
    return _by_number(value, cards)


def _all(cards: Sequence[Card]) -> tuple[str, ...]:
    if not any(card.slices for card in cards):
        return tuple(map(str, range(len(cards))))
    return tuple(name for card in cards for name in card.slices or (card.uuid,) if name)


def _by_number(value: str, cards: Sequence[Card] | None) -> tuple[str, ...]:
    numbers: list[int] = []
    for entry in value.split(","):
        # C's strtol: what follows the digits does not matter. More digits than these are beyond any card as well.
        number = re.match(r"\s*\+?0*(\d{1,18})", entry, re.ASCII)
        if number is None:
            break
        numbers.append(int(number[1]))
    if len(set(numbers)) < len(numbers):
        return ()
    beyond = (place for place, number in enumerate(numbers) if cards is not None and number >= len(cards))
    return tuple(map(str, numbers[: next(beyond, None)]))


def _by_uuid(value: str, cards: Sequence[Card] | None) -> tuple[str, ...]:
    names: list[str] = []
    for entry in value.split(","):
        name = _device(entry, cards) if entry.startswith(value[:4]) else None
        if name is None:
            break
        if name in names:
            return ()
        names.append(name)
    return tuple(names)


def _device(entry: str, cards: Sequence[Card] | None) -> str | None:
    """The whole name of a device, the entry itself where whole names are not known; None where there is none such."""
    if re.fullmatch(r"(?:GPU|MIG)-[\w/-]*", entry, re.ASCII) is None:
        return None
    if cards is None or not all(card.uuid for card in cards):
        return entry
    divided = re.fullmatch(r"MIG-(GPU-[^/]+)/\d+/\d+", entry)  # a name of older drivers that newer ones still take
    if entry.startswith("GPU-") or divided:
        found = [card.uuid for card in cards if card.uuid.startswith(divided[1] if divided else entry)]
        return (entry if divided else found[0]) if len(found) == 1 else None
    slices = [name for card in cards for name in card.slices]
    if not slices:  # whoever told of the cards may know nothing of their parts
        return entry
    found = [name for name in slices if name.startswith(entry)]
    return found[0] if len(found) == 1 else None
