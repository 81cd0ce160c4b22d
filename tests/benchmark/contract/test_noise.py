"""Streams of noise: those of the CPU as they always were; drawn ahead, each still follows from its seed alone."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest, norm
from torch import Tensor

from nferbench.contract import noise
from nferbench.contract.noise import ImageNoise

SHAPES = ((3, 8, 8), (3, 8, 8), (1, 4, 4), (3, 8, 8), (3, 16, 16), *[(3, 8, 8)] * 40, (), (5,))


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> int:
    """Draw ahead on the CPU as on a GPU."""
    monkeypatch.setattr(noise, "AHEAD", {"cpu": noise.AHEAD["cuda"]})
    return noise.AHEAD["cpu"]


def draws(seeds: list[int]) -> list[Tensor]:
    streams = ImageNoise(seeds)
    return [streams.normal(*shape) for shape in SHAPES]


def test_on_a_cpu_a_draw_is_the_next_of_its_generator() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    for drawn in draws([5, 6]):
        for row, generator in zip(drawn, generators, strict=True):
            assert torch.equal(row, torch.empty(row.shape).normal_(generator=generator))


@pytest.mark.parametrize("seeds", [[7], [8, 7], [1, 2, 7, 3]])
def test_a_stream_that_is_drawn_ahead_is_the_same_in_every_batch(ahead: int, seeds: list[int]) -> None:
    for batch, alone in zip(draws(seeds), draws([7]), strict=True):
        assert batch.shape[1:] == alone.shape[1:] and batch.is_contiguous()
        assert torch.equal(batch[seeds.index(7)], alone[0])


def test_no_number_is_handed_out_twice_and_one_that_was_stays(ahead: int) -> None:
    streams = ImageNoise([1, 2])
    drawn = [streams.normal(3, 8, 8) for _ in range(3 * ahead)]
    copies = [each.clone() for each in drawn]
    drawn[0] *= 0
    assert all(torch.equal(a, b) for a, b in zip(drawn[1:], copies[1:], strict=True))
    assert torch.stack(copies).unique().numel() > 0.99 * torch.stack(copies).numel()  # float32 has few below 2^-24


def test_a_generator_is_asked_once_for_several_draws(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(ImageNoise, "_streams", lambda self, count: asked.append(count) or torch.zeros(1, count))
    streams = ImageNoise([1])
    for _ in range(2 * ahead):
        streams.normal(3, 8, 8)
    assert asked == [ahead * 192] * 2


def test_what_is_drawn_ahead_is_standard_normal_and_independent(ahead: int) -> None:
    streams = ImageNoise([1, 2])
    numbers = torch.stack([streams.normal(3, 16, 16) for _ in range(2 * ahead)]).double()
    assert kstest(numbers.flatten().numpy(), norm.cdf).pvalue > 1e-3
    one, other = numbers[:, 0].flatten(), numbers[:, 1].flatten()
    following, bound = numbers[1:].flatten(), 4 / one.numel() ** 0.5
    assert abs(float(one @ other) / one.numel()) < bound
    assert abs(float(numbers[:-1].flatten() @ following) / following.numel()) < bound


def test_numbers_that_were_drawn_ahead_in_inference_mode_may_be_differentiated_by(ahead: int) -> None:
    streams = ImageNoise([1])
    with torch.inference_mode():
        streams.normal(4)
    factor = torch.ones(4, requires_grad=True)
    drawn = streams.normal(4)
    (gradient,) = torch.autograd.grad((factor * drawn).sum(), factor)
    assert torch.equal(gradient, drawn[0])


def test_seeding_for_an_image_is_not_moved_by_draws(ahead: int) -> None:
    streams = ImageNoise([1, 2])
    with streams.seeded(1):
        before = torch.rand(3)
    streams.normal(3, 8, 8)
    with streams.seeded(1):
        assert torch.equal(torch.rand(3), before)
