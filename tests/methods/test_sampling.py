"""The reverse process against the exact Gaussian model."""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt

import pytest
import torch
from exact_gaussian import MU, SOURCE, UnitNoise

from nferbench import FaceSpec, UsageError
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.schedule import head, linear_schedule, perturb, respace
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.diffusion.start import levels_from


def gaussian_score(mu, s):
    """The exact noise predictor of N(mu, s^2), with v channels that say the same at every pixel."""

    def score(x, level):
        variance = level.alpha_bar * s**2 + 1 - level.alpha_bar
        return sqrt(1 - level.alpha_bar) * (x - sqrt(level.alpha_bar) * mu) / variance, torch.zeros_like(x)

    return score


ONE = torch.ones((), dtype=torch.float64)


def moments(outputs):
    """Mean and variance of the outputs of a sampler that was fed `UnitNoise`."""
    first = outputs[:, 0, 0, 0]
    return first[0].item(), (first[1:] - first[0]).square().sum().item()


def run(schedule, score, *, source=None, **choices):
    """Sample from a perturbed source, or from noise without one; mean and variance of the output."""
    levels = sampling.levels(schedule, "cpu")
    noise = UnitNoise(len(levels), ONE)
    e = noise.normal(1, 1, 1)
    x = e if source is None else perturb(torch.full_like(e, source), e, levels[-1].alpha_bar)
    choices = {"mean": sampling.ancestral_mean, "deviation": sampling.fixed_small} | choices
    outputs = sampling.reverse(x, levels, score, noise, **choices)
    assert noise.draws == len(levels)  # one at the start, one a step, none at the last
    return moments(outputs)


def test_the_two_forms_of_the_mean_agree_where_nothing_is_clamped():
    x_0 = torch.empty(4, 3, 2, 2, dtype=torch.float64).uniform_(-1, 1)
    for level in sampling.levels(linear_schedule(), "cpu"):
        eps = torch.randn(4, 3, 2, 2, dtype=torch.float64)
        x = perturb(x_0, eps, level.alpha_bar)
        clamped, ancestral = (mean(x, eps, level) for mean in (sampling.clamped_mean, sampling.ancestral_mean))
        assert torch.allclose(clamped, ancestral, rtol=1e-6, atol=1e-9)


def test_the_clamped_mean_ends_inside_the_range_whatever_the_network_says():
    levels = sampling.levels(respace(linear_schedule(), 20), "cpu")
    noise = UnitNoise(29, ONE)
    x = 5 * torch.randn(30, 3, 2, 2, dtype=torch.float64)
    wild = lambda x, level: (20 * torch.randn(x.shape, dtype=x.dtype), None)  # noqa: E731
    out = sampling.reverse(x, levels, wild, noise, mean=sampling.clamped_mean, deviation=sampling.fixed_small)
    assert out.abs().max() <= 1


@pytest.mark.parametrize(
    ("s", "start", "w", "variance"),
    [
        (0.5, 300, 0.141037, 0.241177),
        (0.5, 400, 0.057151, 0.245313),
        (0.5, 500, 0.020877, 0.246017),
        (0.5, 600, 0.006598, 0.246114),
        (0.25, 500, 0.005302, 0.060651),
        (1.0, 500, 0.078587, 0.984927),
    ],
)
def test_a_perturbed_source_leaves_the_exact_share_of_itself(s, start, w, variance):
    mean, spread = run(head(linear_schedule(), start), gaussian_score(MU, s), source=SOURCE)
    assert mean == pytest.approx(MU + w * (SOURCE - MU), abs=1e-6)
    assert spread == pytest.approx(variance, abs=6e-7)


def test_the_large_variance_has_its_closed_form_for_unit_data():
    schedule = head(linear_schedule(), 500)
    _, spread = run(schedule, gaussian_score(MU, 1.0), source=SOURCE, deviation=sampling.fixed_large)
    assert spread == pytest.approx(1 - schedule.beta[0].item() - schedule.alpha_bar[-1].item() ** 2, abs=1e-12)
    assert spread == pytest.approx(0.993724, abs=6e-7)


