"""Replayed updates are those that are written, with graphs that a CPU can have (tests/graphs.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import graphs
import pytest
import torch
from torch import Generator, Tensor, nn

from nferbench import Batch, FaceSpec, Learner, NetworkRecipe
from nferbench.contract.captured import Captured, Parts, do_parts
from nferbench.contract.errors import PluginError
from nferbench.engine import means
from nferbench.engine.recomputing import recompute
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench_methods.diffusion.sr3_unet import SR3UNet

SETTINGS = resolve(Request(preset="quick", methods=("all",)), load_plugins(installed=False))
SPEC = FaceSpec(SETTINGS.size, 68)
# One of each kind: updates of a kind do the same.
RECIPES: dict[str, NetworkRecipe] = {
    type(recipe).__name__: recipe for row in SETTINGS.rows for recipe in row.translator.networks().values()
}


@dataclass(frozen=True)
class Rows:
    """A batch."""

    x: Tensor
    y: Tensor | None = None


class Toy:
    """Two networks, with a running statistic and with dropout, and updates of two parts, one network in each."""

    def __init__(self, *, reads: bool = False, shared: bool = False) -> None:
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        self.other = self.one if shared else nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.networks = [self.one, self.other]
        self.optimisers = [torch.optim.SGD(network.parameters(), 0.1) for network in self.networks]
        self.reads = reads

    def update(self, batch: Rows, rng: Generator) -> Parts:
        x = batch.x + torch.randn(batch.x.shape, generator=rng)
        self.one.zero_grad(set_to_none=True)
        loss = self.one(x).square().mean()
        if self.reads:
            loss = loss * loss.item()
        loss.backward()
        yield self.optimisers[0].step, {"one": loss.detach()}
        self.other.zero_grad(set_to_none=True)
        second = self.other(self.one(x).detach()).sub(1).square().mean()  # by what the first part has made of it
        second.backward()
        yield self.optimisers[1].step, {"other": second.detach()}

    def weights(self) -> dict[str, Tensor]:
        return {f"{i} {name}": w for i, each in enumerate(self.networks) for name, w in each.state_dict().items()}


def updated(
    toy: Toy, do: Callable[[Rows, Generator], Mapping[str, Tensor]], shapes: list[int], rng: Generator | None = None
) -> list[Any]:
    rng, seen = rng or Generator(), []
    for k, count in enumerate(shapes):
        torch.manual_seed(k)
        rng.manual_seed(k)
        seen.append(do(Rows(torch.full((count, 3), float(k))), rng))
    return [*seen, toy.weights()]


@pytest.mark.parametrize("shapes", [[4] * 5, [4, 4, 6, 6, 4]], ids=["one shape", "shapes that change"])
def test_a_replayed_update_is_the_one_that_is_written(monkeypatch: pytest.MonkeyPatch, shapes: list[int]) -> None:
    graphs.stand_in(monkeypatch)
    plain, replayed = Toy(), Toy()
    expected = updated(plain, lambda batch, rng: do_parts(plain.update(batch, rng)), shapes)
    found = updated(replayed, Captured(replayed.networks, replayed.update), shapes)
    for mine, theirs in zip(found, expected, strict=True):  # the losses of each update are its own, to the end
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_what_reads_a_number_cannot_be_captured_and_leaves_nothing_to_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs.stand_in(monkeypatch)
    toy, plain, rng = Toy(), Toy(), Generator()
    captured = Captured(toy.networks, toy.update)
    updated(toy, captured, [4], rng)
    toy.reads = True
    with pytest.raises(RuntimeError, match="not permitted"):
        updated(toy, captured, [6], rng)
    toy.reads = False
    found = updated(toy, captured, [6] * 2, rng)  # as if nothing had been tried
    for shapes in ([4], [6] * 2):
        expected = updated(plain, lambda batch, rng: do_parts(plain.update(batch, rng)), shapes)
    assert all(torch.equal(found[-1][name], value) for name, value in expected[-1].items())


def test_weights_that_two_parts_give_gradients_cannot_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay would take the step of the first part with the gradients of the second."""
    graphs.stand_in(monkeypatch)
    toy = Toy(shared=True)
    with pytest.raises(PluginError, match="in more than one part"):
        updated(toy, Captured(toy.networks, toy.update), [4])


def trained(recipe: NetworkRecipe) -> tuple[list[Mapping[str, Tensor]], bool]:
    """The losses of three updates, the weights after them, and whether a learner replays them."""
    torch.manual_seed(0)
    learner, rng, seen = recipe.learner(recipe.build(SPEC), SPEC, 16), Generator(), []
    for k in range(3):
        torch.manual_seed(k)
        rng.manual_seed(k)
        vis, nir = torch.rand(2, recipe.batch_size, 3, SPEC.size, SPEC.size, generator=rng) * 2 - 1
        points = torch.rand(2, recipe.batch_size, 68, 2, generator=rng) * (SPEC.size - 1)
        seen.append(learner.step(Batch(vis, nir, points[0], points[1]), rng, k))
    return [*seen, learner.weights()], getattr(learner, "_captured", None) is not None


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_all_that_a_training_does_can_be_replayed(recipe: NetworkRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, plain = trained(recipe)
    graphs.stand_in(monkeypatch)
    found, replayed = trained(recipe)
    assert replayed and not plain
    for mine, theirs in zip(found, expected, strict=True):
        assert all(torch.allclose(mine[name], value, rtol=1e-4, atol=1e-6) for name, value in theirs.items())


def test_a_learner_that_goes_on_in_pieces_keeps_no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs.stand_in(monkeypatch)
    learner: Learner = RECIPES["HeatmapRecipe"].learner(RECIPES["HeatmapRecipe"].build(SPEC), SPEC, 16)
    assert means.given(learner, means.Means(1), 2) == means.Means(1)
    assert getattr(learner, "_captured", None) is None


def test_an_update_whose_activations_are_computed_anew_is_done_as_it_is_written() -> None:
    """For that torch takes and sets the states of generators, which it refuses while a graph is captured."""
    network: nn.Module = SR3UNet(16, width=8, multipliers=(1, 2), res_blocks=1, attention=(), dropout=0.0)
    done: list[str] = []

    def update(batch: Batch, rng: Generator) -> Parts:
        yield lambda: done.append("step"), {"loss": batch.nir.mean()}

    assert recompute(network, True)
    faces = torch.ones(1, 3, 2, 2)
    losses = Captured([nn.Linear(1, 1), network], update)(Batch(faces, faces), Generator())
    assert done == ["step"] and losses == {"loss": torch.tensor(1.0)}
