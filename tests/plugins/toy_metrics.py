"""Metrics of a plugin file, and a detector that finds the disc of the toy data set. The tests run them for real."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nferbench import Detection, FaceDetector, ImageMetric, hookimpl

FAINT = 120  # level of 8 bits that a disc lies below


@dataclass(frozen=True)
class Disc(FaceDetector):
    """The dark part of a picture, with 68 points on a circle around its middle; nothing where nothing is dark."""

    points: ClassVar[int] = 68

    name: str = field(default="toy-disc", compare=False)
    title: str = field(default="Disc", compare=False)
    radius: float = 4.0  # pixels

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        rows, columns = np.nonzero(pixels[..., 0] < FAINT)
        if not len(rows):
            return ()
        turns = np.linspace(0, 2 * np.pi, self.points, endpoint=False)
        middle = np.array([columns.mean(), rows.mean()])
        circle = middle + self.radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        return (Detection((0.0, 0.0, 9.0, 9.0), circle.astype(np.float32)),)


@dataclass(frozen=True)
class Gap(ImageMetric):
    """Mean absolute difference, times a factor."""

    better: ClassVar = "lower"
    decimals: ClassVar = 3

    name: str = field(default="toy-gap", compare=False)
    title: str = field(default="Gap", compare=False)
    factor: float = 1.0

    def load(self, device: torch.device):  # type: ignore[no-untyped-def]
        return lambda translated, real: self.factor * (translated - real).abs().mean((1, 2, 3))


@dataclass(frozen=True)
class Brightness(ImageMetric):
    """Mean level; asks for no real face."""

    better: ClassVar = "higher"
    reference: ClassVar = False

    name: str = field(default="toy-bright", compare=False)
    title: str = field(default="Brightness", compare=False)

    def load(self, device: torch.device):  # type: ignore[no-untyped-def]
        return lambda translated: translated.mean((1, 2, 3))


@dataclass(frozen=True)
class Relative(ImageMetric):
    """Mean level relative to that of the real face, which must be brighter than mid-grey."""

    better: ClassVar = "higher"
    lacking: ClassVar = "the real face is dark"

    name: str = field(default="toy-relative", compare=False)
    title: str = field(default="Relative", compare=False)
    least: float = 0.0  # mean level that a real face needs

    def load(self, device: torch.device):  # type: ignore[no-untyped-def]
        def measure(translated: Tensor, real: Tensor) -> Tensor:
            levels = real.mean((1, 2, 3))
            ratio = translated.mean((1, 2, 3)) / levels
            return torch.where(levels > self.least, ratio, torch.nan)

        return measure


@hookimpl
def nferbench_detectors() -> list[FaceDetector]:
    return [Disc()]


@hookimpl
def nferbench_metrics() -> list[ImageMetric]:
    return [Gap(), Brightness(), Relative()]
