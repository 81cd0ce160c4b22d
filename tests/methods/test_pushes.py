"""The pushes that the reverse process notes: against closed forms, and against where x really goes."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
import torch

from nferbench import FaceSpec, hear_pushes
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.schedule import head, linear_schedule, spread
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.egsde import EGSDE
from nferbench_methods.nfer_sde import NFERSDE

SCORE = ScoreRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))
HEATMAPS = HeatmapRecipe(stride=2, width=8, multipliers=(1, 2), res_blocks=1)
DOMAINS = DomainRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))
NFER = NFERSDE(score=SCORE, heatmaps=HEATMAPS, lambda_h=1.0, cells=2, steps=6)
GUIDED = (NFER, EGSDE(score=replace(SCORE, conditional=False), domains=DOMAINS, cells=2, steps=8))

LEVELS = sampling.levels(spread(head(linear_schedule(), 500), 6), "cpu")
MEANS = (sampling.ancestral_mean, sampling.euler_maruyama_mean, sampling.clamped_mean)


def one_pixel(*values):
    """Images of one number each: the size of a push is its amount, its cosine its sign."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)


class Told:
    """Draws the same numbers for every step, and knows them."""

    drawn = one_pixel(0.7, -1.2)

    def normal(self, *shape):
        return self.drawn


def heard_of(mean, x=None, deviation=sampling.fixed_small):
    """What is heard of a guided sampler with a known score and known energies, and x after each step."""
    states = []

    def after(x, level):
        states.append(x)
        return x

    with hear_pushes() as heard:
        sampling.reverse(
            one_pixel(0.4, -0.9) if x is None else x,
            LEVELS,
            lambda x, level: (0.8 * x + 0.1, None),
            Told(),
            mean=mean,
            deviation=deviation,
            gradient=lambda x, level: {"E_a": 3 * (x - 0.5), "E_b": -0.5 * x},
            after_step=after,
        )
    return heard, states


def sizes(heard, k):
    return {push.term: push.rms for push in heard if push.step == k}


@pytest.mark.parametrize("mean", [sampling.ancestral_mean, sampling.euler_maruyama_mean])
def test_pushes_have_their_closed_forms(mean):
    x = one_pixel(0.4, -0.9)
    heard, states = heard_of(mean)
    for level in reversed(LEVELS):
        root = sqrt(level.alpha) if mean is sampling.ancestral_mean else 1.0
        expected = {
            "score": level.beta / (root * sqrt(1 - level.alpha_bar)) * (0.8 * x + 0.1).abs(),
            "E_a": level.beta / root * (3 * (x - 0.5)).abs(),
            "E_b": level.beta / root * (0.5 * x).abs(),
            "noise": torch.full_like(x, sampling.fixed_small(None, level) if level.k else 0.0),
        }
        found = sizes(heard, level.k)
        assert list(found) == list(expected)
        for term, value in expected.items():
            assert torch.allclose(found[term].double(), value.flatten(), rtol=1e-6, atol=0), term
        x = states.pop(0)


def signed(heard, k):
    """The pushes of one-pixel images with their signs; that of the score, which goes against eps, is told apart."""
    score = next(push for push in heard if (push.step, push.term) == (k, "score"))
    energies = [push for push in heard if push.step == k and push.cosine is not None]
    return score.rms.double(), sum(push.rms.double() * push.cosine.double() for push in energies)


def test_the_pushes_and_the_noise_are_where_x_goes():
    x = one_pixel(0.4, -0.9)
    heard, states = heard_of(sampling.ancestral_mean)
    for level in reversed(LEVELS):
        score, along = signed(heard, level.k)
        direction = -(0.8 * x + 0.1).sign().flatten()
        noise = sizes(heard, level.k)["noise"].double() * Told.drawn.flatten()
        gone = states.pop(0).flatten()
        pushed = direction * (score + along)
        assert torch.allclose(gone, x.flatten() / sqrt(level.alpha) + pushed + noise, rtol=0, atol=1e-6)
        x = gone.view_as(x)


