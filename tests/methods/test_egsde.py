"""EGSDE as a whole: against SDEdit, the exact Gaussian model, and what its fields promise."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from math import sqrt

import pytest
import torch
from exact_gaussian import MU, SOURCE, Gaussian, moments

from nferbench import FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench.contract.pixels import luma
from nferbench_methods.diffusion import domain_energy
from nferbench_methods.diffusion.domain_energy import similarity
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.filters import low_pass, resize_matrix
from nferbench_methods.diffusion.schedule import head, linear_schedule, respace
from nferbench_methods.diffusion.score import UNCONDITIONAL_SCORE, ScoreRecipe
from nferbench_methods.egsde import EGSDE, _largest_beta, nferbench_translators
from nferbench_methods.sdedit import SDEdit

SIDE, CELLS = 2, 1
SMALL = EGSDE(
    score=ScoreRecipe(conditional=False, width=8, multipliers=(1, 2), res_blocks=1, attention=(8,)),
    domains=DomainRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,)),
    cells=2,
    steps=8,
)


def randomise(network):
    generator = torch.Generator().manual_seed(5)
    for parameter in network.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        parameter.data.add_(scale * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def fitted(method, size=16):
    torch.manual_seed(0)
    return {role: randomise(recipe.build(FaceSpec(size))) for role, recipe in method.networks().items()}


def translate(method, vis, networks, seeds):
    with torch.inference_mode():
        return method.translate(vis.clone(), networks, ImageNoise(seeds))


def faces(n, size=16):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(9)) * 2 - 1


@pytest.mark.parametrize("change", [{}, {"start_step": 40, "steps": None}, {"repeats": 2}, {"grey_source": True}])
def test_without_energies_it_is_sdedit_to_the_bit_and_takes_no_gradient(change, monkeypatch):
    method = replace(SMALL, lambda_s=0.0, lambda_i=0.0, **change)
    shared = ("score", "start_step", "steps", "repeats", "variance", "grey_source")
    sdedit = SDEdit(**{name: getattr(method, name) for name in shared})
    assert method.networks() == sdedit.networks() == {"score": SMALL.score}
    for name in ("specific_gradient", "independent_gradient"):
        monkeypatch.setattr(domain_energy, name, None)
    networks, vis = fitted(method), faces(3)
    ours, theirs = (translate(each, vis, networks, [4, 5, 6]) for each in (method, sdedit))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("off", [{"lambda_i": 0.0}, {}])
def test_features_and_filters_that_see_nothing_change_nothing(off, monkeypatch):
    networks, vis = fitted(SMALL), faces(3)
    plain = translate(replace(SMALL, lambda_s=0.0, lambda_i=0.0), vis, networks, [4, 5, 6])
    networks["domains"].forward = lambda x, t: 0 * x + torch.ones(3, 1, 1)
    monkeypatch.setattr(domain_energy, "low_pass", lambda x, n, kernel: torch.zeros_like(x))
    assert torch.equal(translate(replace(SMALL, **off), vis, networks, [4, 5, 6]), plain)


def flat():
    """The pattern that the filter keeps whole."""
    return torch.ones(3, SIDE, SIDE, dtype=torch.float64) / sqrt(3 * SIDE**2)


def high_frequency():
    """A pattern that the filter removes whole."""
    removed = torch.linalg.svd(resize_matrix(SIDE, CELLS, CELLS / SIDE, "linear")).Vh[-1]
    pattern = torch.outer(removed, removed).expand(3, SIDE, SIDE)
    return pattern / pattern.norm()


def exact(method, s, draws, pattern=None):
    """Exact mean and variance of the coefficient of a pattern in the output."""
    pattern = flat() if pattern is None else pattern
    return moments(
        lambda vis, noise: method.translate(vis, {"score": Gaussian(MU * pattern, s)}, noise), draws, pattern
    )


class Silent:
    """Draws nothing but zeros: what is left is the mean."""

    def normal(self, *shape):
        return torch.zeros(1, *shape, dtype=torch.float64)


def exact_mean(method, s, pattern=None):
    pattern = flat() if pattern is None else pattern
    out = method.translate((SOURCE * pattern)[None], {"score": Gaussian(MU * pattern, s)}, Silent())
    return (out * pattern).sum().item()


@pytest.mark.parametrize(
    ("s", "lambda_i", "mean", "variance"),
    [
        (0.5, 0.0, 0.281210, 0.246017),
        (0.5, 0.5, 0.044521, 0.172664),
        (0.5, 2.0, -0.213382, 0.115085),
        (0.25, 2.0, 0.011209, None),
    ],
)
def test_low_frequencies_have_the_exact_mean_and_variance(s, lambda_i, mean, variance):
    result = exact(EGSDE(lambda_s=0, lambda_i=lambda_i, cells=CELLS), s, draws=500)
    assert result[0] == pytest.approx(mean, abs=6e-7)
    assert variance is None or result[1] == pytest.approx(variance, abs=6e-7)


def test_high_frequencies_are_not_held():
    method = EGSDE(lambda_s=0, lambda_i=2.0, cells=CELLS)
    assert exact(method, 0.5, 500, high_frequency()) == pytest.approx((0.281210, 0.246017), abs=6e-7)


def test_frequencies_between_are_held_by_the_square_of_their_share():
    rows = resize_matrix(8, 2, 1 / 4, "linear")
    values, vectors = torch.linalg.eigh(resize_matrix(2, 8, 4, "linear") @ rows)
    p, wave = values[-2].item(), vectors[:, -2]
    assert 0.1 < p < 0.9
    pattern = torch.outer(wave, torch.ones(8, dtype=torch.float64) / sqrt(8)).expand(3, 8, 8) / sqrt(3)
    mean = exact_mean(EGSDE(lambda_s=0, lambda_i=2.0, cells=2), 0.5, pattern)

    beta = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    m = alpha_bar[499].sqrt() * SOURCE
    for i in reversed(range(500)):
        root, v = alpha_bar[i].sqrt(), alpha_bar[i] * 0.25 + 1 - alpha_bar[i]
        guidance = 2 * 2.0 * p**2 * beta[i] * (m - root * SOURCE)
        m = (m - beta[i] * (m - root * MU) / v - guidance) / (1 - beta[i]).sqrt()
    assert mean == pytest.approx(m.item(), abs=1e-9)


def test_fresh_noise_for_the_source_keeps_the_mean_and_lowers_the_variance():
    method = EGSDE(lambda_s=0, lambda_i=2.0, cells=CELLS, resample_source_noise=True)
    mean, variance = exact(method, 0.5, draws=1000)
    assert mean == pytest.approx(-0.213382, abs=6e-7)
    assert variance == pytest.approx(0.070, abs=2e-3)


@pytest.mark.parametrize("steps", [25, 100, 250])
def test_fewer_steps_keep_the_total_guidance(steps):
    mean = exact_mean(EGSDE(lambda_s=0, lambda_i=0.5, cells=CELLS, steps=steps), 0.5)
    assert mean == pytest.approx(0.044521, abs=3 / steps / 4)


def test_every_repeat_looks_at_the_source_itself():
    means = [exact_mean(EGSDE(lambda_s=0, cells=CELLS, repeats=repeats), 0.5) for repeats in (1, 2, 3)]
    assert means[0] == pytest.approx(-0.213382, abs=6e-7)
    # Looking at the result of the pass before, each would come nearer to MU by the same share as the first.
    drifted = MU + (means[0] - MU) ** 2 / (SOURCE - MU)
    assert abs(means[1] - means[0]) < 0.05 < abs(drifted - means[0])
    assert abs(means[2] - means[1]) < abs(means[1] - means[0])


def test_more_weight_brings_low_frequencies_of_the_output_to_those_of_the_source():
    vis, score = faces(3), {"score": Gaussian(MU, 0.5)}
    distances = []
    for lambda_i in (0.0, 0.5, 2.0, 5.0, 15.0):
        method = EGSDE(lambda_s=0, lambda_i=lambda_i, cells=8, steps=100)
        out = translate(method, vis, score, [1, 2, 3])
        distances.append((low_pass(out, 2, "linear") - low_pass(vis, 2, "linear")).square().sum((1, 2, 3)))
    assert all((later < earlier).all() for earlier, later in pairwise(distances))
    assert (distances[-1] < 0.1 * distances[0]).all()


class LinearFeatures(torch.nn.Module):
    """E_s(x, t) = W x at one position."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(12, 3 * SIDE**2, generator=torch.Generator().manual_seed(0))
        self.told = []

    def forward(self, x, t):
        self.told.append(t.unique().tolist())
        return (x.flatten(1) @ self.weight.T)[..., None, None]


