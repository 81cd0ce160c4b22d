"""Importing public checkpoints, checked against a second U-Net that is written here from its description.

The reference computes straight from a state dict in the public naming, one function a layer, and shares no code with
the network under test: agreement means that names, the order of queries, keys and values, of scale and shift, of
cosines and sines, and the places of all blocks are right.
"""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
import torch.nn.functional as F

from nferbench import FaceSpec, UsageError
from nferbench_methods.diffusion.checkpoint import from_guided_diffusion
from nferbench_methods.diffusion.score import ScoreRecipe

RECIPE = ScoreRecipe(
    conditional=False, width=16, multipliers=(1, 2, 2), res_blocks=2, attention=(8, 4), head_channels=8, steps=1
)
SIZE, GROUPS, HEAD = 16, 4, 8


class Reference:
    """The public U-Net as functions over a state dict; with an empty one, it draws the parameters that it misses."""

    def __init__(self, recipe, state):
        self.recipe, self.state = recipe, state
        self.generator = torch.Generator().manual_seed(0)

    def get(self, name, *shape):
        if name not in self.state:
            scale = 1.0 if len(shape) == 1 else math.prod(shape[1:]) ** -0.5
            self.state[name] = scale * torch.randn(shape, generator=self.generator)
        return self.state[name]

    def conv(self, name, x, out, kernel):
        weight = self.get(f"{name}.weight", out, x.shape[1], kernel, kernel)
        return F.conv2d(x, weight, self.get(f"{name}.bias", out), padding=kernel // 2)

    def linear(self, name, x, out):
        return F.linear(x, self.get(f"{name}.weight", out, x.shape[1]), self.get(f"{name}.bias", out))

    def norm(self, name, x):
        channels = x.shape[1]
        return F.group_norm(x, GROUPS, self.get(f"{name}.weight", channels), self.get(f"{name}.bias", channels), 1e-5)

    def residual(self, name, x, emb, out, resample=None):
        h = F.silu(self.norm(f"{name}.in_layers.0", x))
        if resample == "down":
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        elif resample == "up":
            h, x = (F.interpolate(image, scale_factor=2, mode="nearest") for image in (h, x))
        h = self.conv(f"{name}.in_layers.2", h, out, 3)
        scale, shift = self.linear(f"{name}.emb_layers.1", F.silu(emb), 2 * out)[..., None, None].chunk(2, dim=1)
        h = self.norm(f"{name}.out_layers.0", h) * (1 + scale) + shift
        h = self.conv(f"{name}.out_layers.3", F.silu(h), out, 3)
        return h + (x if x.shape[1] == out else self.conv(f"{name}.skip_connection", x, out, 1))

    def attention(self, name, x):
        batch, channels, height, width = x.shape
        flat = self.norm(f"{name}.norm", x).flatten(2)
        weight, bias = (
            self.get(f"{name}.qkv.weight", 3 * channels, channels, 1),
            self.get(f"{name}.qkv.bias", 3 * channels),
        )
        qkv = F.conv1d(flat, weight, bias)
        q, k, v = qkv.reshape(batch * (channels // HEAD), 3 * HEAD, -1).split(HEAD, dim=1)
        attended = torch.softmax(q.mT @ k / math.sqrt(HEAD), dim=-1) @ v.mT
        flat = attended.mT.reshape(batch, channels, -1)
        weight = self.get(f"{name}.proj_out.weight", channels, channels, 1)
        out = F.conv1d(flat, weight, self.get(f"{name}.proj_out.bias", channels))
        return x + out.view(batch, channels, height, width)

    def __call__(self, x, t):
        recipe, width = self.recipe, self.recipe.width
        frequency = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2))
        angle = t[:, None].float() * frequency
        emb = self.linear("time_embed.0", torch.cat([angle.cos(), angle.sin()], 1), 4 * width)
        emb = self.linear("time_embed.2", F.silu(emb), 4 * width)
        h = self.conv("input_blocks.0.0", x, width, 3)
        skips, n = [h], 1
        for level, multiplier in enumerate(recipe.multipliers):
            for _ in range(recipe.res_blocks):
                h = self.residual(f"input_blocks.{n}.0", h, emb, multiplier * width)
                if h.shape[-1] in recipe.attention:
                    h = self.attention(f"input_blocks.{n}.1", h)
                skips.append(h)
                n += 1
            if level < len(recipe.multipliers) - 1:
                h = self.residual(f"input_blocks.{n}.0", h, emb, multiplier * width, "down")
                skips.append(h)
                n += 1
        h = self.residual("middle_block.0", h, emb, h.shape[1])
        h = self.residual("middle_block.2", self.attention("middle_block.1", h), emb, h.shape[1])
        n = 0
        for level, multiplier in reversed(list(enumerate(recipe.multipliers))):
            for i in range(recipe.res_blocks + 1):
                h = self.residual(f"output_blocks.{n}.0", torch.cat([h, skips.pop()], 1), emb, multiplier * width)
                inner = 1
                if h.shape[-1] in recipe.attention:
                    h, inner = self.attention(f"output_blocks.{n}.1", h), 2
                if level > 0 and i == recipe.res_blocks:
                    h = self.residual(f"output_blocks.{n}.{inner}", h, emb, multiplier * width, "up")
                n += 1
        return self.conv("out.2", F.silu(self.norm("out.0", h)), 6, 3)


@pytest.fixture
def example():
    x, t = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 317, 999])
    state = {}
    expected = Reference(RECIPE, state)(x, t)
    return x, t, state, expected


