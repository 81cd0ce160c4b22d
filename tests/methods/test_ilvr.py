"""ILVR: against the exact Gaussian model, the filter's own algebra, and unconditional sampling."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
import torch
from exact_gaussian import MU, SOURCE, Gaussian, moments

from nferbench import UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.filters import low_pass
from nferbench_methods.diffusion.schedule import linear_schedule, perturb, respace
from nferbench_methods.diffusion.score import UNCONDITIONAL_SCORE
from nferbench_methods.ilvr import ILVR, nferbench_translators

SIDE, CELLS = 4, 2
EXACT = ILVR(kernel="box", cells=CELLS, variance="fixed-small", clamp_x0=False)
LOW = torch.ones(3, SIDE, SIDE, dtype=torch.float64) / sqrt(3 * SIDE**2)
HIGH = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(3, 2, 2) / sqrt(3 * SIDE**2)


class Wild(torch.nn.Module):
    """Answers anything, and keeps what it was given."""

    def __init__(self, v=0.0):
        super().__init__()
        self.seen, self.told, self.v = [], [], v

    def forward(self, x, t):
        self.seen.append(x)
        self.told.append(t.item())
        return 2 * torch.sin(5 * x) + 0.3, torch.full_like(x, self.v)


def exact(method, s, draws, pattern):
    def translate(vis, noise):
        return method.translate(vis, {"score": Gaussian(MU * pattern, s)}, noise)

    return moments(translate, draws, pattern)


@pytest.mark.parametrize(
    ("reference_noise", "range_t", "mean", "variance"),
    [
        ("paper", 0, -0.599640, None),
        ("paper", 20, 0.013812, 0.195058),
        ("paper", 40, 0.250951, 0.218278),
        ("code", 0, -0.599012, 0.002192),
        ("code", 20, 0.017817, 0.199258),
        ("code", 40, 0.252279, 0.218514),
    ],
)
def test_low_frequencies_have_the_exact_mean_and_variance(reference_noise, range_t, mean, variance):
    method = replace(EXACT, reference_noise=reference_noise, range_t=range_t)
    found, spread = exact(method, 0.5, 100 + 99 - range_t, LOW)
    assert found == pytest.approx(mean, abs=6e-7)
    assert variance is None or spread == pytest.approx(variance, abs=6e-7)


@pytest.mark.parametrize("range_t", [0, 20])
def test_high_frequencies_are_those_of_unconditional_sampling(range_t):
    found = exact(replace(EXACT, range_t=range_t), 0.5, 199 - range_t, HIGH)
    alone = exact(replace(EXACT, range_t=99), 0.5, 100, HIGH)
    assert found == pytest.approx(alone, abs=1e-12)
    assert sqrt(alone[1]) == pytest.approx(0.467954, abs=6e-7)


def test_less_of_the_source_is_left_the_earlier_refining_ends():
    kept = [(exact(replace(EXACT, range_t=r), 0.5, 199 - r, LOW)[0] - MU) / (SOURCE - MU) for r in (0, 20, 40, 60, 80)]
    assert kept == sorted(kept, reverse=True) and kept[0] > 0.99 and kept[-1] < 0.01


def test_a_point_mass_is_reached_because_the_last_step_is_free():
    for range_t in (0, 20):
        mean, spread = exact(replace(EXACT, range_t=range_t), 0.0, 199 - range_t, LOW)
        assert mean == pytest.approx(MU, abs=1e-12) and spread < 1e-24


def test_without_free_steps_the_paper_pastes_the_clean_source():
    mean, spread = exact(replace(EXACT, reference_noise="paper", range_t=-1), 0.5, 200, LOW)
    assert mean == pytest.approx(SOURCE, abs=1e-12) and spread < 1e-24


def faces(count, side=16):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1


def states(method, vis, seed=7):
    """What the network saw, and the noised sources y_k: draws are x, then z and e in turn."""
    network = Wild()
    method.translate(vis, {"score": network}, ImageNoise([seed]))
    noise = ImageNoise([seed])
    noise.normal(*vis.shape[1:])
    levels = sampling.levels(respace(linear_schedule(), method.steps), "cpu")
    references = {}
    for level in reversed(levels):
        if level.k:
            noise.normal(*vis.shape[1:])
        if level.k > method.range_t:
            reached = level.alpha_bar if method.reference_noise == "code" else level.alpha_bar_prev
            references[level.k] = perturb(vis, noise.normal(*vis.shape[1:]), reached)
    return network.seen, references


@pytest.mark.parametrize("reference_noise", ["code", "paper"])
def test_a_filter_that_keeps_everything_makes_each_state_the_noised_source_to_the_bit(reference_noise):
    vis = faces(1)
    method = ILVR(cells=16, reference_noise=reference_noise, steps=30, range_t=5)
    seen, references = states(method, vis)
    for k in range(29, 5, -1):
        assert torch.equal(seen[30 - k], references[k])  # the input of the step after k
    assert not torch.equal(seen[30 - 5], references[6])


@pytest.mark.parametrize("kernel", ["box", "linear", "bicubic"])
def test_low_frequencies_after_a_refined_step_are_as_near_the_source_as_the_filter_allows(kernel):
    vis, method = faces(1), ILVR(cells=4, kernel=kernel, steps=20, range_t=3)
    seen, references = states(method, vis)

    def phi(x):
        return low_pass(x, 4, kernel)

    for k in range(19, 3, -1):
        x, y_k = seen[20 - k], references[k]
        away = (phi(x) - phi(y_k)).norm()
        if kernel == "box":  # the only projector of the three
            assert away < 1e-5
        else:
            assert 0 < away <= 0.25 * (x - y_k).norm() + 1e-5


def test_unrefined_sampling_is_unconditional_sampling_to_the_bit():
    vis, network = faces(2), Wild()
    levels = sampling.levels(respace(linear_schedule(), 25), "cpu")
    noise = ImageNoise([1, 2])
    plain = sampling.reverse(
        noise.normal(3, 16, 16),
        levels,
        sampling.network_score(network),
        noise,
        mean=sampling.clamped_mean,
        deviation=sampling.learned_range,
    )
    for range_t in (24, 1000):
        ours = ILVR(steps=25, range_t=range_t).translate(vis, {"score": network}, ImageNoise([1, 2]))
        assert torch.equal(ours, plain)


def test_as_many_steps_are_refined_as_range_t_says():
    method, network = ILVR(), Wild()
    drawn = []
    noise = ImageNoise([1])
    normal = noise.normal
    noise.normal = lambda *shape: drawn.append(shape) or normal(*shape)
    method.translate(faces(1), {"score": network}, noise)
    assert len(network.told) == 100 and network.told[0] == 999 and network.told[-1] == 0
    assert len(drawn) == 1 + 99 + (100 - 1 - 20)  # x, a z a step but the last, an e a refined step
    assert network.told[99 - 21] == 212  # the last refined step


def test_a_grey_reference_brings_no_colour_into_low_frequencies():
    def colour(x):
        return torch.stack([x[0, 0] - x[0, 1], x[0, 1] - x[0, 2]])

    for grey in (True, False):
        method = ILVR(cells=16, steps=20, range_t=3, grey_reference=grey)
        seen, noise_alone = (states(method, vis)[0][5] for vis in (faces(1), torch.zeros(1, 3, 16, 16)))
        assert torch.allclose(colour(seen), colour(noise_alone), atol=1e-5) == grey


def test_the_registered_value_is_the_command_of_the_authors():
    (method,) = nferbench_translators()
    assert (method.name, method.steps, method.range_t, method.kernel) == ("ilvr", 100, 20, "bicubic")
    assert 256 // method.cells == 32 and method.clamp_x0 and method.variance == "learned-range"
    assert method.reference_noise == "code" and method.networks() == {"score": UNCONDITIONAL_SCORE}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 1}, "steps is 1; allowed: 2 to 1000"),
        ({"range_t": -2}, "range_t is -2; allowed: 0 or more"),
        ({"score": replace(UNCONDITIONAL_SCORE, learned_variance=False)}, "learned_variance"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(change, message):
    with pytest.raises(UsageError, match=message):
        ILVR(**change)


def test_cells_must_divide_the_face():
    with pytest.raises(UsageError, match="5 cells do not divide faces of 16 px"):
        ILVR(cells=5).translate(faces(1), {"score": Wild()}, ImageNoise([1]))
