"""Computing activations anew saves memory and changes no gradient, in every U-Net."""

from __future__ import annotations

import pytest
import torch
from diffusers import VQModel
from torch import nn

from nferbench import FaceSpec, NetworkRecipe
from nferbench.engine.recomputing import recompute
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.diffusion.sr3_score import SR3Recipe

SMALL = {"width": 8, "multipliers": (1, 2), "res_blocks": 1}
RECIPES: dict[str, NetworkRecipe] = {
    "score": ScoreRecipe(**SMALL, attention=(8,), head_channels=8, dropout=0.1),
    "sr3": SR3Recipe(**SMALL, attention=(8,), dropout=0.2),
    "heatmaps": HeatmapRecipe(**SMALL, head_channels=8, dropout=0.1, stride=2),
    "domains": DomainRecipe(**SMALL, attention=(8,), head_channels=8),
}


def kept_and_gradients(recipe: NetworkRecipe, on: bool) -> tuple[int, list[torch.Tensor | None]]:
    """Bytes that the graph of a forward keeps, and the gradients."""
    torch.manual_seed(0)
    network = recipe.build(FaceSpec(16, 68))
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    assert recompute(network.train(), on)
    channels = 6 if isinstance(recipe, ScoreRecipe | SR3Recipe) else 3
    x, t = torch.randn(2, channels, 16, 16), torch.tensor([5, 700])
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if isinstance(recipe, DomainRecipe):
            out = network.logits(x, t)
        else:
            out = network(x, t / 1000 if isinstance(recipe, SR3Recipe) else t)
    answers = out if isinstance(out, tuple) else (out,)
    total = torch.stack([answer.square().sum() for answer in answers if answer is not None]).sum()
    torch.autograd.backward(total)
    return sum(kept.values()), [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("name", RECIPES)
def test_gradients_are_the_same_and_less_is_kept(name: str) -> None:
    whole, gradients = kept_and_gradients(RECIPES[name], on=False)
    less, anew = kept_and_gradients(RECIPES[name], on=True)
    assert less < 0.8 * whole
    for a, b in zip(gradients, anew, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]


def test_it_can_be_turned_off_again() -> None:
    network = RECIPES["sr3"].build(FaceSpec(16))
    recompute(network, True)
    assert recompute(network, False)
    assert not any(getattr(module, "_recomputes", False) for module in network.modules())


def test_a_network_that_cannot_says_so() -> None:
    assert not recompute(nn.Linear(2, 2), True)


def test_a_model_of_diffusers_that_says_that_it_cannot_is_left_alone() -> None:
    network = VQModel(block_out_channels=(8,), norm_num_groups=4)
    assert not recompute(network, True)