def test_an_imported_checkpoint_answers_as_the_public_network(example):
    x, t, state, expected = example
    network = RECIPE.build(FaceSpec(SIZE)).eval()
    network.unet.net.load_state_dict(from_guided_diffusion(state, network.unet))
    with torch.no_grad():
        eps, v = network(x, t)
    assert expected.std() > 0.1
    assert torch.allclose(torch.cat([eps, v], 1), expected, atol=1e-5 * expected.abs().max())


def test_a_training_can_start_from_a_checkpoint_file(tmp_path, example):
    x, t, state, expected = example
    path = tmp_path / "adm.pt"
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    recipe = ScoreRecipe(**{**vars(RECIPE), "init": str(path), "init_sha256": digest})
    network = recipe.build(FaceSpec(SIZE))
    recipe.learner(network, FaceSpec(SIZE), pairs=10)
    with torch.no_grad():
        assert torch.allclose(network.eval()(x, t)[0], expected[:, :3], atol=1e-5 * expected.abs().max())


def test_where_a_checkpoint_lies_is_no_part_of_the_recipe():
    here, there = (ScoreRecipe(init=path, init_sha256="ab") for path in ("/a/adm.pt", "/b/adm.pt"))
    assert here == there != ScoreRecipe()


def refused(recipe, path, digest):
    recipe = ScoreRecipe(**{**vars(recipe), "init": str(path), "init_sha256": digest})
    with pytest.raises(UsageError) as caught:
        recipe.learner(recipe.build(FaceSpec(SIZE)), FaceSpec(SIZE), pairs=10)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_checkpoints_that_are_not_what_was_asked_for_are_refused(tmp_path, example):
    *_, state, _ = example
    path = tmp_path / "adm.pt"
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert "is not a file" in refused(RECIPE, tmp_path / "none.pt", digest)
    assert digest in refused(RECIPE, path, "")
    assert "missing" in refused(ScoreRecipe(**{**vars(RECIPE), "res_blocks": 3}), path, digest)
    assert "has shape" in refused(ScoreRecipe(**{**vars(RECIPE), "learned_variance": False}), path, digest)
    torch.save({**state, "label_emb.weight": torch.zeros(1000, 64)}, path)
    assert "'label_emb.weight' is left over" in refused(RECIPE, path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"weights": "text"}, [1, 2], pytest.fail])
def test_files_that_are_no_state_dict_are_refused_and_nothing_in_them_is_run(tmp_path, content):
    path = tmp_path / "adm.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert "not a state dict" in refused(RECIPE, path, hashlib.sha256(path.read_bytes()).hexdigest())
