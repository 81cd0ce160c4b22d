"""An update in pieces is the update of the whole batch, but for rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from nferbench import Batch, Captured, Divisible, FaceSpec, GradientLearner, NetworkRecipe, PiecewiseLoss
from nferbench.contract.errors import ExhaustedError
from nferbench.contract.piecewise import BatchDropout, share_dropout
from nferbench.engine.recomputing import recompute
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.diffusion.sr3_score import SR3Recipe

SMALL = {"width": 8, "multipliers": (1, 2), "res_blocks": 1, "batch_size": 5, "lr": 1e-2}
RECIPES: dict[str, NetworkRecipe] = {
    "score": ScoreRecipe(**SMALL, attention=(8,), head_channels=8, dropout=0.3, ema=0.9, flip=True),
    "unconditional": ScoreRecipe(**SMALL, attention=(8,), head_channels=8, conditional=False, learned_variance=False),
    "sr3": SR3Recipe(**SMALL, attention=(8,), dropout=0.2),
    "heatmaps": HeatmapRecipe(**SMALL, head_channels=8, dropout=0.1, stride=2),
    "domains": DomainRecipe(**SMALL, attention=(8,), head_channels=8),
}


def faces() -> Batch:
    generator = torch.Generator().manual_seed(1)
    vis, nir = torch.rand(2, 5, 3, 16, 16, generator=generator, dtype=torch.float64) * 2 - 1
    points = torch.rand(5, 68, 2, generator=generator, dtype=torch.float64) * 16
    lacking = points.clone()
    lacking[0, :30] = torch.nan
    lacking[3, 7] = torch.nan
    return Batch(vis, nir, points, lacking)


def trained(recipe: NetworkRecipe, piece: int, recomputes: bool = False) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Weights after three updates in float64, and the losses of the third."""
    torch.manual_seed(0)
    spec = FaceSpec(16, 68)
    network = recipe.build(spec).double()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    learner = recipe.learner(network, spec, 10)
    assert isinstance(learner, Divisible)
    assert learner.divide(piece)
    recompute(network, recomputes)
    rng = torch.Generator()
    for k in range(3):
        torch.manual_seed(10 + k)
        losses = learner.step(faces(), rng.manual_seed(20 + k), k)
    return learner.weights(), [float(loss) for loss in losses.values()]


@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("piece", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_weights_after_three_updates_are_those_of_the_whole(name: str, piece: int, recomputes: bool) -> None:
    whole, losses = trained(RECIPES[name], 0)
    pieces, of_pieces = trained(RECIPES[name], piece, recomputes)
    for key, value in whole.items():
        assert torch.allclose(pieces[key], value, rtol=1e-6, atol=1e-9), key
    assert of_pieces == pytest.approx(losses, rel=1e-6)


def test_dropout_of_a_whole_batch_is_torchs_own_on_a_cpu() -> None:
    network = nn.Sequential(nn.Dropout(0.4), nn.Sequential(nn.Dropout(0.0)))
    torch.manual_seed(3)
    expected = network(torch.ones(50, 3))
    share_dropout(network)
    torch.manual_seed(3)
    assert torch.equal(network(torch.ones(50, 3)), expected)
    assert isinstance(network[0], BatchDropout)
    assert not network.eval()[0].training


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_piece_drops_what_its_rows_drop_in_the_whole(layout: torch.memory_format) -> None:
    dropout, x = BatchDropout(0.5), torch.ones(6, 4, 5, 5).to(memory_format=layout)
    torch.manual_seed(1)
    whole = dropout(x)
    for first, last in ((0, 1), (1, 4), (4, 6)):
        torch.manual_seed(1)
        dropout.piece = (first, 6)
        assert torch.equal(dropout(x[first:last]), whole[first:last])


def test_a_loss_of_the_whole_batch_cannot_be_divided() -> None:
    network = nn.Linear(2, 2)
    learner = GradientLearner(network, SGD(network.parameters(), 0.1), lambda batch, rng: {})
    assert not learner.divide(1)


class Scarce:
    """Raises as a device without memory does, wherever it is asked for more than `rows` rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def terms(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(x) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return {"loss": x.mean() * self.weight.square().sum()}

    def learner(self) -> GradientLearner:
        network = nn.Linear(3, 2)
        self.weight = network.weight
        return GradientLearner(
            network, AdamW(network.parameters()), PiecewiseLoss(lambda batch, rng: (batch.nir,), self.terms)
        )


def test_memory_that_runs_out_leaves_all_as_it_was() -> None:
    torch.manual_seed(0)
    learner = Scarce(2).learner()
    before = {name: value.clone() for name, value in learner.weights().items()}
    with pytest.raises(ExhaustedError, match="out of memory"):
        learner.step(faces(), torch.Generator(), 0)
    assert all(torch.equal(before[name], value) for name, value in learner.weights().items())
    assert all(parameter.grad is None for parameter in learner.networks()["network"].parameters())
    assert learner.divide(2)
    learner.step(faces(), torch.Generator(), 0)
    assert any(not torch.equal(before[name], value) for name, value in learner.weights().items())


def mean(network: nn.Module) -> PiecewiseLoss:
    return PiecewiseLoss(lambda batch, rng: (batch.nir,), lambda x: {"mean": network(x).square().mean()})


@pytest.mark.parametrize(
    "part", [nn.BatchNorm2d(3), nn.SyncBatchNorm(3), nn.Dropout2d(0.5), nn.AlphaDropout(0.5)], ids=str
)
def test_a_network_whose_rows_depend_on_the_piece_is_computed_whole(part: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(part))
    assert not GradientLearner(network, SGD(network.parameters(), 0.1), mean(network)).divide(1)


def test_memory_that_ends_after_a_batch_norm_has_moved_is_not_told_as_if_nothing_had() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    learner = GradientLearner(network, SGD(network.parameters(), 0.1), mean(network))
    network[1].register_forward_hook(lambda *_: Scarce(0).terms(torch.zeros(1)))
    with pytest.raises(torch.OutOfMemoryError):
        learner.step(Batch(faces().vis.float(), faces().nir.float()), torch.Generator(), 0)


def test_pieces_let_go_of_what_was_captured() -> None:
    network = nn.Linear(2, 2)
    learner = GradientLearner(network, SGD(network.parameters(), 0.1), mean(network))
    learner._captured = Captured([network], lambda batch, rng: iter(()))
    assert learner.divide(0) and learner._captured is not None
    assert learner.divide(1) and learner._captured is None


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_piece_of_which_all_or_nothing_is_dropped_has_numbers(p: float) -> None:
    dropout, x = BatchDropout(p), torch.ones(2, 3)
    dropout.piece = (1, 4)
    assert torch.equal(dropout(x), (1 - p) * x)