def test_what_a_clamp_holds_back_is_no_push():
    outside = one_pixel(40.0, 40.0)
    level = LEVELS[-1]
    found = sampling.pushes(
        outside, 0 * outside, {"E": torch.ones_like(outside)}, level, sampling.clamped_mean, sigma=0.1
    )
    assert not found["score"].any() and not found["E"].any()
    inside, weak = 0 * outside, torch.full_like(outside, 0.1)
    found = sampling.pushes(inside, inside, {"E": weak}, level, sampling.clamped_mean, sigma=0.1)
    assert torch.allclose(found["E"], -level.beta / sqrt(level.alpha) * weak, rtol=1e-6)


@pytest.mark.parametrize("mean", MEANS)
def test_the_pushes_of_any_mean_add_up_to_what_moves_it(mean):
    x, eps, a, b = torch.randn(4, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for level in LEVELS:
        found = sampling.pushes(x, eps, {"E_a": a, "E_b": b}, level, mean, 0.0)
        still = mean(x, torch.zeros_like(x), level)
        moved = mean(x, sampling.guided(eps, [a, b], level), level)
        assert torch.allclose(still + found["score"] + found["E_a"] + found["E_b"], moved, rtol=0, atol=1e-12)


def test_a_learned_deviation_is_noted_as_it_is():
    x = one_pixel(0.1, 0.2)
    found = sampling.pushes(x, x, {}, LEVELS[2], sampling.ancestral_mean, one_pixel(0.3, 0.6))
    assert found["noise"].flatten().tolist() == pytest.approx([0.3, 0.6])


def fitted(method):
    torch.manual_seed(0)
    networks = {}
    for role, recipe in method.networks().items():
        network = recipe.build(FaceSpec(16, 5))
        for parameter in network.parameters():
            parameter.data.add_(0.2 * torch.randn(parameter.shape))
        networks[role] = network.eval().requires_grad_(False)
    return networks


def translate(method, networks):
    vis = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(9)) * 2 - 1
    with torch.inference_mode():
        return method.translate(vis, networks, ImageNoise([1, 2, 3]))


@pytest.mark.parametrize("method", GUIDED, ids=lambda method: method.name)
@pytest.mark.parametrize("change", [{}, {"resample_source_noise": True}], ids=["", "resampled"])
def test_listening_changes_no_bit_and_asks_no_network_again(method, change):
    method = replace(method, **change)
    networks = fitted(method)
    asked = []
    for network in networks.values():
        network.register_forward_hook(lambda *_: asked.append(1))
    alone = translate(method, networks)
    count = len(asked)
    with hear_pushes() as heard:
        listened_to = translate(method, networks)
    assert torch.equal(alone, listened_to)
    assert len(asked) == 2 * count
    assert len(heard) == 4 * method.steps


@pytest.mark.parametrize(
    ("method", "change", "terms"),
    [
        (GUIDED[0], {}, ["score", "E_h", "E_f", "noise"]),
        (GUIDED[0], {"lambda_h": 0.0}, ["score", "E_f", "noise"]),
        (GUIDED[0], {"lambda_f": 0.0}, ["score", "E_h", "noise"]),
        (GUIDED[0], {"lambda_h": 0.0, "lambda_f": 0.0}, ["score", "noise"]),
        (GUIDED[1], {}, ["score", "E_s", "E_i", "noise"]),
        (GUIDED[1], {"lambda_s": 0.0}, ["score", "E_i", "noise"]),
    ],
)
def test_terms_are_called_as_their_weights(method, change, terms):
    method = replace(method, **change)
    with hear_pushes() as heard:
        translate(method, fitted(method))
    assert list(dict.fromkeys(push.term for push in heard)) == terms


def test_a_weight_scales_the_push_of_its_energy_alone():
    networks = fitted(NFER)
    first = {}
    for weight in (1.0, 4.0):
        with hear_pushes() as heard:
            translate(replace(NFER, lambda_f=weight, resample_source_noise=True), networks)
        first[weight] = {push.term: push.rms for push in heard if push.step == 5}
    assert torch.allclose(first[4.0]["E_f"], 4 * first[1.0]["E_f"], rtol=1e-5)
    for term in ("score", "E_h", "noise"):
        assert torch.equal(first[4.0][term], first[1.0][term])
