"""The noisy classifier of guided-diffusion, written here anew from its structure, answers as EGSDE's network does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from released import close, randomise, refusal, saved, started
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from nferbench_methods.diffusion.domains import DomainRecipe

RECIPE = DomainRecipe(width=128, multipliers=(1, 2), res_blocks=2, attention=(8,), head_channels=64, batch_size=2)
SIZE = 16


class Residual(nn.Module):
    def __init__(self, before: int, after: int, embedding: int, down: bool = False) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * after))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, after), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(after, after, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.down = down

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        norm, act, convolution = self.in_layers
        h = act(norm(x))
        if self.down:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        scale, shift = self.emb_layers(e)[:, :, None, None].chunk(2, dim=1)
        norm, *rest = self.out_layers
        h = norm(convolution(h)) * (1 + scale) + shift
        return self.skip_connection(x) + nn.Sequential(*rest)(h)


class Attention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.qkv, self.proj_out = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, channels, 1)
        self.heads = heads

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        flat = x.flatten(2)
        # Heads first, then queries, keys and values.
        q, k, v = self.qkv(self.norm(flat)).reshape(batch * self.heads, 3 * channels // self.heads, -1).chunk(3, dim=1)
        weights = torch.softmax(q.mT @ k / math.sqrt(channels // self.heads), dim=-1)
        return (flat + self.proj_out((v @ weights.mT).reshape(batch, channels, -1))).reshape(x.shape)


class AttentionPool2d(nn.Module):
    def __init__(self, side: int, channels: int, heads: int, classes: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(channels, side**2 + 1))
        self.qkv_proj, self.c_proj = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, classes, 1)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2)
        x = torch.cat([x.mean(-1, keepdim=True), x], -1) + self.positional_embedding
        # Queries, keys and values first, then heads.
        q, k, v = (part.unflatten(1, (self.heads, -1)) for part in self.qkv_proj(x).chunk(3, dim=1))
        weights = torch.softmax(q.mT @ k / math.sqrt(q.shape[2]), dim=-1)
        return self.c_proj((v @ weights.mT).flatten(1, 2))[:, :, 0]


class Blocks(nn.Sequential):
    def forward(self, x: Tensor, e: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x) if isinstance(layer, nn.Conv2d) else layer(x, e)
        return x


class EncoderUNetModel(nn.Module):
    def __init__(self, recipe: DomainRecipe, classes: int) -> None:
        super().__init__()
        width, e, now, side = recipe.width, 4 * recipe.width, recipe.width, SIZE
        self.time_embed = nn.Sequential(nn.Linear(width, e), nn.SiLU(), nn.Linear(e, e))
        blocks = [Blocks(nn.Conv2d(3, width, 3, padding=1))]
        for level, multiplier in enumerate(recipe.multipliers):
            after = multiplier * width
            for _ in range(recipe.res_blocks):
                layers: list[nn.Module] = [Residual(now, after, e)]
                now = after
                if side in recipe.attention:
                    layers.append(Attention(now, now // recipe.head_channels))
                blocks.append(Blocks(*layers))
            if level < len(recipe.multipliers) - 1:
                blocks.append(Blocks(Residual(now, now, e, down=True)))
                side //= 2
        self.input_blocks = nn.ModuleList(blocks)
        heads = now // recipe.head_channels
        self.middle_block = Blocks(Residual(now, now, e), Attention(now, heads), Residual(now, now, e))
        self.out = nn.Sequential(nn.GroupNorm(32, now), nn.SiLU(), AttentionPool2d(side, now, heads, classes))
        self.width = width

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        half = self.width // 2
        angles = t[:, None].float() * torch.exp(-math.log(10_000) * torch.arange(half) / half)
        e = self.time_embed(torch.cat([angles.cos(), angles.sin()], -1))
        for block in self.input_blocks:
            x = block(x, e)
        return self.middle_block(x, e)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.out(self.features(x, t))


def inputs() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5)), torch.tensor([3, 700])


def test_features_and_answers_are_those_of_the_classifier(tmp_path: Path) -> None:
    theirs = randomise(EncoderUNetModel(RECIPE, classes=2)).eval()
    ours, heard = started(saved(RECIPE, theirs.state_dict(), tmp_path / "dse.pt"), SIZE)
    with torch.no_grad():
        assert close(ours(*inputs()), theirs.features(*inputs()))
        assert close(ours.logits(*inputs()), theirs(*inputs()))
    assert not heard


def test_the_last_layer_of_other_classes_is_left_out_and_told(tmp_path: Path) -> None:
    theirs = randomise(EncoderUNetModel(RECIPE, classes=1000)).eval()
    ours, heard = started(saved(RECIPE, theirs.state_dict(), tmp_path / "256x256_classifier.pt"), SIZE)
    nothing, _ = started(RECIPE, SIZE)
    with torch.no_grad():
        assert close(ours(*inputs()), theirs.features(*inputs()))
    assert torch.equal(ours.pool.out.weight, nothing.pool.out.weight)
    assert heard == [
        f"'out.2.c_proj.{kind}' tells 1000 classes apart, here are 2: starts from nothing"
        for kind in ("weight", "bias")
    ]


def test_other_classifiers_are_refused_by_name(tmp_path: Path) -> None:
    state = EncoderUNetModel(RECIPE, classes=2).state_dict()
    other = EncoderUNetModel(replace(RECIPE, res_blocks=1), classes=2).state_dict()
    assert "'input_blocks.3.0.in_" in refusal(saved(RECIPE, other, tmp_path / "o.pt"), SIZE)
    assert "'out.2.positional_embedding' has shape" in refusal(saved(RECIPE, state, tmp_path / "s.pt"), 2 * SIZE)
    averaging = {name: value for name, value in state.items() if not name.startswith("out.2")}
    assert "attention pooling" in refusal(saved(RECIPE, averaging, tmp_path / "p.pt"), SIZE)
    assert "heads of 96" in refusal(saved(replace(RECIPE, head_channels=96), state, tmp_path / "h.pt"), SIZE)


def test_what_is_left_out_is_told_where_networks_have_no_memory(tmp_path: Path) -> None:
    recipe = saved(RECIPE, EncoderUNetModel(RECIPE, classes=1000).state_dict(), tmp_path / "c.pt")
    with torch.device("meta"):
        assert len(started(recipe, SIZE)[1]) == 2