@pytest.mark.parametrize(
    ("steps", "small", "large"), [(1000, 0.496110, 0.500752), (100, 0.467954, 0.508578), (25, 0.404314, 0.536454)]
)
def test_sampling_from_noise_has_the_exact_spread_of_its_number_of_steps(steps, small, large):
    schedule = respace(linear_schedule(), steps)
    for deviation, expected in ((sampling.fixed_small, small), (sampling.fixed_large, large)):
        mean, spread = run(schedule, gaussian_score(MU, 0.5), deviation=deviation)
        last = schedule.alpha_bar[-1].item()
        assert sqrt(spread) == pytest.approx(expected, abs=6e-7)
        assert mean == pytest.approx(MU * (1 - last * 0.25 / (last * 0.25 + 1 - last)), abs=1e-9)


def test_more_steps_come_closer_to_the_data():
    errors = []
    for steps in (25, 50, 100, 200):
        _, spread = run(respace(linear_schedule(), steps), gaussian_score(MU, 0.5))
        errors.append(abs(spread - 0.25))
    assert all(later < 0.7 * earlier for earlier, later in pairwise(errors))


@pytest.mark.parametrize("deviation", [sampling.fixed_small, sampling.fixed_large, sampling.learned_range])
def test_a_point_mass_is_reached_exactly(deviation):
    mean, spread = run(head(linear_schedule(), 500), gaussian_score(MU, 0.0), source=SOURCE, deviation=deviation)
    assert mean == pytest.approx(MU, abs=1e-12) and spread < 1e-24


def test_a_network_that_sees_no_noise_gives_the_source_back():
    silent = lambda x, level: (torch.zeros_like(x), None)  # noqa: E731
    mean, _ = run(head(linear_schedule(), 500), silent, source=SOURCE)
    assert mean == pytest.approx(SOURCE, rel=1e-12)


def test_euler_maruyama_agrees_with_the_ancestral_step_for_small_steps():
    differences = []
    for steps in (250, 500, 1000):
        schedule = respace(linear_schedule(), steps)
        ancestral, euler = (
            run(schedule, gaussian_score(MU, 0.5), deviation=sampling.fixed_large, mean=mean)[1]
            for mean in (sampling.ancestral_mean, sampling.euler_maruyama_mean)
        )
        differences.append(abs(ancestral - euler))
    assert differences[0] > 1.5 * differences[1] > 2 * differences[2] and differences[2] < 2e-3


def test_the_learned_variance_runs_from_the_posterior_to_beta_by_its_logarithm():
    for level in sampling.levels(respace(linear_schedule(), 100), "cpu")[1:]:
        small, large = log(level.posterior_variance), log(level.beta)
        for v, expected in ((-1.0, small), (0.0, (small + large) / 2), (1.0, large), (2.0, 1.5 * large - 0.5 * small)):
            sigma = sampling.learned_range(torch.full((1,), v, dtype=torch.float64), level)
            assert 2 * log(sigma.item()) == pytest.approx(expected, abs=1e-12)
        assert sampling.fixed_small(None, level) == pytest.approx(sqrt(level.posterior_variance))
        assert sampling.fixed_large(None, level) == pytest.approx(sqrt(level.beta))


def test_a_learned_variance_needs_a_network_that_learned_one():
    level = sampling.levels(linear_schedule(), "cpu")[5]
    with pytest.raises(UsageError, match="learned_variance"):
        sampling.learned_range(None, level)


def test_guidance_moves_an_ancestral_mean_by_beta_over_root_alpha():
    x, gradient = torch.randn(2, 1, 3, 4, 4, dtype=torch.float64)
    score = gaussian_score(MU, 0.5)
    for level in sampling.levels(linear_schedule(), "cpu")[::100]:
        plain, _ = score(x, level)
        corrected = sampling.guided(plain, [gradient], level)
        moved = sampling.ancestral_mean(x, plain, level) - sampling.ancestral_mean(x, corrected, level)
        assert torch.allclose(moved, level.beta / sqrt(level.alpha) * gradient, rtol=1e-9, atol=1e-12)


