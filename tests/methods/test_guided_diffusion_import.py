"""Importing public checkpoints, checked against a second U-Net that is written here from its description.

The reference computes straight from a state dict in the public naming, one function a layer, and shares no code with
the network under test: agreement means that names, the order of queries, keys and values, of scale and shift, of
cosines and sines, the groups of norms, the heads, and the places of all blocks are right.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from nferbench import FaceSpec, UsageError
from nferbench.contract.values import describe
from nferbench_methods.diffusion.checkpoint import from_guided_diffusion
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.diffusion.unet import norm_groups

RECIPE = ScoreRecipe(
    conditional=False, width=128, multipliers=(1, 2), res_blocks=1, attention=(8,), head_channels=64, steps=1
)
DEEP = ScoreRecipe(
    conditional=False, width=128, multipliers=(1, 2, 2), res_blocks=2, attention=(8, 4), head_channels=32, steps=1
)
NARROW = ScoreRecipe(conditional=False, width=32, multipliers=(1,), res_blocks=1, attention=(), steps=1)
SIZE, GROUPS = 16, 32


class Reference:
    """The public U-Net as functions over a state dict; with an empty one, it draws the parameters that it misses."""

    def __init__(self, recipe, state, order="legacy"):
        self.recipe, self.state, self.order = recipe, state, order
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
        qkv, head = F.conv1d(flat, weight, bias), self.recipe.head_channels
        if self.order == "legacy":  # heads are split before queries, keys and values
            q, k, v = qkv.reshape(batch * (channels // head), 3 * head, -1).split(head, dim=1)
        else:
            q, k, v = (part.reshape(batch * (channels // head), head, -1) for part in qkv.split(channels, dim=1))
        attended = torch.softmax(q.mT @ k / math.sqrt(head), dim=-1) @ v.mT
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


def inputs():
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 317, 999])


def drawn(recipe, order="legacy"):
    """A state dict of random numbers and what the public network answers with it."""
    state = {}
    return state, Reference(recipe, state, order)(*inputs())


def answer(recipe, state, order="legacy"):
    network = recipe.build(FaceSpec(SIZE)).eval()
    network.unet.net.load_state_dict(from_guided_diffusion(state, network.unet, order))
    with torch.no_grad():
        return torch.cat(network(*inputs()), 1)


def close(found, expected):
    return torch.allclose(found, expected, atol=1e-5 * expected.abs().max())


@pytest.fixture(scope="module")
def example():
    return drawn(RECIPE)


@pytest.mark.parametrize("order", ["legacy", "new"])
def test_an_imported_checkpoint_answers_as_the_public_network(order):
    state, expected = drawn(DEEP, order)
    assert expected.std() > 0.1
    assert close(answer(DEEP, state, order), expected)


@pytest.mark.parametrize("head_channels", [32, 64, 128])
def test_heads_are_as_wide_as_the_recipe_says_at_every_level(head_channels):
    recipe = replace(RECIPE, head_channels=head_channels)
    state, expected = drawn(recipe)
    assert close(answer(recipe, state), expected)


def test_order_and_heads_do_not_show_in_a_file_so_that_the_recipe_must_tell_them(example):
    state, expected = example
    assert not close(answer(RECIPE, state, "new"), expected)
    assert not close(answer(replace(RECIPE, head_channels=32), state), expected)


def stored(state, path):
    """What a recipe says of a checkpoint that is written to a file."""
    torch.save(state, path)
    return {"init": str(path), "init_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize("order", ["legacy", "new"])
def test_a_training_can_start_from_a_checkpoint_file(tmp_path, order):
    state, expected = drawn(RECIPE, order)
    recipe = replace(RECIPE, **stored(state, tmp_path / "adm.pt"), init_attention=order)
    network = recipe.build(FaceSpec(SIZE))
    recipe.learner(network, FaceSpec(SIZE), pairs=10)
    with torch.no_grad():
        assert close(network.eval()(*inputs())[0], expected[:, :3])


@pytest.mark.parametrize("width", [64, 144])
@pytest.mark.parametrize("name", ["adm.pt", "adm.safetensors"])
def test_widths_whose_norms_have_other_groups_than_the_public_ones_are_refused_whatever_the_file_is_called(
    tmp_path, name, width
):
    recipe = replace(NARROW, width=width, head_channels=width)
    recipe = replace(recipe, **stored({"out.0.weight": torch.ones(width)}, tmp_path / name))
    with pytest.raises(UsageError, match=f"norms of width {width} have .* groups here and 32 there; allowed: multi"):
        recipe.learner(recipe.build(FaceSpec(SIZE)), FaceSpec(SIZE), pairs=10)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_of_ours_of_any_width_are_read_whatever_the_file_is_called(tmp_path, name):
    fitted = NARROW.build(FaceSpec(SIZE))
    save_file({key: value.contiguous() for key, value in fitted.state_dict().items()}, tmp_path / name)
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    recipe = replace(NARROW, init=str(tmp_path / name), init_sha256=digest)
    network = recipe.build(FaceSpec(SIZE))
    recipe.learner(network, FaceSpec(SIZE), pairs=10)
    assert all(torch.equal(value, fitted.state_dict()[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("width", [64, 96])
def test_a_state_dict_of_a_narrow_network_is_refused(width):
    recipe = replace(RECIPE, width=width, head_channels=32)
    state, _ = drawn(recipe)
    with pytest.raises(UsageError, match=f"^norms of width {width} have .* groups here and 32 there; allowed"):
        from_guided_diffusion(state, recipe.build(FaceSpec(SIZE)).unet)


@pytest.mark.parametrize("width", [128, 160, 192, 256])
def test_all_allowed_widths_have_the_public_groups(width):
    assert norm_groups(width) == GROUPS


def test_the_order_is_part_of_the_key_only_where_it_is_told_and_of_use_only_with_a_checkpoint():
    plain, told = (replace(RECIPE, init_sha256="ab", init_attention=order) for order in ("legacy", "new"))
    assert "init_attention" not in describe(plain) and describe(told)["init_attention"] == "new"
    with pytest.raises(UsageError, match="init_attention is 'new' and there is no checkpoint"):
        replace(RECIPE, init_attention="new")
    replace(RECIPE, init="adm.pt", init_attention="new")  # its SHA-256 is filled in by the harness


def test_where_a_checkpoint_lies_is_no_part_of_the_recipe():
    here, there = (ScoreRecipe(init=path, init_sha256="ab") for path in ("/a/adm.pt", "/b/adm.pt"))
    assert here == there != ScoreRecipe()


def refused(recipe, path, digest):
    recipe = replace(recipe, init=str(path), init_sha256=digest)
    with pytest.raises(UsageError) as caught:
        recipe.learner(recipe.build(FaceSpec(SIZE)), FaceSpec(SIZE), pairs=10)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_checkpoints_that_are_not_what_was_asked_for_are_refused(tmp_path, example):
    state, _ = example
    path = tmp_path / "adm.pt"
    digest = stored(state, path)["init_sha256"]
    assert "is not a file" in refused(RECIPE, tmp_path / "none.pt", digest)
    assert digest in refused(RECIPE, path, "")
    assert "'input_blocks.3.0" in refused(replace(RECIPE, res_blocks=3), path, digest)
    assert "is missing" in refused(replace(RECIPE, multipliers=(1, 2, 2)), path, digest)
    assert "has shape" in refused(replace(RECIPE, learned_variance=False), path, digest)
    assert "heads of 96; set head_channels" in refused(replace(RECIPE, head_channels=96), path, digest)


def additive(state):
    """use_scale_shift_norm off: the time is only added."""
    return {name: value[: len(value) // 2] if "emb_layers" in name else value for name, value in state.items()}


def plain_resampling(state):
    """resblock_updown off: one convolution down, and one up."""
    down, up = "input_blocks.2.0", "output_blocks.1.2"
    kept = {name: value for name, value in state.items() if not name.startswith((f"{down}.", f"{up}."))}
    layers = {f"{down}.op": 128, f"{up}.conv": 256}
    new = {
        f"{name}.{kind}": shape
        for name, c in layers.items()
        for kind, shape in (("weight", (c, c, 3, 3)), ("bias", (c,)))
    }
    return kept | {name: torch.zeros(shape) for name, shape in new.items()}


OTHERS = {
    "classes": lambda state: {**state, "label_emb.weight": torch.zeros(1000, 512)},
    "no scale and shift": additive,
    "no residual resampling": plain_resampling,
    "fixed variance": lambda state: (
        state | {"out.2.weight": state["out.2.weight"][:3], "out.2.bias": state["out.2.bias"][:3]}
    ),
    "other embedding": lambda state: state | {"time_embed.0.weight": torch.zeros(512, 64)},
    "other rows of an attention": lambda state: state | {"middle_block.1.qkv.weight": torch.zeros(700, 256, 1)},
    "whole numbers": lambda state: state | {"out.2.bias": torch.zeros(6, dtype=torch.int8)},
    "not finite": lambda state: state | {"out.2.bias": torch.full((6,), torch.nan)},
}


@pytest.mark.parametrize("change", OTHERS)
def test_settings_that_show_in_a_file_and_are_not_the_networks_are_refused(change, example):
    state, _ = example
    with pytest.raises(UsageError, match=r"^'\S+' (is|has) ") as caught:
        from_guided_diffusion(OTHERS[change](state), RECIPE.build(FaceSpec(SIZE)).unet)
    assert "\n" not in str(caught.value)


def test_half_precision_is_widened():
    state, _ = drawn(RECIPE)
    halved = {name: value.half() for name, value in state.items()}
    widened = {name: value.float() for name, value in halved.items()}
    assert close(answer(RECIPE, halved), Reference(RECIPE, widened)(*inputs()))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"weights": "text"}, [1, 2], pytest.fail])
def test_files_that_are_no_state_dict_are_refused_and_nothing_in_them_is_run(tmp_path, content):
    path = tmp_path / "adm.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert "not a state dict" in refused(RECIPE, path, hashlib.sha256(path.read_bytes()).hexdigest())
