"""A small plugin that keeps all rules, to be spoilt in one place, and what the checks say of it."""

from __future__ import annotations

import itertools
from pathlib import Path

from nferbench.checking.plugin import checks_of
from nferbench.checking.rules import Verdict

ELSEWHERE = ("light", "same-everywhere")  # asked in a process of its own, for seconds
NUMBERS = itertools.count()

GOOD = """
from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from nferbench import NetworkRecipe, Translator, hookimpl


@dataclass(frozen=True)
class Recipe(NetworkRecipe):
    batch_size: int = 4

    def build(self, faces):
        from torch import nn

        return nn.Conv2d(3, 3, 3, padding=1)

    def learner(self, network, faces, pairs):
        from torch.optim import Adam
        from nferbench import GradientLearner

        def loss(batch, rng):
            return {"l1": (network(batch.vis) - batch.nir).abs().mean()}

        return GradientLearner(network, Adam(network.parameters(), 1e-2), loss)

    def updates(self, pairs):
        return 10


@dataclass(frozen=True)
class Mine(Translator):
    group: ClassVar = "gan"

    name: str = field(default="mine", compare=False)
    title: str = field(default="Mine", compare=False)
    strength: float = 0.5
    network: Recipe = Recipe()

    def networks(self):
        return {"network": self.network}

    def translate(self, vis, networks, noise):
        import torch

        out = networks["network"](vis).tanh()
        out = out + 0.01 * noise.normal(*vis.shape[1:])
        return out


@hookimpl
def nferbench_translators():
    return [Mine()]
"""


def written(folder: Path, text: str) -> str:
    """A plugin file whose module has a name of its own in this process."""
    file = folder / f"planted_{next(NUMBERS)}.py"
    file.write_text(text)
    return str(file)


def spoilt(text: str, before: str, after: str) -> str:
    """The text with one place changed."""
    assert text.count(before) == 1, before
    return text.replace(before, after)


def broken(plugin: str, roots: dict[str, Path] | None = None) -> dict[str, str]:
    """What is said of each rule that a plugin breaks, by its name."""
    return {name: verdict.said for name, verdict in verdicts(plugin, roots).items() if verdict.state == "wrong"}


def verdicts(plugin: str, roots: dict[str, Path] | None = None) -> dict[str, Verdict]:
    """All verdicts on a plugin that registers one thing; rules of its network are called "network: NAME"."""
    found = {}
    for check in checks_of(plugin, roots):
        if check.name not in ELSEWHERE:
            name = f"network: {check.name}" if check.subject.startswith("network ") else check.name
            found[name] = check.verdict()
    return found
