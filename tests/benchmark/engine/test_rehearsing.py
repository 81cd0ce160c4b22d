"""Rehearsals on `meta` say what a real training or translation takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from nferbench import FaceSpec, GradientLearner, Learner, NetworkRecipe, Translator, mixed_precision
from nferbench.contract.noise import ImageNoise
from nferbench.contract.piecewise import PiecewiseLoss
from nferbench.contract.precision import compute_in
from nferbench.contract.translator import Batch
from nferbench.engine.means import Means, given
from nferbench.engine.rehearsing import Training, rehearsed_recogniser, rehearsed_translation
from nferbench.engine.tracing import Ledger
from nferbench.planning.plugins import load_plugins
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.egsde import EGSDE

SIDE = 16
SCORE = ScoreRecipe(width=16, multipliers=(1, 2), res_blocks=1, attention=(8,), head_channels=8, batch_size=4)
UNCONDITIONAL = replace(SCORE, conditional=False)
DOMAINS = DomainRecipe(width=16, multipliers=(1, 2), res_blocks=1, attention=(8,), head_channels=8)


@pytest.fixture
def _float32() -> Iterator[None]:
    compute_in("float32")
    yield
    compute_in("bf16")


@pytest.fixture(scope="module")
def training() -> Training:
    return Training(SCORE, FaceSpec(SIDE))


@dataclass(frozen=True)
class Toy(NetworkRecipe):
    """A convolution; its loss can be divided."""

    batch_size: int = 8

    def build(self, faces: FaceSpec) -> nn.Module:
        return nn.Conv2d(3, 3, 3, padding=1)

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        def terms(vis: Tensor, nir: Tensor) -> Mapping[str, Tensor]:
            with mixed_precision(vis.device):
                answer = network(vis)
            return {"l2": (answer.float() - nir).square().mean()}

        loss = PiecewiseLoss(lambda batch, rng: (batch.vis, batch.nir), terms)
        return GradientLearner(network, torch.optim.AdamW(network.parameters()), loss)

    def updates(self, pairs: int) -> int:
        return 1


@dataclass(frozen=True)
class Stepwise(Translator):
    """Ten steps, each of which asks once without and once with a gradient."""

    group: ClassVar = "diffusion"

    name: str = field(default="stepwise", compare=False)
    title: str = field(default="Stepwise", compare=False)
    network: Toy = Toy()

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"network": self.network}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        x = vis
        for _ in range(10):
            with mixed_precision(x.device):
                y = networks["network"](x).float()
            with torch.inference_mode(False), torch.enable_grad():
                z = y.clone().requires_grad_()
                energy = networks["network"](z).square().sum()
                (slope,) = torch.autograd.grad(energy, z)
            x = y - slope + noise.normal(*vis.shape[1:])
        return x


class TwoWays(nn.Module):
    """A narrow convolution, and one that is 25 times as dear."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 3, 1)
        self.wide = nn.Conv2d(3, 3, 5, padding=2)

    def forward(self, faces: Tensor, way: str = "narrow") -> Mapping[str, Tensor]:
        return {"faces": self.get_submodule(way)(faces)}

    def decode(self, faces: Tensor) -> Tensor:
        return self.wide(faces)


@dataclass(frozen=True)
class TwoWaysRecipe(NetworkRecipe):
    """Of `TwoWays`."""

    batch_size: int = 1

    def build(self, faces: FaceSpec) -> nn.Module:
        return TwoWays()

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        return Toy().learner(network, faces, pairs)

    def updates(self, pairs: int) -> int:
        return 1


@dataclass(frozen=True)
class Varied(Translator):
    """Four narrow calls by keyword, `wide` ones of the same shape in other words, and one of a method at the end."""

    group: ClassVar = "gan"

    name: str = field(default="varied", compare=False)
    title: str = field(default="Varied", compare=False)
    wide: int = 0
    decoded: bool = False

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"network": TwoWaysRecipe()}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        for _ in range(4):
            vis = networks["network"](faces=vis)["faces"]
        for _ in range(self.wide):
            vis = networks["network"](vis, way="wide")["faces"]
        return networks["network"].decode(vis) if self.decoded else vis


