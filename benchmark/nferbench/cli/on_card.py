"""What a plan takes on a card, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nferbench.cli.formatting import duration
from nferbench.planning.cards import SHARE
from nferbench.planning.demands import KINDS, Demand

if TYPE_CHECKING:
    from nferbench.planning.cards import Card
    from nferbench.planning.demands import Item, Kind

# The figures behind these words are in docs/real-size.md.
COMPUTED = (
    "computed from shapes alone, not measured: on an H100 peaks were 0 to 12 % higher, translations and updates in "
    "batches of 16 took 3 to 7 times as long, updates in batches of 1 or 2 5 to 20 times"
)
UNITS: dict[Kind, str] = {"network": "an update", "translation": "an image", "recogniser": "an update"}

Row = tuple["Item", "Demand | str", "float | None"]  # an item, what it asks or why that is unknown, seconds measured


def as_json(card: Card, rows: Sequence[Row]) -> str:
    """All of it as one JSON document."""
    found = {
        "card": {
            "name": card.name,
            "memory_gb": card.memory / 1e9,
            "room_gb": card.room / 1e9,
            "bf16_tflops": card.bf16 / 1e12,
            "tf32_tflops": card.tf32 / 1e12,
        },
        "share_of_peak": SHARE,
        "note": COMPUTED,
        **{f"{kind}s": [_figures(row, card) for row in rows if row[0].kind == kind] for kind in KINDS},
        "hours": _hours(rows, card),
        "fits": all(isinstance(demand, Demand) and not demand.lacks for _, demand, _ in rows),
    }
    return json.dumps(found, indent=1)


def heads(kind: Kind, rows: Sequence[Row]) -> tuple[str, ...]:
    """The heads of the table of one kind: M of parameters; TFLOP and seconds are those of an update or an image."""
    held = ("at a time",) if kind == "translation" else ("batch", "piece", "anew")
    return (kind, "M", *held, "GB", "TFLOP", "s", "hours", *(("measured",) if _timed(kind, rows) else ()))


def cells(kind: Kind, rows: Sequence[Row], card: Card) -> list[tuple[str, ...]]:
    """The rows of that table; what could not be computed is left out."""
    found = []
    for item, demand, seconds in rows:
        if item.kind != kind or isinstance(demand, str):
            continue
        if kind == "translation":
            held: tuple[str, ...] = (str(demand.piece),)
        else:
            held = (str(demand.batch), str(demand.piece), "yes" if demand.recompute else "no")
        took = demand.seconds(card)
        found.append(
            (
                item.name,
                _short(demand.parameters / 1e6),
                *held,
                _short(demand.peak / 1e9),
                _short((demand.bf16 + demand.float32) / 1e12),
                _short(took),
                _short(took * item.units / 3600),
                *(("" if seconds is None else _short(seconds),) if _timed(kind, rows) else ()),
            )
        )
    return found


def lines(card: Card, rows: Sequence[Row]) -> list[str]:
    """What is to be said below the tables."""
    found = []
    for item, demand, seconds in rows:
        if isinstance(demand, str):
            found.append(f"{item.kind} {item.name} could not be computed: {demand}")
        elif demand.lacks:
            found.append(f"{item.kind} {item.name} does not fit: {demand.lacks}")
        if isinstance(demand, Demand) and seconds is not None and (took := demand.seconds(card)):
            found.append(f"{item.kind} {item.name}: {seconds / took:.2g} times as long was measured as was computed")
    hours = _hours(rows, card)
    parts = ", ".join(f"{kind}s {duration(hours[f'{kind}s'] * 3600)}" for kind in KINDS)
    least = "at least " if any(isinstance(demand, str) for _, demand, _ in rows) else ""
    found.append(
        f"in all {least}{duration(hours['all'] * 3600)} of one {card.name} at {SHARE:.0%} of its peak ({parts}); "
        f"tensors may take {card.room / 1e9:.1f} of its {card.memory / 1e9:g} GB"
    )
    return [*found, COMPUTED]


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _timed(kind: Kind, rows: Sequence[Row]) -> bool:
    return any(item.kind == kind and seconds is not None for item, _, seconds in rows)


def _figures(row: Row, card: Card) -> dict[str, Any]:
    item, demand, seconds = row
    found: dict[str, Any] = {"name": item.name, "stages": item.stages, UNITS[item.kind].split()[1] + "s": item.units}
    if isinstance(demand, str):
        return {**found, "fits": False, "not_computed": demand}
    took = demand.seconds(card)
    return {
        **found,
        "parameters": demand.parameters,
        "batch": demand.batch,
        "piece": demand.piece,
        "recompute": demand.recompute,
        "peak_gb": demand.peak / 1e9,
        "fits": not demand.lacks,
        **({"lacks": demand.lacks} if demand.lacks else {}),
        "bf16_tflop": demand.bf16 / 1e12,
        "float32_tflop": demand.float32 / 1e12,
        "seconds": took,
        "hours": took * item.units / 3600,
        "measured_seconds": seconds,
        "measured_over_computed": None if seconds is None or not took else seconds / took,
    }


def _hours(rows: Sequence[Row], card: Card) -> Mapping[str, float]:
    """Hours of one card by kind, and of all."""
    hours = {
        f"{kind}s": sum(
            demand.seconds(card) * item.units / 3600
            for item, demand, _ in rows
            if item.kind == kind and isinstance(demand, Demand)
        )
        for kind in KINDS
    }
    return {**hours, "all": sum(hours.values())}
