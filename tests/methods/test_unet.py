"""The U-Net: size, zero initialisation, widths, refusals, and independence of the batch."""

from __future__ import annotations

import pytest
import torch

from nferbench import FaceSpec, UsageError
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, UNCONDITIONAL_SCORE, ScoreRecipe
from nferbench_methods.diffusion.unet import TimeUNet, norm_groups

TINY = ScoreRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))


def randomise(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Fill all parameters, those that start at zero among them."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        parameter.data.add_(scale * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("recipe", "size", "count"),
    [
        (CONDITIONAL_SCORE, 256, 311_027_910),
        (CONDITIONAL_SCORE, 128, 302_169_030),
        (UNCONDITIONAL_SCORE, 256, 93_563_910),
    ],
    ids=["conditional 256", "conditional 128", "unconditional 256"],
)
def test_networks_have_the_published_number_of_parameters(recipe, size, count):
    with torch.device("meta"):
        network = recipe.build(FaceSpec(size))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_adm_of_width_256_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = TimeUNet(
            256,
            3,
            6,
            width=256,
            multipliers=(1, 1, 2, 2, 4, 4),
            res_blocks=2,
            attention=(32, 16, 8),
            head_channels=64,
            dropout=0.0,
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == 552_814_086


@pytest.mark.parametrize("conditional", [False, True])
def test_a_new_network_answers_exactly_zero(conditional):
    network = ScoreRecipe(**{**vars(TINY), "conditional": conditional}).build(FaceSpec(16))
    eps, v = network(torch.randn(2, 6 if conditional else 3, 16, 16), torch.tensor([7, 900]))
    assert eps.shape == v.shape == (2, 3, 16, 16)
    assert not eps.any() and not v.any()


def test_a_network_without_learned_variance_answers_the_noise_alone():
    network = ScoreRecipe(**{**vars(TINY), "learned_variance": False}).build(FaceSpec(16))
    eps, v = network(torch.randn(1, 6, 16, 16), torch.tensor([7]))
    assert eps.shape == (1, 3, 16, 16) and v is None


def test_norm_groups_are_32_at_published_widths_and_divide_narrow_ones():
    assert [norm_groups(width) for width in (128, 192, 256)] == [32, 32, 32]
    for width in range(2, 130, 2):
        assert width % norm_groups(width) == 0
        assert width < 8 or width // norm_groups(width) >= 4


@pytest.mark.parametrize("size", [16, 32])
def test_attention_sits_at_feature_sizes_whatever_the_image_size(size):
    network = ScoreRecipe(width=8, multipliers=(1, 1, 2), res_blocks=1, attention=(8,)).build(FaceSpec(size))
    attends = [hasattr(block, "attentions") for block in network.unet.net.down_blocks]
    assert attends == [size // 2**level == 8 for level in range(3)]
    assert [hasattr(block, "attentions") for block in network.unet.net.up_blocks] == attends[::-1]


@pytest.mark.parametrize("size", [3, 18, 30])
def test_image_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(UsageError, match=f"side {size}; allowed: multiples of 4"):
        ScoreRecipe(width=8, multipliers=(1, 2, 2), res_blocks=1).build(FaceSpec(size))


@pytest.mark.parametrize("size", [16, 32])
def test_an_answer_is_the_same_to_the_bit_in_any_batch(size):
    network = randomise(
        ScoreRecipe(width=16, multipliers=(1, 2, 2), res_blocks=1, attention=(8,)).build(FaceSpec(size))
    )
    x, t = torch.randn(7, 6, size, size, generator=torch.Generator().manual_seed(1)), torch.tensor([321])
    whole = network(x, t)
    for batch in (1, 2, 3, 5):
        parts = [network(part, t) for part in x.split(batch)]
        for channel in (0, 1):
            assert torch.equal(torch.cat([part[channel] for part in parts]), whole[channel])
    order = torch.tensor([3, 6, 0, 2, 5, 1, 4])
    assert torch.equal(network(x[order], t)[0], whole[0][order])


def test_each_image_may_have_its_own_time():
    network = randomise(TINY.build(FaceSpec(16)))
    x, t = torch.randn(6, 6, 16, 16), torch.tensor([0, 10, 500, 10, 999, 3])
    each = torch.cat([network(x[i : i + 1], t[i : i + 1])[0] for i in range(6)])
    assert torch.allclose(network(x, t)[0], each, atol=1e-5)
    assert not torch.allclose(network(x, torch.tensor([0]))[0], each, atol=1e-2)
