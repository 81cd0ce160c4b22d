"""SR3 as a whole: its sampler against the exact conditional Gaussian, its training through networks that keep a record.

For NIR faces distributed as N(A c + b, s^2) given the VIS face c the best noise predictor is known. An output is then
an affine function of the noise that was drawn; its coefficients are read off the method by one unit of noise at a time,
so that means and variances are exact, not estimated.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import pi, sqrt

import pytest
import torch

from nferbench import Batch, FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.schedule import linear_between
from nferbench_methods.diffusion.sr3_score import SR3Recipe, draw_levels, gamma_schedule, told
from nferbench_methods.sr3 import SR3, nferbench_translators

A, B, SOURCE = 0.7, 0.15, -0.6  # the mean of NIR given VIS is A c + B
MU = A * SOURCE + B
TINY = SR3Recipe(
    width=8, multipliers=(1, 2), res_blocks=1, attention=(8,), steps=100, batch_size=4, lr=2e-3, ema=0.9, dropout=0.1
)
EXACT = SR3(clamp_x0=False)


class Gaussian(torch.nn.Module):
    """The exact noise predictor of N(A c + b, s^2), told the level as `noise_level` says; keeps what it was given."""

    def __init__(self, s, noise_level="sqrt-gamma", keep=False):
        super().__init__()
        self.s, self.noise_level, self.keep, self.seen = s, noise_level, keep, []

    def forward(self, x, level):
        c, y = x.chunk(2, dim=1)
        gamma = (level if self.noise_level == "gamma" else level**2)[:, None, None, None]
        eps = (1 - gamma).sqrt() * (y - gamma.sqrt() * (A * c + B)) / (gamma * self.s**2 + 1 - gamma)
        if self.keep:
            self.seen.append((c, y, level, eps))
        return eps


class UnitNoise:
    """Draw number j is 1 for image j + 1 and 0 for all others, so that image 0 sees no noise at all."""

    def __init__(self, images):
        self.images, self.draws = images, 0

    def normal(self, *shape):
        z = torch.zeros(self.images, *shape, dtype=torch.float64)
        z[self.draws + 1] = 1
        self.draws += 1
        return z


def moments(method, s):
    """Exact mean and variance of the outputs of a method."""
    draws = method.steps or 2000  # one at the start, one a step, none at the last
    noise = UnitNoise(draws + 1)
    vis = torch.full((draws + 1, 1, 1, 1), SOURCE, dtype=torch.float64)
    out = method.translate(vis, {"score": Gaussian(s, method.score.noise_level)}, noise).flatten()
    assert noise.draws == draws
    return out[0].item(), (out[1:] - out[0]).square().sum().item()


def faces(n, size=16, seed=9):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def translate(method, vis, network, seeds):
    with torch.inference_mode():
        return method.translate(vis.clone(), {"score": network}, ImageNoise(seeds))


@pytest.mark.parametrize(
    ("s", "variance", "spread"),
    [
        (0.5, "fixed-small", 0.498074),
        (0.5, "fixed-large", 0.500425),
        (0.25, "fixed-small", 0.248188),
        (0.25, "fixed-large", 0.250563),
    ],
)
def test_all_steps_have_the_exact_mean_and_spread(s, variance, spread):
    mean, squared = moments(replace(EXACT, variance=variance), s)
    gamma = gamma_schedule().alpha_bar[-1].item()
    assert mean == pytest.approx(MU * (1 - gamma * s**2 / (gamma * s**2 + 1 - gamma)), abs=1e-12)
    assert sqrt(squared) == pytest.approx(spread, abs=6e-7)


@pytest.mark.parametrize("noise_level", ["sqrt-gamma", "gamma"])
@pytest.mark.parametrize("s", [0.25, 0.5])
def test_the_number_of_steps_is_free_after_training(s, noise_level):
    method = replace(EXACT, score=SR3Recipe(noise_level=noise_level))
    means = [moments(replace(method, steps=steps), s)[0] for steps in (None, 250, 100)]
    assert max(means) - min(means) < 1e-4
    spreads = [moments(replace(method, steps=steps), s)[1] for steps in (25, 100, 250)]
    assert abs(spreads[0] - s**2) > abs(spreads[1] - s**2) > abs(spreads[2] - s**2)


@pytest.mark.parametrize("clamp_x0", [True, False])
@pytest.mark.parametrize("variance", ["fixed-small", "fixed-large"])
@pytest.mark.parametrize("steps", [2, 7, 100, 1999])
def test_a_point_mass_is_reached_exactly_in_any_number_of_steps(steps, variance, clamp_x0):
    mean, squared = moments(SR3(steps=steps, variance=variance, clamp_x0=clamp_x0), 0.0)
    assert mean == pytest.approx(MU, abs=1e-10) and squared < 1e-20


@pytest.mark.parametrize(("first", "last", "steps"), [(1e-6, 0.2, 100), (1e-4, 0.1, 30), (1e-6, 1e-2, 50)])
def test_a_point_mass_is_reached_on_any_schedule(first, last, steps):
    schedule = linear_between(first, last, steps)
    roots, vis = schedule.alpha_bar.sqrt(), torch.full((steps + 1, 1, 1, 1), SOURCE, dtype=torch.float64)
    network, noise = Gaussian(0.0), UnitNoise(steps + 1)

    def score(x, level):
        return network(torch.cat([vis, x], 1), roots[level.k, None]), None

    levels = sampling.levels(schedule, "cpu")
    choices = {"mean": sampling.clamped_mean, "deviation": sampling.fixed_small}
    out = sampling.reverse(noise.normal(1, 1, 1), levels, score, noise, **choices)
    assert (out - MU).abs().max() < 1e-10


def test_the_network_sees_the_clean_condition_first_and_the_sample_second():
    vis, network = faces(2), Gaussian(0.5, keep=True)
    translate(SR3(steps=20), vis, network, [1, 2])
    assert len(network.seen) == 20 and all(torch.equal(c, vis) for c, *_ in network.seen)
    assert torch.equal(network.seen[0][1], ImageNoise([1, 2]).normal(3, 16, 16))


@pytest.mark.parametrize("noise_level", ["sqrt-gamma", "gamma"])
@pytest.mark.parametrize("steps", [None, 100])
def test_the_network_is_told_the_level_at_which_its_clean_image_is_worked_out(noise_level, steps):
    """Each sample that the network sees follows from the one before by the step of the level that it was told."""
    vis = torch.full((1, 3, 2, 2), SOURCE, dtype=torch.float64)
    network, noise = Gaussian(0.5, noise_level, keep=True), ImageNoise([1])
    noise.normal = lambda *shape: torch.ones(1, *shape, dtype=torch.float64)
    method = SR3(steps=steps, score=SR3Recipe(noise_level=noise_level), clamp_x0=False)
    method.translate(vis, {"score": network}, noise)
    gammas = [1.0, *(1 - torch.linspace(1e-6, 1e-2, 2000, dtype=torch.float64)).cumprod(0).tolist()]
    ts = torch.linspace(1, 2000, steps or 2000, dtype=torch.float64).round().long().tolist()
    assert len(network.seen) == len(ts)
    for (_, y, level, eps), (_, after, *_), t, before in zip(
        network.seen[:-1], network.seen[1:], ts[:0:-1], ts[-2::-1], strict=True
    ):
        gamma, cleaner = gammas[t], gammas[before]
        assert level.item() == pytest.approx(gamma if noise_level == "gamma" else sqrt(gamma), rel=1e-12)
        x_0 = (y - sqrt(1 - gamma) * eps) / sqrt(gamma)
        alpha = gamma / cleaner
        mean = (sqrt(cleaner) * (1 - alpha) * x_0 + sqrt(alpha) * (1 - cleaner) * y) / (1 - gamma)
        sigma = sqrt((1 - alpha) * (1 - cleaner) / (1 - gamma))
        assert torch.allclose(after, mean + sigma, rtol=1e-9, atol=1e-9)


def test_drawn_levels_lie_between_their_neighbours_and_cover_the_range():
    schedule, rng = gamma_schedule(), torch.Generator().manual_seed(0)
    roots = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alpha_bar]).sqrt()
    levels = draw_levels(schedule, 100_000, rng, "sqrt-gamma", False)
    assert levels.min() >= roots[-1] and levels.max() <= 1 and levels.min() < 0.0067 and levels.max() > 0.9999
    counts = torch.histogram(levels, roots[torch.arange(2000, -1, -100)]).hist  # 20 x 100 neighbouring intervals
    assert counts.sum() == 100_000 and (counts - 5000).abs().max() < 5 * sqrt(5000)


@pytest.mark.parametrize("noise_level", ["sqrt-gamma", "gamma"])
def test_a_level_is_drawn_evenly_in_what_the_network_is_told(noise_level):
    """On a schedule of one long step the middle of the draws tells the two apart."""
    schedule, rng = linear_between(0.96, 0.96, 1), torch.Generator().manual_seed(0)
    levels = draw_levels(schedule, 20_000, rng, noise_level, False)
    lowest = 0.04 if noise_level == "gamma" else 0.2
    assert levels.min() >= lowest and levels.max() <= 1
    assert levels.mean().item() == pytest.approx((lowest + 1) / 2, abs=0.01)


def test_all_images_share_one_t_only_where_asked_for():
    schedule, rng = gamma_schedule(), torch.Generator().manual_seed(0)
    roots = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alpha_bar]).sqrt().flip(0)
    for shared, kinds in ((True, 1), (False, 32)):
        levels = draw_levels(schedule, 32, rng, "sqrt-gamma", shared)
        assert len(levels.unique()) == 32
        intervals = torch.searchsorted(roots, levels).unique()
        assert len(intervals) == kinds if shared else len(intervals) > 25


class Recorder(torch.nn.Module):
    """Answers zero, or the exact noise where it knows the clean faces; keeps what it was given."""

    def __init__(self, clean=None, noise_level="sqrt-gamma"):
        super().__init__()
        self.answer, self.clean, self.noise_level = torch.nn.Parameter(torch.tensor(0.0)), clean, noise_level
        self.seen = []

    def forward(self, x, level):
        self.seen.append((x.detach().clone(), level.clone()))
        if self.clean is None:
            return self.answer.expand(len(x), 3, *x.shape[2:])
        gamma = level.double()[:, None, None, None] ** (1 if self.noise_level == "gamma" else 2)
        return ((x[:, 3:] - gamma.sqrt() * self.clean) / (1 - gamma).sqrt()).float() + 0 * self.answer


def first_update(recipe, network, vis, nir, seed=0):
    learner = recipe.learner(network, FaceSpec(vis.shape[-1]), len(vis))
    return learner.step(Batch(vis, nir), torch.Generator().manual_seed(seed), 0)["noise"].item()


@pytest.mark.parametrize(("p", "expected"), [(1, sqrt(2 / pi)), (2, 1.0)])
def test_a_network_that_answers_zero_has_the_loss_of_pure_noise(p, expected):
    loss = first_update(replace(TINY, p=p), Recorder(), faces(64, 32), faces(64, 32))
    assert loss == pytest.approx(expected, abs=6e-3)


def test_training_noises_the_nir_face_and_leaves_the_condition_clean():
    vis, nir = faces(2000, 4, seed=1), 0.5 * faces(2000, 4, seed=2)
    network = Recorder()
    first_update(replace(TINY, flip=False), network, vis, nir)
    ((x, level),) = network.seen
    assert torch.equal(x[:, :3], vis)
    gamma = level.double().square()
    expected = gamma * nir.double().square().sum((1, 2, 3)) + (1 - gamma) * 48  # d = 3 * 4 * 4
    ratio = x[:, 3:].double().square().sum((1, 2, 3)) / expected
    assert ratio.mean().item() == pytest.approx(1, abs=0.02)
    unchanged = x[gamma > 0.9999, 3:]
    assert len(unchanged) and (unchanged - nir[gamma > 0.9999]).abs().max() < 0.06


@pytest.mark.parametrize("noise_level", ["sqrt-gamma", "gamma"])
def test_a_network_that_knows_the_clean_face_finds_the_noise_exactly(noise_level):
    """What the network is told, what it is given and what it must answer belong to one another."""
    recipe, vis, nir = replace(TINY, flip=False, noise_level=noise_level), faces(16), faces(16, seed=3)
    loss = first_update(recipe, Recorder(nir, noise_level), vis, nir)
    assert loss < 2e-4  # float32 at levels next to 1; noise itself has 0.8
    assert first_update(recipe, Recorder(-nir, noise_level), vis, nir) > 0.1


def test_both_faces_of_a_pair_are_mirrored_together():
    vis = torch.linspace(-1, 1, 8).expand(400, 3, 8, 8).contiguous()
    network = Recorder()
    first_update(TINY, network, vis, 30 * vis)  # NIR that stands out of the noise
    ((x, level),) = network.seen
    mirrored = (x[:, :3] != vis).flatten(1).any(1)
    assert 150 < mirrored.sum() < 250 and torch.equal(x[mirrored, :3], vis[mirrored].flip(-1))
    side = (x[:, 3:] * x[:, :3]).mean((1, 2, 3))
    assert (side[level > 0.2] > 0).all()


def pairs(n, seed):
    """A pairing that can be learned in seconds: flat VIS faces, each with a NIR face of the opposite grey."""
    tone = 1.6 * torch.rand(n, 1, 1, 1, generator=torch.Generator().manual_seed(seed)) - 0.8
    return Batch(tone.expand(n, 3, 8, 8).contiguous(), -tone.expand(n, 3, 8, 8).contiguous())


def trained(learner, first, last):
    losses, rng = [], torch.Generator()
    for k in range(first, last):
        torch.manual_seed(k), rng.manual_seed(k)
        losses.append(learner.step(pairs(8, k), rng, k)["noise"].item())
    return losses


def test_training_learns_to_see_the_noise_and_to_follow_the_condition():
    recipe = replace(TINY, dropout=0.0)
    torch.manual_seed(0)
    network = recipe.build(FaceSpec(8))
    learner = recipe.learner(network, FaceSpec(8), 8)
    losses = trained(learner, 0, 200)
    assert sum(losses[-50:]) / 50 < 0.4 < sqrt(2 / pi) < losses[0]
    network.load_state_dict(learner.weights())
    held_out = pairs(16, 12345)
    draws = 4  # of each face: one alone is noisy after so short a training
    out = translate(SR3(score=recipe, steps=40), held_out.vis.repeat(draws, 1, 1, 1), network.eval(), range(16 * draws))
    tones = torch.stack([out.mean((1, 2, 3)).view(draws, 16).mean(0), held_out.nir.mean((1, 2, 3))])
    assert torch.corrcoef(tones)[0, 1] > 0.6  # 0.91 to 0.97 from eight starts


def test_a_training_goes_on_from_its_state_to_the_bit():
    def fresh():
        torch.manual_seed(0)
        return TINY.learner(TINY.build(FaceSpec(8)), FaceSpec(8), 8)

    whole, before, after = fresh(), fresh(), fresh()
    expected = trained(whole, 0, 6)
    found = trained(before, 0, 3)
    after.load_state_dict(before.state_dict())
    assert found + trained(after, 3, 6) == expected
    assert all(torch.equal(value, after.weights()[name]) for name, value in whole.weights().items())
    raw = whole.networks()["network"].state_dict()
    assert any(not torch.equal(value, raw[name]) for name, value in whole.weights().items())  # the average, not these


def fitted(size=16):
    torch.manual_seed(0)
    return TINY.build(FaceSpec(size)).eval().requires_grad_(False)


@pytest.mark.parametrize("clamp_x0", [True, False])
def test_an_output_is_the_same_to_the_bit_in_any_batch_and_order(clamp_x0):
    method, network = SR3(score=TINY, steps=5, clamp_x0=clamp_x0), fitted()
    vis, seeds = faces(7), [11, 12, 13, 14, 15, 16, 17]
    whole = translate(method, vis, network, seeds)
    for batch in (1, 2, 5):
        parts = [translate(method, vis[i : i + batch], network, seeds[i : i + batch]) for i in range(0, 7, batch)]
        assert torch.equal(torch.cat(parts), whole)
    order = [3, 6, 0, 2, 5, 1, 4]
    assert torch.equal(translate(method, vis[order], network, [seeds[i] for i in order]), whole[order])
    assert whole.isfinite().all() and (not clamp_x0 or whole.abs().max() <= 1)


@pytest.mark.parametrize("change", [{"variance": "fixed-large"}, {"clamp_x0": False}, {"steps": 6}])
def test_each_choice_changes_the_output(change):
    network, method = fitted(), SR3(score=TINY, steps=5)
    plain, changed = (translate(each, faces(2), network, [1, 2]) for each in (method, replace(method, **change)))
    assert (plain - changed).abs().max() > 1e-4


def test_what_is_told_is_a_level_or_its_root():
    gamma = torch.tensor([1.0, 0.25])
    assert told(gamma, "gamma").tolist() == [1, 0.25] and told(gamma, "sqrt-gamma").tolist() == [1, 0.5]


def test_the_registered_value_has_the_settings_of_the_open_implementation():
    (method,) = nferbench_translators()
    recipe = method.networks()["score"]
    assert (method.name, method.title, method.group) == ("sr3", "SR3", "diffusion") and not method.heterogeneous
    assert (method.steps, method.variance, method.clamp_x0) == (None, "fixed-small", True)
    assert (recipe.width, recipe.multipliers, recipe.res_blocks, recipe.attention) == (64, (1, 2, 4, 8, 8), 2, (16,))
    assert (recipe.dropout, recipe.p, recipe.lr, recipe.noise_level) == (0.2, 1, 1e-4, "sqrt-gamma")
    assert recipe.batch_size * recipe.updates(10) == 1_600_000 and recipe.paired


@pytest.mark.parametrize("steps", [0, 1, 2001, -5])
def test_an_impossible_number_of_steps_is_refused_at_once(steps):
    with pytest.raises(UsageError, match=f"sr3: steps is {steps}; allowed: 2 to 2000, or null for all") as caught:
        SR3(steps=steps)
    assert "\n" not in str(caught.value)


def test_faces_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="faces of 40 px do not fit a U-Net of 5 levels; allowed are multiples of 16"):
        SR3Recipe().build(FaceSpec(40))


def test_listing_the_method_imports_neither_torch_nor_diffusers():
    program = "import sys, nferbench_methods.sr3 as m; m.nferbench_translators()[0].networks(); "
    program += "print([name for name in ('torch', 'diffusers', 'numpy') if name in sys.modules])"
    path = ":".join(sys.path)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert run.stdout.strip() == "[]", run.stderr