def test_networks_are_told_the_original_index_noisiest_first():
    told = []
    schedule = head(respace(linear_schedule(), 100), 60)

    def score(x, level):
        told.append(level.t.tolist())
        return torch.zeros_like(x), None

    run(schedule, score)
    assert told == [[i] for i in schedule.index.tolist()[::-1]]
    assert told[0] == [595] and told[-1] == [0]


def test_the_condition_is_joined_after_the_sample():
    seen = []

    def network(x, t):
        seen.append(x)
        return x[:, :3], None

    x, c = torch.randn(2, 1, 3, 4, 4)
    level = sampling.levels(linear_schedule(), "cpu")[0]
    sampling.network_score(network, c)(x, level)
    sampling.network_score(network)(x, level)
    assert torch.equal(seen[0], torch.cat([x, c], 1)) and torch.equal(seen[1], x)


@pytest.mark.parametrize(
    ("range_t", "expected"),
    [(0, (-0.599640, None)), (20, (0.013812, 0.195058)), (40, (0.250951, 0.218278))],
)
def test_something_done_after_each_step_can_be_ilvr(range_t, expected):
    """With an averaging filter that keeps a flat image whole, ILVR replaces the state by the perturbed reference."""
    schedule = respace(linear_schedule(), 100)
    levels = sampling.levels(schedule, "cpu")
    noise = UnitNoise(2 * len(levels), ONE)

    def exchange(x, level):
        if level.k <= range_t:
            return x
        return perturb(torch.full_like(x, SOURCE), noise.normal(1, 1, 1), level.alpha_bar_prev)

    choices = {"mean": sampling.ancestral_mean, "deviation": sampling.fixed_small, "after_step": exchange}
    x = noise.normal(1, 1, 1)
    mean, spread = moments(sampling.reverse(x, levels, gaussian_score(MU, 0.5), noise, **choices))
    assert mean == pytest.approx(expected[0], abs=6e-7)
    assert expected[1] is None or spread == pytest.approx(expected[1], abs=6e-7)


@pytest.mark.parametrize(("s", "mean"), [(0.1, 0.299759), (0.25, 0.298494), (0.5, 0.294007), (1.0, 0.276515)])
def test_a_start_one_level_above_the_loop_can_be_t2v_ddpm(s, mean):
    schedule = respace(linear_schedule(), 100)
    levels = sampling.levels(head(schedule, 60), "cpu")
    noise = UnitNoise(60, ONE)
    e = noise.normal(1, 1, 1)
    x = perturb(torch.full_like(e, SOURCE), e, schedule.alpha_bar[60].item())
    out = sampling.reverse(
        x, levels, gaussian_score(MU, s), noise, mean=sampling.ancestral_mean, deviation=sampling.fixed_small
    )
    expected = {0.1: 0.006294, 0.25: 0.049773, 0.5: 0.218975, 1.0: 0.920273}
    assert moments(out) == pytest.approx((mean, expected[s]), abs=6e-7)


def test_no_levels_give_the_start_back():
    x = torch.randn(1, 3, 4, 4)
    levels = sampling.levels(head(linear_schedule(), 0), "cpu")
    score = gaussian_score(MU, 0.5)
    out = sampling.reverse(
        x, levels, score, UnitNoise(0, ONE), mean=sampling.ancestral_mean, deviation=sampling.fixed_small
    )
    assert out is x


def test_an_energy_may_run_through_the_score_itself_under_inference_mode():
    torch.manual_seed(0)
    recipe = ScoreRecipe(width=16, multipliers=(1, 2), res_blocks=1, attention=(), head_channels=16)
    network = recipe.build(FaceSpec(16)).requires_grad_(False).eval()
    for parameter in network.parameters():  # one that begins at zero has no slope
        parameter += 0.05 * torch.randn_like(parameter)

    vis = torch.rand(16, 3, 16, 16) * 2 - 1  # a full group, which nothing has to be tried out for
    with torch.inference_mode():
        level, x = levels_from(500, 8, "cpu")[3], vis + 0.1
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()
            eps, _ = sampling.network_score(network, vis.clone())(x, level)
            (slope,) = torch.autograd.grad(eps.square().sum(), x)
    assert slope.shape == vis.shape and all(each.abs().max() > 0 for each in slope)
