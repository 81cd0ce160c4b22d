"""The network of SR3 in the naming of its common open code, written here anew from its structure, answers as ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from released import close, randomise, refusal, saved, started
from torch import Tensor, nn

from nferbench_methods.diffusion.sr3_score import SR3Recipe

RECIPE = SR3Recipe(width=64, multipliers=(1, 2, 2), res_blocks=1, attention=(8,), dropout=0.2)
SIZE = 16


class Encoding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, level: Tensor) -> Tensor:
        half = self.width // 2
        angles = level[:, None] * torch.exp(-math.log(1e4) * torch.arange(half) / half)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Block(nn.Module):
    def __init__(self, before: int, after: int, dropout: float = 0.0) -> None:
        super().__init__()
        drop = nn.Dropout(dropout) if dropout else nn.Identity()
        self.block = nn.Sequential(nn.GroupNorm(32, before), nn.SiLU(), drop, nn.Conv2d(before, after, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Affine(nn.Module):
    def __init__(self, width: int, after: int) -> None:
        super().__init__()
        self.noise_func = nn.Sequential(nn.Linear(width, after))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return x + self.noise_func(e)[:, :, None, None]


class Residual(nn.Module):
    def __init__(self, before: int, after: int, width: int) -> None:
        super().__init__()
        self.noise_func = Affine(width, after)
        self.block1, self.block2 = Block(before, after), Block(after, after, 0.2)
        self.res_conv = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return self.block2(self.noise_func(self.block1(x), e)) + self.res_conv(x)


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(torch.einsum("bcn,bcm->bnm", q, k) / math.sqrt(x.shape[1]), dim=-1)
        return self.out(torch.einsum("bnm,bcm->bcn", weights, v).reshape(x.shape)) + x


class Attended(nn.Module):
    def __init__(self, before: int, after: int, width: int, attends: bool) -> None:
        super().__init__()
        self.res_block = Residual(before, after, width)
        self.attends = attends
        if attends:
            self.attn = Attention(after)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        x = self.res_block(x, e)
        return self.attn(x) if self.attends else x


class Resampled(nn.Module):
    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self.before = nn.Upsample(scale_factor=2) if up else nn.Identity()
        self.conv = nn.Conv2d(channels, channels, 3, 1 if up else 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.before(x))


class UNet(nn.Module):
    def __init__(
        self, width: int, multipliers: Sequence[int], blocks: int, attention: Sequence[int], size: int
    ) -> None:
        super().__init__()
        self.noise_level_mlp = nn.Sequential(
            Encoding(width), nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)
        )
        now, skips, side = width, [width], size
        downs: list[nn.Module] = [nn.Conv2d(6, width, 3, padding=1)]
        for i, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                downs.append(Attended(now, multiplier * width, width, side in attention))
                now = multiplier * width
                skips.append(now)
            if i < len(multipliers) - 1:
                downs.append(Resampled(now, up=False))
                skips.append(now)
                side //= 2
        self.downs = nn.ModuleList(downs)
        self.mid = nn.ModuleList([Attended(now, now, width, True), Attended(now, now, width, False)])
        ups: list[nn.Module] = []
        for i, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                ups.append(Attended(now + skips.pop(), multiplier * width, width, side in attention))
                now = multiplier * width
            if i:
                ups.append(Resampled(now, up=True))
                side *= 2
        self.ups = nn.ModuleList(ups)
        self.final_conv = Block(now, 3)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        e, skips = self.noise_level_mlp(level), []
        for layer in self.downs:
            x = layer(x, e) if isinstance(layer, Attended) else layer(x)
            skips.append(x)
        for layer in self.mid:
            x = layer(x, e)
        for layer in self.ups:
            x = layer(torch.cat([x, skips.pop()], 1), e) if isinstance(layer, Attended) else layer(x)
        return self.final_conv(x)


class Diffusion(nn.Module):
    """What a file holds: the network, and the tables of its schedule."""

    def __init__(self, network: nn.Module, steps: int = 2000, last: float = 1e-2) -> None:
        super().__init__()
        self.denoise_fn = network
        betas = np.linspace(1e-6, last, steps)
        alphas = np.cumprod(1 - betas)
        before = np.append(1.0, alphas[:-1])
        variance = betas * (1 - before) / (1 - alphas)
        tables = {
            "betas": betas,
            "alphas_cumprod": alphas,
            "alphas_cumprod_prev": before,
            "sqrt_alphas_cumprod": np.sqrt(alphas),
            "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - alphas),
            "log_one_minus_alphas_cumprod": np.log(1 - alphas),
            "sqrt_recip_alphas_cumprod": np.sqrt(1 / alphas),
            "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / alphas - 1),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
            "posterior_mean_coef1": betas * np.sqrt(before) / (1 - alphas),
            "posterior_mean_coef2": (1 - before) * np.sqrt(1 - betas) / (1 - alphas),
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.tensor(table, dtype=torch.float32))


def unet(*multipliers: int, attention: Sequence[int] = (8,)) -> nn.Module:
    return randomise(UNet(64, multipliers or (1, 2, 2), 1, attention, SIZE))


def test_a_gen_file_answers_as_the_code(tmp_path: Path) -> None:
    theirs = unet()
    ours, heard = started(saved(RECIPE, Diffusion(theirs).state_dict(), tmp_path / "I640000_E37_gen.pth"), SIZE)
    x = torch.randn(2, 6, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    level = torch.tensor([0.03, 0.98])
    with torch.no_grad():
        assert close(ours(x, level), theirs.eval()(x, level))
    assert [line for line in heard if "12 tensors are not used" in line]


def test_another_schedule_another_network_and_another_level_are_refused(tmp_path: Path) -> None:
    shorter, steeper = Diffusion(unet(), steps=1000).state_dict(), Diffusion(unet(), last=2e-2).state_dict()
    assert "1000 steps from 1e-06 to 0.01" in refusal(saved(RECIPE, shorter, tmp_path / "s.pth"), SIZE)
    assert "2000 steps from 1e-06 to 0.02" in refusal(saved(RECIPE, steeper, tmp_path / "e.pth"), SIZE)
    attending = Diffusion(unet(attention=(16, 8))).state_dict()
    assert "'denoise_fn.downs.1.attn.norm.weight' is left over" in refusal(
        saved(RECIPE, attending, tmp_path / "a.pth"), SIZE
    )
    told = SR3Recipe(width=64, multipliers=(1, 2, 2), res_blocks=1, attention=(8,), noise_level="gamma")
    good = Diffusion(unet()).state_dict()
    assert "noise_level is 'gamma'" in refusal(saved(told, good, tmp_path / "g.pth"), SIZE)


@pytest.mark.parametrize("name", ["I640000_E37_opt.pth"])
def test_the_state_of_an_optimiser_is_refused(name: str, tmp_path: Path) -> None:
    content = {"epoch": 37, "iter": 640000, "scheduler": None, "optimizer": {"state": {}}}
    assert "not a state dict of tensors: they hold 'epoch', 'iter'" in refusal(
        saved(RECIPE, content, tmp_path / name), SIZE
    )


def test_the_schedule_is_compared_where_networks_have_no_memory(tmp_path: Path) -> None:
    good, other = Diffusion(unet()).state_dict(), Diffusion(unet(), last=2e-2).state_dict()
    good, other = saved(RECIPE, good, tmp_path / "g.pth"), saved(RECIPE, other, tmp_path / "o.pth")
    with torch.device("meta"):
        started(good, SIZE)
        assert "2000 steps from 1e-06 to 0.02" in refusal(other, SIZE)