def test_more_weight_takes_the_output_away_from_the_look_of_the_source():
    vis, networks = faces(4, SIDE), {"score": Gaussian(MU, 0.5), "domains": LinearFeatures()}
    likeness = []
    for lambda_s in (0.0, 5.0, 20.0, 80.0):
        out = translate(EGSDE(lambda_s=lambda_s, lambda_i=0, steps=100), vis, networks, [1, 2, 3, 4])
        likeness.append(
            similarity(networks["domains"](out, torch.zeros(1)), networks["domains"](vis, torch.zeros(1)), "cosine")
        )
    assert all((later < earlier).all() for earlier, later in pairwise(likeness))


def test_networks_are_told_the_original_index():
    networks = {"score": Gaussian(MU, 0.5), "domains": LinearFeatures()}
    translate(EGSDE(steps=10, lambda_i=0), faces(1, SIDE), networks, [1])
    expected = [[i] for i in respace(head(linear_schedule(), 500), 10).index.tolist()[::-1]]
    assert [t for _, t in networks["score"].seen] == expected and expected[0] == [499]
    assert networks["domains"].told == [t for t in expected for _ in range(2)]  # of the source and of the sample


@pytest.mark.parametrize("resample", [False, True])
def test_an_output_is_the_same_to_the_bit_in_any_batch_and_order(resample):
    method = replace(SMALL, resample_source_noise=resample)
    networks, vis, seeds = fitted(method), faces(7), [11, 12, 13, 14, 15, 16, 17]
    whole = translate(method, vis, networks, seeds)
    for batch in (1, 3):
        parts = [
            translate(method, vis[i : i + batch], networks, seeds[i : i + batch]) for i in range(0, len(vis), batch)
        ]
        assert torch.equal(torch.cat(parts), whole)
    order = [3, 6, 0, 2, 5, 1, 4]
    assert torch.equal(translate(method, vis[order], networks, [seeds[i] for i in order]), whole[order])
    assert whole.isfinite().all()


