"""A method whose trainings and translations take as long as the environment says; results do not depend on it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from nferbench.learning import GradientLearner
from nferbench.noise import ImageNoise
from torch import Tensor, nn

from nferbench import FaceSpec, Learner, NetworkRecipe, Translator, hookimpl


def pause(what: str) -> None:
    """Sleep for so many seconds as SLOW_TRAIN or SLOW_TRANSLATE holds, if any; touch the file SLOW_SIGN, if any."""
    if "SLOW_SIGN" in os.environ:
        Path(os.environ["SLOW_SIGN"]).touch()
    time.sleep(float(os.environ.get(f"SLOW_{what}", "0")))


@dataclass(frozen=True)
class SlowRecipe(NetworkRecipe):
    """One 3x3 convolution with dropout before it, so that every update draws."""

    steps: int = 200  # updates
    batch_size: int = 4  # pairs per update

    def build(self, faces: FaceSpec) -> nn.Module:
        return nn.Sequential(nn.Dropout(0.2), nn.Conv2d(3, 3, 3, padding=1))

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        def loss(batch: Any, rng: torch.Generator) -> dict[str, Tensor]:
            pause("TRAIN")
            return {"l2": (network(batch.vis) - batch.nir).square().mean()}

        return GradientLearner(network, torch.optim.Adam(network.parameters(), 0.05), loss)

    def updates(self, pairs: int) -> int:
        return self.steps


@dataclass(frozen=True)
class Slow(Translator):
    """Regression, slowly."""

    group: ClassVar = "gan"

    name: str = field(default="slow", compare=False)
    title: str = field(default="Slow", compare=False)
    network: SlowRecipe = SlowRecipe()

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"network": self.network}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        pause("TRANSLATE")
        return networks["network"](vis)


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [Slow()]
