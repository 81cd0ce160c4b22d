"""What tells several records of one data set apart, in words: that in which their protocols differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nferbench_reports.record import Protocol


def place(protocol: Protocol) -> str:
    """What stands for the place where the data set lies."""
    return protocol.place or "drawn"


def marks(protocols: Sequence[Protocol]) -> list[str]:
    """The words for each protocol that tell it from the others; equal ones where nothing tells two apart."""
    found = _differing(protocols, _CHOSEN)
    if len(set(found)) == len(found):
        return found
    return [", ".join(filter(None, both)) for both in zip(found, _differing(protocols, _FOLLOWING), strict=True)]


def _differing(protocols: Sequence[Protocol], words: Sequence[Callable[[Protocol], str]]) -> list[str]:
    said = [[word(protocol) for protocol in protocols] for word in words]
    kept = [each for each in said if len(set(each)) > 1]
    return [", ".join(each[i] for each in kept) for i in range(len(protocols))]


def _extra(protocol: Protocol) -> str:
    return f"extra set {protocol.extra_title or protocol.extra}" if protocol.extra else "no extra set"


# What a run is told to do, and what follows from that; the latter is said only where the former is not enough.
_CHOSEN: tuple[Callable[[Protocol], str], ...] = (
    lambda protocol: protocol.preset,
    lambda protocol: f"{protocol.size} px",
    lambda protocol: f"crop {protocol.crop or 'not known'}",
    _extra,
    lambda protocol: protocol.fer_title,
    lambda protocol: protocol.trainings(),
    lambda protocol: protocol.divided(),
    lambda protocol: f"seed {protocol.seed}",
    place,
)
_FOLLOWING: tuple[Callable[[Protocol], str], ...] = (
    lambda protocol: f"{len(protocol.classes)} classes",
    lambda protocol: f"{protocol.subjects} subjects",
    lambda protocol: f"{protocol.pairs} pairs",
    lambda protocol: f"splits {protocol.splits[:12]}",
)