@pytest.mark.usefixtures("_float32")
@pytest.mark.parametrize("means", [Means(4), Means(1, recompute=True)], ids=str)
def test_a_training_takes_what_its_rehearsal_says(means: Means) -> None:
    """The same weights in the same layout and precision, really allocated on a CPU."""
    spec = FaceSpec(SIDE)
    rehearsed = Training(SCORE, spec).update(4, means)
    ledger = Ledger()
    with ledger:
        network = SCORE.build(spec).to(memory_format=torch.contiguous_format)
        learner = SCORE.learner(network, spec, 10)
        batch = Batch(torch.zeros(4, 3, SIDE, SIDE), torch.zeros(4, 3, SIDE, SIDE))
        given(learner, means, 4)
        learner.step(batch, torch.Generator(), 0)
        ledger.restart()
        learner.step(batch, torch.Generator(), 1)
    assert rehearsed.peak == pytest.approx(ledger.peak, rel=0.05)
    # torch knows no count of the CPU's attention, which is a large part of so small a network.
    assert rehearsed.float32 == pytest.approx(ledger.float32, rel=0.1) and not rehearsed.bf16


def test_pieces_and_computing_anew_take_less(training: Training) -> None:
    whole, pieces, anew = (training.update(4, means) for means in (Means(4), Means(1), Means(4, recompute=True)))
    assert training.divisible and training.recomputable
    assert pieces.peak < whole.peak and anew.peak < whole.peak
    assert pieces.bf16 == whole.bf16 < anew.bf16


def test_the_peak_is_nearly_linear_in_the_piece(training: Training) -> None:
    assert training.estimate(Means(4)) == pytest.approx(training.update(8, Means(4)).peak, rel=0.05)


def test_a_learner_that_cannot_be_divided_is_told_apart() -> None:
    plain = load_plugins(installed=False).translators["pix2pix"].networks()
    training = Training(next(iter(plain.values())), FaceSpec(256))
    assert not training.divisible and not training.recomputable
    toy = Training(Toy(), FaceSpec(SIDE))
    assert toy.divisible and not toy.recomputable and toy.parameters == 84


def test_calls_of_a_translation_are_counted_and_not_all_made() -> None:
    parameters, took = rehearsed_translation(Stepwise(), {"network": FaceSpec(SIDE)}, SIDE, 2)
    once = 2 * (2 * SIDE * SIDE * 3) * (3 * 3 * 3)
    assert parameters == 84
    assert took.bf16 == 10 * once  # without a gradient
    assert took.float32 == 10 * 2 * once  # with one: forward, and back to the input


@pytest.mark.parametrize(
    ("translator", "narrow_calls"),
    [(Varied(), 4), (Varied(wide=4), 4 + 4 * 25), (Varied(decoded=True), 4 + 25)],
    ids=["keywords", "other words", "after the last call"],
)
def test_whatever_way_networks_are_asked_all_of_it_is_counted(translator: Translator, narrow_calls: int) -> None:
    _, took = rehearsed_translation(translator, {"network": FaceSpec(SIDE)}, SIDE, 2)
    assert took.bf16 + took.float32 == narrow_calls * 2 * (2 * SIDE * SIDE * 3) * 3


def test_twice_the_steps_cost_twice_as_much_and_hold_the_same() -> None:
    """Of a method that asks a frozen network for gradients, with networks of its own."""
    few, many = (EGSDE(score=UNCONDITIONAL, domains=DOMAINS, lambda_i=0.1, steps=steps, cells=2) for steps in (4, 8))
    specs = {role: FaceSpec(SIDE) for role in few.networks()}
    less, more = (rehearsed_translation(each, specs, SIDE, 2)[1] for each in (few, many))
    assert more.peak == pytest.approx(less.peak, rel=0.01)
    assert more.bf16 == pytest.approx(2 * less.bf16, rel=0.01)
    assert more.float32 == pytest.approx(2 * less.float32, rel=0.01)


@pytest.mark.parametrize("name", ["smallcnn", "resnet18"])
def test_recognisers_are_rehearsed(name: str) -> None:
    fer = load_plugins(installed=False).fer_models[name]
    parameters, took = rehearsed_recogniser(fer, 32, 6)
    assert parameters > 0 and took.peak > 16 * parameters and took.bf16 + took.float32 > 0
