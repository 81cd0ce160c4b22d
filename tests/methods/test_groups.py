"""Groups that are not full: the bits of a full one, without computing its copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nferbench import FaceSpec
from nferbench_methods.diffusion import groups
from nferbench_methods.diffusion.domain_energy import specific_gradient
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.energy import heatmap_gradient
from nferbench_methods.diffusion.groups import LARGE, SMALL, in_groups
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.diffusion.sr3_score import SR3Recipe

LEVELS: Any = {"width": 16, "multipliers": (1, 1, 2), "res_blocks": 1, "attention": (8,)}


def randomised(network: nn.Module) -> nn.Module:
    rng = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=rng))
    return network.eval().requires_grad_(False)


def images(size: int, channels: int, count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def score(size: int) -> Callable[[Tensor], Tensor]:
    network = randomised(ScoreRecipe(**LEVELS, head_channels=32).build(FaceSpec(size)))
    return lambda x: torch.cat(network(torch.cat([x, x.flip(1)], 1), torch.tensor([321])), 1)


def sr3(size: int) -> Callable[[Tensor], Tensor]:
    network = randomised(SR3Recipe(**LEVELS).build(FaceSpec(size)))
    return lambda x: network(torch.cat([x, x.flip(1)], 1), torch.tensor([0.5]))


def landmarks(size: int) -> Callable[[Tensor], Tensor]:
    recipe = HeatmapRecipe(width=16, multipliers=(1, 2, 2), res_blocks=1, head_channels=32)
    network = randomised(recipe.build(FaceSpec(size, 68)))
    return lambda x: heatmap_gradient(network, x, x.flip(1), torch.tensor([40]))


def domains(size: int) -> Callable[[Tensor], Tensor]:
    network = randomised(DomainRecipe(**LEVELS, head_channels=32).build(FaceSpec(size)))
    return lambda x: specific_gradient(network, x, x.flip(1), torch.tensor([40]))


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(("size", "count"), [(32, 1), (32, 2), (32, 13), (64, 1), (64, 3), (64, 5)])
@pytest.mark.parametrize("network", [score, sr3, landmarks, domains])
def test_an_image_has_the_bits_of_a_full_group(
    network: Callable[[int], Callable[[Tensor], Tensor]], size: int, count: int, mode: Any
) -> None:
    evaluate = network(size)
    with mode():
        x = images(size, 3, count)
        full = SMALL if size == 32 else LARGE
        copies = -count % full
        expected = evaluate(torch.cat([x, x[-1:].expand(copies, -1, -1, -1)]))[:count]
        assert torch.equal(evaluate(x), expected) and expected.any()


@pytest.mark.parametrize("network", [score, domains])
def test_an_image_has_the_bits_of_a_full_group_on_two_threads(
    network: Callable[[int], Callable[[Tensor], Tensor]], threads: Callable[[int], None]
) -> None:
    threads(2)
    evaluate, x = network(32), images(32, 3, SMALL)
    expected = evaluate(x)
    for count in (1, 3):
        assert torch.equal(evaluate(x[:count]), expected[:count])


def test_a_network_of_zeros_does_not_settle_what_others_need() -> None:
    groups._enough.cache_clear()
    evaluate, x = nn.Conv2d(16, 16, 3, padding=1).requires_grad_(False), images(8, 16, LARGE)
    weights = evaluate.weight.clone()
    evaluate.weight.zero_()
    in_groups(lambda x, t: evaluate(x), x[:1], torch.zeros(1))
    evaluate.weight.copy_(weights)
    whole = in_groups(lambda x, t: evaluate(x), x.repeat(4, 1, 1, 1), torch.zeros(1))
    assert torch.equal(in_groups(lambda x, t: evaluate(x), x[:1], torch.zeros(1)), whole[:1])


def test_a_network_is_asked_for_no_copies() -> None:
    asked = []

    def evaluate(x: Tensor, t: Tensor) -> Tensor:
        asked.append((len(x), len(t)))
        return x

    x = torch.randn(SMALL + 3, 2)
    assert torch.equal(in_groups(evaluate, x, torch.zeros(1)), x)
    assert asked == [(SMALL, SMALL), (3, 3)]


def by_count(x: Tensor) -> Tensor:
    return x * (1 if len(x) >= 3 else 1 + 1e-6)


def by_gradient(x: Tensor) -> Tensor:
    out = x * 1
    if out.requires_grad and len(x) < 3:
        out.register_hook(lambda slope: slope * (1 + 1e-6))
    return out


def by_layout(x: Tensor) -> Tensor:
    return x * 1 if len(x) >= 3 else (x * 1).mT.contiguous().mT


def by_everything(x: Tensor) -> Tensor:
    return x * (1 + 1e-6 * len(x))


@pytest.mark.parametrize(
    ("func", "traced", "enough"),
    [
        (torch.neg, False, 1),
        (torch.neg, True, 1),
        (by_count, False, 3),
        (by_gradient, False, 1),
        (by_gradient, True, 3),
        (by_layout, False, 3),
        (by_everything, False, 16),
    ],
)
def test_an_operation_is_filled_up_as_far_as_its_bits_and_layout_need(
    monkeypatch: pytest.MonkeyPatch, func: Callable[[Tensor], Tensor], traced: bool, enough: int
) -> None:
    monkeypatch.setattr(groups, "ROWS", {func: 1})
    call = groups._Call(func, (groups._Form((1, 4, 5), (20, 5, 1), torch.float32),), (), traced, 1)
    assert groups._enough(call, 1, 16) == enough


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 1, 3, 2)])
@pytest.mark.parametrize("present", [1, 2])
def test_rows_and_their_gradients_keep_their_layout_when_they_are_filled_up(
    order: tuple[int, ...], present: int
) -> None:
    x = torch.empty_permuted((present, 4, 3, 5), order).normal_().requires_grad_()
    more = groups._resized(x, 5)
    back = groups._resized(2 * more, present)
    assert more.stride()[1:] == back.stride()[1:] == x.stride()[1:]
    assert torch.equal(back, 2 * x) and torch.equal(more[present : 2 * present], x)
    (gradient,) = torch.autograd.grad(back, x, torch.ones_like(back))
    assert gradient.stride()[1:] == x.stride()[1:] and torch.equal(gradient, torch.full_like(x, 2))


def test_what_is_known_of_an_operation_is_not_asked_again() -> None:
    groups._enough.cache_clear()
    layer = nn.Linear(8, 8).requires_grad_(False)
    for seed in (1, 2):
        in_groups(
            lambda x, t: F.silu(layer(x)),
            torch.randn(1, 8, generator=torch.Generator().manual_seed(seed)),
            torch.zeros(1),
        )
    found = groups._enough.cache_info()
    assert (found.misses, found.hits) == (2, 2)
