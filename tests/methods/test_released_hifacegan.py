"""HiFaceGAN's generator in the naming of the authors' code, written here anew from its structure, answers as ours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from released import close, randomise, refusal, saved, started
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu
from torch.nn.utils import spectral_norm

from nferbench_methods.hifacegan import HiFaceGANRecipe

WIDTH = 2


class SPADE(nn.Module):
    def __init__(self, channels: int, feature: int) -> None:
        super().__init__()
        hidden = min(128, channels)
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(feature, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        hidden = self.mlp_shared(f)
        return self.param_free_norm(x) * self.mlp_gamma(hidden) + self.mlp_beta(hidden)


class SPADEResnetBlock(nn.Module):
    def __init__(self, before: int, after: int, feature: int) -> None:
        super().__init__()
        middle = min(before, after)
        self.conv_0 = spectral_norm(nn.Conv2d(before, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, after, 3, padding=1))
        self.norm_0, self.norm_1 = SPADE(before, feature), SPADE(middle, feature)
        self.learned = before != after
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(before, after, 1, bias=False))
            self.norm_s = SPADE(before, feature)

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        shortcut = self.conv_s(self.norm_s(x, f)) if self.learned else x
        h = self.conv_0(leaky_relu(self.norm_0(x, f), 0.2))
        return shortcut + self.conv_1(leaky_relu(self.norm_1(h, f), 0.2))


class Pooling(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.logit = nn.Sequential(convolution, nn.InstanceNorm2d(channels, affine=True), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        weight = (12 * self.logit(x)).exp()
        return avg_pool2d(x * weight, 3, 2, 1) / avg_pool2d(weight, 3, 2, 1)


class Suppressor(nn.Module):
    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        first = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.head = nn.Sequential(first, nn.InstanceNorm2d(width), nn.ReLU())
        self.halvings = halvings
        ratio = 1
        for i in range(halvings):
            after = min(2 * ratio, 16)
            layers = [Pooling(ratio * width), nn.Conv2d(ratio * width, after * width, 3, padding=1)]
            layers += [nn.InstanceNorm2d(after * width)] + [nn.ReLU()] * (i < halvings - 1)
            setattr(self, f"encoder_{i}", nn.Sequential(*layers))
            ratio = after

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.head(x)]
        for i in range(self.halvings):
            features.insert(0, getattr(self, f"encoder_{i}")(features[0]))
        return features


class Generator(nn.Module):
    def __init__(self, width: int, halvings: int = 5) -> None:
        super().__init__()
        channels = [width * min(2**i, 16) for i in range(halvings, -1, -1)]
        top, coarse = channels[:2]
        self.fc = nn.Conv2d(3, coarse, 3, padding=1)
        self.head_0 = SPADEResnetBlock(coarse, coarse, top)
        self.G_middle_0 = SPADEResnetBlock(coarse, coarse, coarse)
        self.G_middle_1 = SPADEResnetBlock(coarse, coarse, coarse)
        pairs = pairwise(channels[1:])
        self.ups = nn.ModuleList(SPADEResnetBlock(before, after, after) for before, after in pairs)
        self.to_rgbs = nn.ModuleList(nn.Conv2d(after, 3, 3, padding=1) for after in channels[2:])
        self.encoder = Suppressor(width, halvings)
        self.halvings = halvings

    def forward(self, u: Tensor) -> Tensor:
        features = self.encoder(u)
        x = self.fc(interpolate(u, scale_factor=0.5**self.halvings, mode="nearest"))
        x = interpolate(self.head_0(x, features[0]), scale_factor=2)
        x = self.G_middle_1(self.G_middle_0(x, features[1]), features[1])
        for up, f in zip(self.ups, features[2:], strict=True):
            x = up(interpolate(x, scale_factor=2), f)
        return torch.tanh(self.to_rgbs[-1](leaky_relu(x, 0.2)))


def recipe(halvings: int) -> HiFaceGANRecipe:
    return HiFaceGANRecipe(width=WIDTH, halvings=halvings, discriminator_width=4, perceptual="none")


@pytest.mark.parametrize("halvings", [3, 5])
def test_a_generator_answers_as_the_authors(halvings: int, tmp_path: Path) -> None:
    theirs = randomise(Generator(WIDTH, halvings)).eval()
    size = 2 * 2**halvings
    path = tmp_path / "latest_net_G.pth"
    ours, heard = started(saved(recipe(halvings), theirs.state_dict(), path), size)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # the authors translate by the statistics of the image at hand
            module.train()
    u = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert close(ours(u), theirs(u))
    assert any("tensors are not used" in line for line in heard)
    assert any("started from nothing: discriminator" in line for line in heard)


def test_the_generator_of_the_files_on_line_is_refused(tmp_path: Path) -> None:
    state = Generator(WIDTH).state_dict()
    other = {name.replace("encoder.", "lip_encoder.model."): value for name, value in state.items()}
    assert "'encoder.head.0.weight' is missing" in refusal(saved(recipe(5), other, tmp_path / "a.pth"), 64)
    raw = {
        name: torch.zeros(value.shape[0], 3, 3, 3) if name.endswith("mlp_shared.0.weight") else value
        for name, value in state.items()
    }
    assert "has shape" in refusal(saved(recipe(5), raw, tmp_path / "b.pth"), 64)
