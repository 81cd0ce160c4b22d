"""The residual generator of CycleGAN, and its discriminator with instance norms."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from nferbench_methods.gan.networks import PatchDiscriminator
from nferbench_methods.gan.resnet_generator import ResidualBlock, ResnetGenerator


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("channels", "width", "blocks", "expected"),
    [
        ((3, 3), 64, 9, 11_378_179),  # what the authors' code prints: 11.378 M
        ((3, 1), 64, 9, 11_371_905),
        ((1, 1), 64, 9, 11_365_633),
        ((3, 3), 64, 6, 7_837_699),
        ((3, 1), 64, 6, 7_831_425),
        ((1, 1), 64, 6, 7_825_153),
        ((3, 3), 32, 9, 2_850_563),
        ((3, 3), 16, 9, 715_651),
        ((3, 3), 8, 9, 180_419),
    ],
)
def test_the_generator_has_the_published_number_of_parameters(channels, width, blocks, expected):
    with torch.device("meta"):
        assert parameters(ResnetGenerator(*channels, width=width, blocks=blocks)) == expected


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(3, 64, 2_764_737), (1, 64, 2_762_689), (3, 32, 694_241), (3, 16, 175_089), (3, 8, 44_537)],
)
def test_the_discriminator_has_the_published_number_of_parameters(channels, width, expected):
    with torch.device("meta"):
        assert parameters(PatchDiscriminator(channels, width=width, norm="instance")) == expected


def test_the_generator_is_made_of_the_published_layers():
    with torch.device("meta"):
        network = ResnetGenerator()
    kinds = Counter(type(module) for module in network.modules())
    assert (kinds[nn.Conv2d], kinds[nn.ConvTranspose2d]) == (22, 2)
    assert (kinds[nn.ReflectionPad2d], kinds[nn.InstanceNorm2d], kinds[nn.ReLU]) == (20, 23, 14)
    assert kinds[ResidualBlock] == 9
    assert not {nn.BatchNorm2d, nn.Dropout} & kinds.keys()
    assert all(
        module.bias is not None for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    )


def test_norms_hold_neither_parameters_nor_averages():
    networks = (ResnetGenerator(width=2, blocks=2), PatchDiscriminator(3, width=2, norm="instance"))
    for network in networks:
        norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm2d)]
        assert norms
        assert all(not norm.state_dict() and norm.eps == 1e-5 for norm in norms)
        assert not list(network.buffers())


def test_a_generator_of_one_block_equals_the_formula_written_out():
    torch.manual_seed(0)
    network = ResnetGenerator(width=3, blocks=1)
    weights = [parameter.detach() for parameter in network.parameters()]
    w = iter(zip(weights[::2], weights[1::2], strict=True))

    def norm(x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        return (x - mean) / ((x - mean).square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()

    def mirrored(x: Tensor, by: int) -> Tensor:
        return conv2d(pad(x, (by,) * 4, mode="reflect"), *next(w))

    image = noise(2, 3, 16, 16)
    x = norm(mirrored(image, 3)).clamp(min=0)
    for _ in range(2):
        x = norm(conv2d(x, *next(w), stride=2, padding=1)).clamp(min=0)
    x = x + norm(mirrored(norm(mirrored(x, 1)).clamp(min=0), 1))
    for _ in range(2):
        x = norm(conv_transpose2d(x, *next(w), stride=2, padding=1, output_padding=1)).clamp(min=0)
    assert torch.allclose(network(image), mirrored(x, 3).tanh(), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "given"), [*((side, side) for side in (8, 64, 100, 252, 256, 512)), (250, 252), (254, 256), (102, 104)]
)
def test_the_generator_keeps_multiples_of_four_and_rounds_other_sides_up(side, given):
    network = ResnetGenerator(width=1, blocks=1)
    with torch.inference_mode():
        assert network(noise(1, 3, side, side)).shape == (1, 3, given, given)


def test_the_output_stays_in_range():
    torch.manual_seed(0)
    network = ResnetGenerator(width=4, blocks=2)
    for parameter in network.parameters():
        parameter.data.mul_(20)  # far into the tanh
    with torch.inference_mode():
        assert 0.9 < network(noise(1, 3, 32, 32)).abs().max() <= 1


def test_training_and_eval_mode_are_the_same_and_images_do_not_meet():
    torch.manual_seed(0)
    network, images = ResnetGenerator(width=4, blocks=2), noise(3, 3, 32, 32)
    with torch.inference_mode():
        out = network.train()(images)
        assert torch.equal(network.eval()(images), out)
        alone = torch.cat([network(image) for image in images.split(1)])
    assert (out - alone).abs().max() < 1e-5
    images.requires_grad_(True)
    network(images)[1].square().sum().backward()
    assert [gradient.abs().max().item() > 0 for gradient in images.grad] == [False, True, False]
