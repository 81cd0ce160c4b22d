"""The network of SR3: against a second one written here as functions, its size, its start, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nferbench import FaceSpec, UsageError
from nferbench_methods.diffusion.sr3_score import SR3Recipe
from nferbench_methods.diffusion.sr3_unet import ResidualBlock, SR3UNet, encode

TINY = {"width": 8, "multipliers": (1, 2, 2), "res_blocks": 2, "attention": (8,), "dropout": 0.2}
GROUPS = 4  # at width 8


class Reference:
    """The open implementation as functions over a state dict, from its description; no layer is shared with ours."""

    def __init__(self, state, width):
        self.state, self.width = state, width

    def conv(self, name, x, **options):
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **options)

    def linear(self, name, x):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, name, x):
        grouped = x.unflatten(1, (GROUPS, -1))
        mean = grouped.mean((2, 3, 4), keepdim=True)
        variance = grouped.var((2, 3, 4), keepdim=True, unbiased=False)
        normal = ((grouped - mean) / (variance + 1e-5).sqrt()).flatten(1, 2)
        return normal * self.state[f"{name}.weight"][:, None, None] + self.state[f"{name}.bias"][:, None, None]

    def block(self, name, x, e, attends):
        h = self.norm(f"{name}.norm1", x)
        h = self.conv(f"{name}.conv1", h * h.sigmoid(), padding=1)
        h = h + self.linear(f"{name}.noise", e)[:, :, None, None]
        h = self.norm(f"{name}.norm2", h)
        h = self.conv(f"{name}.conv2", h * h.sigmoid(), padding=1)
        h = h + (self.conv(f"{name}.skip", x) if x.shape[1] != h.shape[1] else x)
        assert (f"{name}.attention.qkv.weight" in self.state) == attends
        return self.attend(f"{name}.attention", h) if attends else h

    def attend(self, name, x):
        q, k, v = self.conv(f"{name}.qkv", self.norm(f"{name}.norm", x)).flatten(2).chunk(3, dim=1)
        weights = (torch.einsum("bci,bcj->bij", q, k) / math.sqrt(x.shape[1])).softmax(-1)
        return x + self.conv(f"{name}.out", torch.einsum("bij,bcj->bci", weights, v).unflatten(2, x.shape[2:]))

    def __call__(self, x, level, multipliers, res_blocks, attention):
        frequencies = [math.exp(-math.log(1e4) * k / (self.width // 2)) for k in range(self.width // 2)]
        code = torch.tensor(
            [[f(value * w) for f in (math.sin, math.cos) for w in frequencies] for value in level.tolist()]
        ).to(x.dtype)
        e = self.linear("embedding.0", code)
        e = self.linear("embedding.2", e * e.sigmoid())

        h = self.conv("first", x, padding=1)
        stack, place, last = [h], iter(range(100)), len(multipliers) - 1
        for i in range(len(multipliers)):
            for _ in range(res_blocks):
                h = self.block(f"down.{next(place)}", h, e, h.shape[-1] in attention)
                stack.append(h)
            if i < last:
                h = self.conv(f"down.{next(place)}", h, stride=2, padding=1)
                stack.append(h)
        h = self.block("middle.0", h, e, True)
        h = self.block("middle.1", h, e, False)
        place = iter(range(100))
        for i in reversed(range(len(multipliers))):
            for _ in range(res_blocks + 1):
                h = self.block(f"up.{next(place)}", torch.cat([h, stack.pop()], 1), e, h.shape[-1] in attention)
            if i:
                h = h.repeat_interleave(2, 2).repeat_interleave(2, 3)
                h = self.conv(f"up.{next(place)}.1", h, padding=1)
        assert not stack
        h = self.norm("norm", h)
        return self.conv("last", h * h.sigmoid(), padding=1)


def tiny(**changes):
    torch.manual_seed(0)
    return SR3UNet(**({"size": 16} | TINY | changes)).eval()


@pytest.mark.parametrize("changes", [{}, {"res_blocks": 1, "multipliers": (1, 3), "attention": (16,)}])
def test_it_computes_what_the_open_implementation_describes(changes):
    network = tiny(**changes).double()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    settings = TINY | changes
    x, level = torch.randn(2, 6, 16, 16, dtype=torch.float64), torch.tensor([0.9, 0.01], dtype=torch.float64)
    reference = Reference(network.state_dict(), settings["width"])
    with torch.inference_mode():
        expected = reference(x, level, settings["multipliers"], settings["res_blocks"], settings["attention"])
        predicted = network(x, level)
    assert predicted.dtype == x.dtype and expected.std() > 0.1
    assert torch.allclose(predicted.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [128, 256])
def test_the_default_network_has_the_published_number_of_parameters(size):
    with torch.device("meta"):
        network = SR3Recipe().build(FaceSpec(size))
    assert sum(parameter.numel() for parameter in network.parameters()) == 97_807_491


def test_the_larger_network_of_the_open_implementation_has_its_published_number_of_parameters():
    recipe = SR3Recipe(multipliers=(1, 2, 4, 8, 16), res_blocks=1, attention=())
    with torch.device("meta"):
        network = recipe.build(FaceSpec(512))
    assert sum(parameter.numel() for parameter in network.parameters()) == 155_334_339


@pytest.mark.parametrize(("width", "groups"), [(128, 32), (64, 32), (16, 8), (6, 1)])
def test_a_group_of_a_norm_has_at_least_two_channels(width, groups):
    network = SR3UNet(8, width=width, multipliers=(1, 2), res_blocks=1, attention=(), dropout=0.0)
    assert {module.num_groups for module in network.modules() if hasattr(module, "num_groups")} == {groups}
    assert network(torch.randn(1, 6, 8, 8), torch.tensor([0.5])).isfinite().all()


def test_faces_of_32_px_fit_a_network_of_width_16():
    network = SR3Recipe(width=16, multipliers=(1, 1, 2), res_blocks=1, attention=(8,)).build(FaceSpec(32))
    assert network(torch.randn(2, 6, 32, 32), torch.tensor([0.5])).shape == (2, 3, 32, 32)


def test_a_code_is_sines_then_cosines_of_the_unscaled_level():
    code = encode(torch.tensor([0.0, 1.0, 0.25]), 4)
    hand = [[0, 0, 1, 1], [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)]]
    assert torch.allclose(code[:2], torch.tensor(hand), atol=1e-7)
    assert torch.allclose(code[2], torch.tensor([0.2474040, 0.0025000, 0.9689124, 0.9999969]), atol=1e-7)


def test_weights_start_orthogonal_and_biases_at_zero():
    network = tiny()
    state = network.state_dict()
    for name, module in network.named_modules():
        if not isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            continue
        rows = module.weight.detach().flatten(1)
        rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5), name
        assert module.bias is None or not module.bias.any()
    assert [name for name in state if "qkv" in name and "bias" in name] == []
    x = torch.randn(2, 6, 16, 16)
    assert network(x, torch.tensor([0.5])).std() > 0.1  # no output starts at zero


def test_the_noise_level_and_the_condition_matter():
    network, x = tiny(), torch.randn(1, 6, 16, 16)
    plain = network(x, torch.tensor([0.9]))
    assert (network(x, torch.tensor([0.1])) - plain).abs().max() > 1e-3
    assert (network(torch.cat([-x[:, :3], x[:, 3:]], 1), torch.tensor([0.9])) - plain).abs().max() > 1e-3


def test_dropout_comes_before_the_second_convolution_and_only_in_training():
    block = ResidualBlock(8, 8, 8, GROUPS, 1.0, False)
    torch.nn.init.zeros_(block.conv2.bias)
    x, e = torch.randn(2, 8, 4, 4), torch.randn(2, 8)
    assert torch.equal(block(x, e), x)  # all is dropped, and the skip is left
    assert (block.eval()(x, e) - x).abs().max() > 1e-3
    rates = {module.p for module in tiny().modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.2}


def test_an_image_has_the_same_bits_in_any_batch():
    network, x = tiny(size=32), torch.randn(7, 6, 32, 32)
    with torch.inference_mode():
        whole = network(x, torch.tensor([0.5]))
        assert torch.equal(torch.cat([network(row, torch.tensor([0.5])) for row in x.split(1)]), whole)
        order = [4, 0, 6, 2, 5]
        assert torch.equal(network(x[order], torch.full((5,), 0.5)), whole[order])


def test_the_noise_level_keeps_full_precision_where_the_rest_has_less():
    """Under bfloat16 two neighbouring levels of the clean end still differ in what every block adds."""
    network, kinds, shifts = tiny(), {}, []

    def watch(name, module):
        module.register_forward_hook(lambda module, inputs, output: kinds.update({name: output.dtype}))

    for name, module in network.named_modules():
        watch(name, module)
    network.down[0].noise.register_forward_hook(lambda module, inputs, output: shifts.append(output))
    levels = torch.tensor([0.9999, 0.9998])
    assert levels.bfloat16()[0] == levels.bfloat16()[1]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = network._evaluate(torch.randn(2, 6, 16, 16), levels)
    assert out.dtype == torch.float32
    linear = {kind for name, kind in kinds.items() if "noise" in name or "embedding" in name}
    convolutions = {kind for name, kind in kinds.items() if "conv" in name or name in ("first", "last")}
    assert linear == {torch.float32} and convolutions == {torch.bfloat16}
    assert (shifts[0][0] - shifts[0][1]).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 30}, "faces of 30 px do not fit a U-Net of 3 levels; allowed are multiples of 4 px"),
        ({"size": 2}, "faces of 2 px do not fit"),
        ({"width": 9}, "score.width is 9; allowed: even numbers"),
        ({"width": 0}, "score.width is 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        tiny(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_on_a_gpu_the_network_agrees_with_the_cpu_within_bfloat16():
    network, x = tiny(), torch.randn(3, 6, 16, 16)
    with torch.inference_mode():
        expected = network(x, torch.tensor([0.5]))
        predicted = network.cuda()(x.cuda(), torch.tensor([0.5], device="cuda"))
    assert predicted.dtype == torch.float32
    assert (predicted.cpu() - expected).abs().max() < 0.05 * expected.abs().max()