@pytest.mark.parametrize(
    "change",
    [
        {"lambda_s": 0.0},
        {"lambda_i": 0.0},
        {"similarity_s": "neg-l2", "lambda_s": 1e-3},
        {"similarity_i": "cosine"},
        {"start_step": 300},
        {"steps": 9},
        {"repeats": 2},
        {"variance": "fixed-large"},
        {"kernel": "bicubic"},
        {"cells": 4},
        {"resample_source_noise": True},
        {"grey_source": True, "domains": replace(SMALL.domains, grey_source=True)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_choice_changes_the_output_and_keeps_it_finite(change):
    networks, vis = fitted(SMALL), faces(2)
    plain, changed = (translate(method, vis, networks, [1, 2]) for method in (SMALL, replace(SMALL, **change)))
    assert changed.shape == vis.shape and changed.isfinite().all()
    assert (plain - changed).abs().max() > 1e-4


def test_a_grey_source_is_the_luma_of_the_face():
    grey = replace(SMALL, grey_source=True, domains=replace(SMALL.domains, grey_source=True))
    networks, vis = fitted(SMALL), faces(2)
    assert torch.equal(translate(grey, vis, networks, [1, 2]), translate(SMALL, luma(vis), networks, [1, 2]))


def test_no_steps_give_the_source_back():
    vis = faces(2)
    method = replace(SMALL, start_step=0, steps=None)
    assert torch.equal(translate(method, vis, {"score": None, "domains": None}, [1, 2]), vis)


def test_the_classifier_is_needed_only_for_s_s_and_no_network_uses_pairs():
    assert set(EGSDE().networks()) == {"score", "domains"}
    assert EGSDE(lambda_s=0).networks() == {"score": UNCONDITIONAL_SCORE} == SDEdit().networks()
    assert not any(recipe.paired for recipe in EGSDE().networks().values())


def test_the_registered_value_is_that_of_every_profile_of_the_authors():
    (method,) = nferbench_translators()
    assert (method.name, method.title, method.group) == ("egsde", "EGSDE", "diffusion")
    assert (method.lambda_s, method.lambda_i, method.start_step, method.repeats) == (500, 2, 500, 1)
    assert (method.similarity_s, method.similarity_i, method.kernel, 256 // method.cells) == (
        "cosine",
        "neg-l2",
        "linear",
        32,
    )
    assert (method.steps, method.variance, method.resample_source_noise) == (None, "fixed-small", False)


@pytest.mark.parametrize("start_step", [0, 1, 2, 300, 1000])
def test_the_largest_beta_is_that_of_the_schedule(start_step):
    for steps in (None, 2, 7, 25, start_step):
        if steps is None or 2 <= steps <= start_step:
            schedule = head(linear_schedule(), start_step)
            beta = respace(schedule, steps or start_step).beta
            expected = beta.max().item() if len(beta) else 0.0
            assert _largest_beta(start_step, steps) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_step": 1001}, "start_step is 1001; allowed: 0 to 1000"),
        ({"steps": 501}, "steps is 501; allowed: 2 to 500"),
        ({"steps": 1}, "steps is 1; allowed: 2 to 500"),
        ({"repeats": 0}, "repeats is 0; allowed: 1 or more"),
        ({"lambda_s": -1.0}, "lambda_s is -1.0"),
        ({"steps": 7}, "lambda_i is 2.0, too much for a step of beta 0.537; allowed: less than 1.86, or more steps"),
        ({"lambda_i": 100.0}, "too much for a step of beta 0.01"),
        ({"grey_source": True}, "grey_source is True, domains.grey_source False; set both alike"),
        ({"variance": "learned-range", "score": replace(SMALL.score, learned_variance=False)}, "learned_variance"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(change, message):
    with pytest.raises(UsageError, match=message) as caught:
        EGSDE(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"steps": 8}, {"lambda_i": 1.8}, {"similarity_i": "cosine"}, {"lambda_i": 0.0}])
def test_weights_that_a_step_can_take_are_not_refused(change):
    EGSDE(**{"steps": 7} | change)


def test_cells_must_divide_the_face():
    method = replace(SMALL, lambda_s=0, cells=5)
    with pytest.raises(UsageError, match="5 cells do not divide faces of 16 px"):
        translate(method, faces(1), {"score": Gaussian(MU, 0.5)}, [1])


def test_listing_the_method_imports_neither_torch_nor_diffusers():
    program = "import sys, nferbench_methods.egsde as m; m.nferbench_translators()[0].networks(); "
    program += "print([name for name in ('torch', 'diffusers', 'numpy') if name in sys.modules])"
    path = ":".join(sys.path)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert run.stdout.strip() == "[]", run.stderr
