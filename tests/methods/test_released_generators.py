"""Generators in the naming of pytorch-CycleGAN-and-pix2pix, written here anew from its structure, answer as ours do."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from released import close, randomise, refusal, saved, started
from torch import Tensor, nn

from nferbench_methods.cyclegan import CycleGANRecipe
from nferbench_methods.pix2pix import Pix2PixRecipe

PIX2PIX = Pix2PixRecipe(levels=4, width=4, discriminator_width=4)
CYCLEGAN = CycleGANRecipe(width=4, blocks=3, discriminator_width=4)
SIZE = 32


class Level(nn.Module):
    """One level of the authors' U-Net, around the next one."""

    def __init__(self, outer: int, inner: int, source: int, within: Level | None, outermost: bool = False) -> None:
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(source, inner, 4, 2, 1, bias=False)
        up = nn.ConvTranspose2d(inner if within is None else 2 * inner, outer, 4, 2, 1, bias=outermost)
        if outermost:
            layers = [down, within, nn.ReLU(), up, nn.Tanh()]
        elif within is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.BatchNorm2d(outer)]
        else:
            norms = nn.BatchNorm2d(inner), nn.BatchNorm2d(outer)
            layers = [nn.LeakyReLU(0.2), down, norms[0], within, nn.ReLU(), up, norms[1], nn.Dropout(0.5)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    def __init__(self, levels: int, width: int) -> None:
        super().__init__()
        channels = [width * min(2**i, 8) for i in range(levels)]
        level = None
        for outer, inner in reversed(list(pairwise(channels))):
            level = Level(outer, inner, outer, level)
        self.model = Level(3, width, 3, level, outermost=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ResnetBlock(nn.Module):
    def __init__(self, channels: int, dropout: bool) -> None:
        super().__init__()

        def half() -> list[nn.Module]:
            return [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]

        self.conv_block = nn.Sequential(*half(), nn.ReLU(), *([nn.Dropout(0.5)] if dropout else []), *half())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    def __init__(self, width: int, blocks: int, dropout: bool = False) -> None:
        super().__init__()

        def then(layer: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
            return [layer, nn.InstanceNorm2d(layer.out_channels), nn.ReLU()]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *then(nn.Conv2d(3, width, 7)),
            *then(nn.Conv2d(width, 2 * width, 3, 2, 1)),
            *then(nn.Conv2d(2 * width, 4 * width, 3, 2, 1)),
            *(ResnetBlock(4 * width, dropout) for _ in range(blocks)),
            *then(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, output_padding=1)),
            *then(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def faces() -> Tensor:
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def agrees(recipe: Any, theirs: nn.Module, state: Any, path: Path, **how: Any) -> list[str]:
    ours, heard = started(saved(recipe, state, path, **how), SIZE)
    with torch.no_grad():
        assert close(ours(faces()), theirs.eval()(faces()))
    return heard


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_u_net_of_pix2pix_answers_as_the_authors(levels: int, tmp_path: Path) -> None:
    theirs = randomise(UnetGenerator(levels, 4))
    recipe = Pix2PixRecipe(levels=levels, width=4, discriminator_width=4)
    heard = agrees(recipe, theirs, theirs.state_dict(), tmp_path / "latest_net_G.pth")
    assert any("started from nothing: discriminator" in line for line in heard)


def test_a_generator_of_cyclegan_answers_as_the_authors(tmp_path: Path) -> None:
    theirs = randomise(ResnetGenerator(4, 3))
    heard = agrees(CYCLEGAN, theirs, theirs.state_dict(), tmp_path / "latest_net_G_A.pth")
    assert any("started from nothing: inverse, nir_discriminator, vis_discriminator" in line for line in heard)


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "older"])
def test_both_layouts_of_torch_and_names_of_parallel_training_are_read(how: dict[str, bool], tmp_path: Path) -> None:
    theirs = randomise(UnetGenerator(4, 4))
    state = OrderedDict((f"module.{name}", value) for name, value in theirs.state_dict().items())
    agrees(PIX2PIX, theirs, state, tmp_path / "10_net_G.pth", **how)


def test_files_of_old_versions_lack_counters_and_have_averages_of_instance_norms(tmp_path: Path) -> None:
    unet, resnet = randomise(UnetGenerator(4, 4)), randomise(ResnetGenerator(4, 3))
    state = {name: value for name, value in unet.state_dict().items() if "num_batches" not in name}
    agrees(PIX2PIX, unet, state, tmp_path / "a.pth")
    old = {
        f"{name}.{kind}": torch.ones(each.num_features)
        for name, each in resnet.named_modules()
        if isinstance(each, nn.InstanceNorm2d)
        for kind in ("running_mean", "running_var")
    }
    heard = agrees(CYCLEGAN, resnet, resnet.state_dict() | old, tmp_path / "b.pth")
    assert any(line.startswith(f"{len(old)} tensors are not used") for line in heard)


def test_other_networks_of_the_authors_are_refused_by_name(tmp_path: Path) -> None:
    unet, resnet = UnetGenerator(4, 4).state_dict(), ResnetGenerator(4, 3).state_dict()
    more = ResnetGenerator(4, 4).state_dict()
    deep, dropping = UnetGenerator(5, 4).state_dict(), ResnetGenerator(4, 3, dropout=True).state_dict()
    assert "'model.model.0.weight' is missing" in refusal(saved(PIX2PIX, resnet, tmp_path / "r.pth"), SIZE)
    assert "'model.13.weight' is missing" in refusal(saved(CYCLEGAN, more, tmp_path / "m.pth"), SIZE)
    assert "'model.1.weight' is missing" in refusal(saved(CYCLEGAN, unet, tmp_path / "u.pth"), SIZE)
    assert "'model.model.1.model.3.model.3.model" in refusal(saved(PIX2PIX, deep, tmp_path / "d.pth"), SIZE)
    assert "conv_block.5.weight' is missing" in refusal(saved(CYCLEGAN, dropping, tmp_path / "x.pth"), SIZE)
    wide = UnetGenerator(4, 8).state_dict()
    assert "'model.model.0.weight' has shape (8, 3, 4, 4)" in refusal(saved(PIX2PIX, wide, tmp_path / "w.pth"), SIZE)
    broken = unet | {"model.model.0.weight": torch.full((4, 3, 4, 4), torch.nan)}
    assert "is not finite" in refusal(saved(PIX2PIX, broken, tmp_path / "n.pth"), SIZE)


def test_names_in_a_file_are_told_in_one_line(tmp_path: Path) -> None:
    state = UnetGenerator(4, 4).state_dict() | {"two\nlines\x1b[31m": torch.ones(1)}
    assert r"'two\nlines\x1b[31m' is left over" in refusal(saved(PIX2PIX, state, tmp_path / "a.pth"), SIZE)
    wrapped = {"state\ndict": {"a": torch.ones(1)}}
    assert "they hold 'state" in refusal(saved(PIX2PIX, wrapped, tmp_path / "b.pth"), SIZE)


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"model": {"a": torch.ones(1)}}, {}, [torch.ones(1)], print])
def test_what_is_no_state_dict_is_refused_and_not_run(content: object, tmp_path: Path) -> None:
    assert "not a state dict of tensors" in refusal(saved(PIX2PIX, content, tmp_path / "x.pth"), SIZE)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    whole = saved(PIX2PIX, UnetGenerator(4, 4).state_dict(), tmp_path / "a.pth")
    data = Path(whole.init).read_bytes()
    for length in (2, 100, len(data) // 2, len(data) - 10):
        (cut := tmp_path / "cut.pth").write_bytes(data[:length])
        recipe = replace(whole, init=str(cut), init_sha256=hashlib.sha256(data[:length]).hexdigest())
        assert "initial weights" in refusal(recipe, SIZE)


def test_weights_are_read_and_checked_where_networks_have_no_memory(tmp_path: Path) -> None:
    recipe = saved(PIX2PIX, UnetGenerator(4, 4).state_dict(), tmp_path / "a.pth")
    other = saved(PIX2PIX, UnetGenerator(5, 4).state_dict(), tmp_path / "b.pth")
    with torch.device("meta"):
        started(recipe, SIZE)
        assert "'model.model.1.model.3.model.3.model" in refusal(other, SIZE)
