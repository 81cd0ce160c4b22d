"""Translators that break the contract, each in its own way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from nferbench.noise import ImageNoise
from torch import Tensor, nn

from nferbench import NetworkRecipe, Translator, hookimpl


@dataclass(frozen=True)
class Faulty(Translator):
    """Does `what` instead of translating."""

    group: ClassVar = "gan"

    name: str = field(default="", compare=False)
    title: str = field(default="", compare=False)
    what: str = ""

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        if self.what == "shape":
            return vis[:, :1]
        if self.what == "nan":
            return vis * torch.nan
        if self.what == "text":
            return "faces"  # type: ignore[return-value]
        if self.what == "memory":
            raise MemoryError
        if self.what == "device":
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "gradient":
            return torch.autograd.grad(vis.sum(), vis)[0]  # under inference mode
        if self.what == "sleep":
            time.sleep(600)
        raise KeyError("a bug of the plugin")


@hookimpl
def nferbench_translators() -> list[Translator]:
    kinds = ("shape", "nan", "text", "memory", "device", "kill", "gradient", "raise", "sleep")
    return [Faulty(f"faulty-{what}", what, what) for what in kinds]
