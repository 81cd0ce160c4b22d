"""A plugin of one file: a tiny drawn data set and a method that regresses NIR from VIS. The tests run it for real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from nferbench.learning import GradientLearner
from nferbench.noise import ImageNoise
from torch import Tensor, nn

from nferbench import Face, FaceDataset, FaceSpec, Learner, Listing, NetworkRecipe, Picture, Translator, hookimpl

EXPRESSIONS = ("happiness", "sadness")


@dataclass(frozen=True)
class Blobs(FaceDataset):
    """A bright disc on a dark ground; a smile is a disc below the middle, sadness one above. NIR is its negative."""

    default_preset: ClassVar[str] = "quick"

    name: str = field(default="toy", compare=False)
    title: str = field(default="Toy", compare=False)
    subjects: int = 6
    first: int = 0  # number of the first subject
    paired: bool = True

    def listing(self, root: Path | None) -> Listing:
        modalities = ("vis", "nir") if self.paired else ("vis",)
        people = [f"p{number:03d}" for number in range(self.first, self.first + self.subjects)]
        return Listing(
            tuple(
                Face(f"{person}-{expression}-{modality}", modality, person, expression, f"{person}-{expression}")  # type: ignore[arg-type]
                for person in people
                for expression in EXPRESSIONS
                for modality in modalities
            )
        )

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        rng = np.random.default_rng(int(face.subject[1:]))
        height = 0.7 if face.expression == "happiness" else 0.3
        y, x = np.mgrid[0:size, 0:size] / size
        disc = np.hypot(x - 0.5 - rng.normal(0, 0.03), y - height - rng.normal(0, 0.03)) < 0.2
        level = np.where(disc, 220, 60) + rng.integers(-20, 20)
        image = 255 - level if face.modality == "nir" else level
        return Picture(np.repeat(image[..., None], 3, 2).clip(0, 255).astype(np.uint8), cropped=True)


@dataclass(frozen=True)
class RegressionRecipe(NetworkRecipe):
    """One 3x3 convolution, fitted by least squares on pairs."""

    steps: int = 30  # updates
    batch_size: int = 4  # pairs per update
    lr: float = 0.05  # Adam

    def build(self, faces: FaceSpec) -> nn.Module:
        return nn.Conv2d(3, 3, 3, padding=1)

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        optimiser = torch.optim.Adam(network.parameters(), self.lr)
        return GradientLearner(network, optimiser, lambda b, rng: {"l2": (network(b.vis) - b.nir).square().mean()})

    def updates(self, pairs: int) -> int:
        return self.steps


@dataclass(frozen=True)
class Regression(Translator):
    """Regression, with a little noise of the image's own."""

    group: ClassVar = "gan"

    name: str = field(default="toy-regression", compare=False)
    title: str = field(default="Regression", compare=False)
    network: RegressionRecipe = RegressionRecipe()
    grain: float = 0.05  # standard deviation of the noise

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"network": self.network}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        return networks["network"](vis) + self.grain * noise.normal(*vis.shape[1:])


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [Regression()]


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [Blobs(), Blobs(name="toy-extra", title="Toy extra", first=100, subjects=4, paired=False)]
