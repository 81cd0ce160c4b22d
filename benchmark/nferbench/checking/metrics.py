"""Rules of image metrics: what numbers they give drawn faces, whatever else is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from nferbench.checking import readiness
from nferbench.checking.chance import apart, drawn_from, states
from nferbench.checking.rules import Broken, Rule
from nferbench.contract.dataset import Modality
from nferbench.contract.metric import ImageMetric, Measure
from nferbench.contract.pixels import grey, to_float
from nferbench.datasets.drawing import draw
from nferbench.engine.measuring import measured

SIZE = 256  # side of the drawn faces in pixels
PEOPLE = ("s001", "s002", "s003")
CLOSE = 1e-4  # of numbers of unit size


@final
@dataclass(frozen=True)
class Measurer:
    """A metric and what it is shown."""

    metric: ImageMetric

    @cached_property
    def measure(self) -> Measure:
        """It on the CPU."""
        return self.metric.load(torch.device("cpu"))

    @cached_property
    def translated(self) -> Tensor:
        """VIS faces as if somebody had translated them, (B, 3, H, W) in [-1, 1]."""
        return grey(_drawn("vis"))

    @cached_property
    def real(self) -> Tensor:
        """Their NIR partners."""
        return _drawn("nir")

    def numbers(self, rows: slice = slice(None)) -> list[float | None]:
        """Those of some faces."""
        return measured(self.metric, self.measure, self.translated[rows], self.real[rows], PEOPLE[rows])


def _drawn(modality: Modality) -> Tensor:
    pixels = np.stack([draw(who, "happiness", f"{who}-happiness-0", modality, SIZE)[0] for who in PEOPLE])
    return to_float(torch.from_numpy(pixels))


def measures(measurer: Measurer) -> None:
    measurer.numbers()


def measures_again(measurer: Measurer) -> None:
    with apart():
        before = states()
        once, again = measurer.numbers(), measurer.numbers()
        if drawn := drawn_from(before):
            raise Broken(f"measuring draws from the global generator of {' and '.join(drawn)}")
    if once != again:
        raise Broken(f"gives {again} where it gave {once} for the same faces")


def measures_alone(measurer: Measurer) -> None:
    together = measurer.numbers()
    alone = [measurer.numbers(slice(row, row + 1))[0] for row in range(len(PEOPLE))]
    for one, other in zip(together, alone, strict=True):
        if (one is None) != (other is None) or (one is not None and other is not None and _apart(one, other)):
            raise Broken(f"gives {other} for a face alone, and {one} beside others")


def _apart(one: float, other: float) -> bool:
    return abs(one - other) > CLOSE * max(1.0, abs(one))


RULES: tuple[Rule[Measurer], ...] = (
    Rule("ready", readiness.SAYS, lambda measurer: readiness.is_ready(measurer.metric.ready)),
    Rule("measures", "it gives a finite floating-point number a face", measures, ("ready",)),
    Rule("measures-again", "equal faces get equal numbers, without any chance", measures_again, ("measures",)),
    Rule("measures-alone", "the number of a face does not depend on its batch mates", measures_alone, ("measures",)),
)
