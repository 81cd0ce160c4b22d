"""SDEdit: against the exact Gaussian model, the energy-guided methods without energies, and what its fields promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from exact_gaussian import MU, SOURCE, Gaussian, moments

from nferbench import FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.schedule import head, linear_schedule, perturb
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, UNCONDITIONAL_SCORE, ScoreRecipe
from nferbench_methods.nfer_sde import NFERSDE
from nferbench_methods.sdedit import SDEdit, nferbench_translators

SCORE = ScoreRecipe(conditional=False, width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))


def exact(method, s, draws, **options):
    return moments(lambda vis, noise: method.translate(vis, {"score": Gaussian(MU, s)}, noise), draws, **options)


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
def test_an_output_keeps_the_exact_share_of_the_source(s, start, w, variance):
    mean, spread = exact(SDEdit(start_step=start), s, draws=start)
    assert mean == pytest.approx(MU + w * (SOURCE - MU), abs=1e-6)
    assert spread == pytest.approx(variance, abs=6e-7)


def test_the_large_variance_has_its_closed_form():
    _, spread = exact(SDEdit(variance="fixed-large"), 1.0, draws=500)
    assert spread == pytest.approx(0.993724, abs=6e-7)


def test_one_step_returns_the_source_but_for_the_least_noise():
    mean, spread = exact(SDEdit(start_step=1), 0.5, draws=1)
    assert mean == pytest.approx(MU + 0.9996 * (SOURCE - MU), abs=1e-5)
    assert spread < 2e-4


def test_no_steps_return_the_source():
    vis = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(SDEdit(start_step=0).translate(vis, {"score": None}, ImageNoise([1, 2])), vis)


@pytest.mark.parametrize("start", [1, 300, 500])
def test_a_point_mass_is_reached_whatever_the_source(start):
    for source in (-1.0, 0.9):
        mean, spread = exact(SDEdit(start_step=start), 0.0, draws=start, source=source)
        assert mean == pytest.approx(MU, abs=1e-12) and spread < 1e-24


def test_all_steps_forget_all_but_a_trace_of_the_source():
    means = [exact(SDEdit(start_step=1000), 0.5, draws=1000, source=source)[0] for source in (SOURCE, 0.0)]
    w = 4.0358e-5 * 0.25 / (4.0358e-5 * 0.25 + 1 - 4.0358e-5)
    assert means[1] - means[0] == pytest.approx(-w * SOURCE, rel=1e-3)


def test_each_repeat_moves_on_from_the_result_before():
    mean, _ = exact(SDEdit(start_step=300, repeats=2), 0.5, draws=600)
    assert mean == pytest.approx(MU + 0.141037**2 * (SOURCE - MU), abs=1e-6)


def test_a_network_that_sees_no_noise_gives_the_source_back():
    silent = Gaussian(MU, 0.5)
    silent.forward = lambda x, t: (torch.zeros_like(x), None)
    mean, _ = moments(lambda vis, noise: SDEdit().translate(vis, {"score": silent}, noise), 500)
    assert mean == pytest.approx(SOURCE, rel=1e-12)


def test_a_mask_that_forbids_all_editing_leaves_the_source_at_the_last_level():
    """The authors' mask overwrites pixels after each step; in this house it is something done after a step."""
    levels = sampling.levels(head(linear_schedule(), 50), "cpu")
    y, e = torch.randn(2, 1, 3, 4, 4)
    out = sampling.reverse(
        perturb(y, e, levels[-1].alpha_bar),
        levels,
        lambda x, level: (torch.randn_like(x), None),
        ImageNoise([1]),
        mean=sampling.ancestral_mean,
        deviation=sampling.fixed_small,
        after_step=lambda x, level: perturb(y, e, level.alpha_bar),
    )
    assert torch.equal(out, perturb(y, e, levels[0].alpha_bar))


@pytest.mark.parametrize("steps", [25, 100])
def test_fewer_steps_start_at_the_same_noise_level(steps):
    mean, _ = exact(SDEdit(steps=steps), 0.5, draws=steps)
    assert mean == pytest.approx(MU + 0.020877 * (SOURCE - MU), abs=1e-6)


def fitted(method):
    torch.manual_seed(0)
    network = method.score.build(FaceSpec(16)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return {"score": network}


def test_it_is_nfer_sde_without_condition_and_energies_to_the_bit():
    method = SDEdit(score=SCORE, steps=6)
    other = NFERSDE(score=SCORE, steps=6, lambda_h=0, lambda_f=0)
    networks, vis = fitted(method), torch.rand(3, 3, 16, 16) * 2 - 1
    assert method.networks() == other.networks()
    ours, theirs = (each.translate(vis, networks, ImageNoise([1, 2, 3])) for each in (method, other))
    assert torch.equal(ours, theirs)


def test_a_grey_source_hides_the_colour():
    vis = torch.rand(1, 3, 16, 16) * 2 - 1
    swapped = vis + torch.tensor([0.1, 0.0, -0.1 * 0.299 / 0.114]).view(3, 1, 1)  # the same luma
    networks = fitted(SDEdit(score=SCORE))
    for grey in (True, False):
        method = SDEdit(score=SCORE, steps=6, grey_source=grey)
        one, other = (method.translate(face, networks, ImageNoise([1])) for face in (vis, swapped))
        assert torch.allclose(one, other, atol=1e-5) == grey


def test_the_registered_value_is_that_of_the_authors():
    (method,) = nferbench_translators()
    assert (method.name, method.start_step, method.repeats, method.variance) == ("sdedit", 500, 1, "fixed-small")
    assert method.networks() == {"score": UNCONDITIONAL_SCORE} and not UNCONDITIONAL_SCORE.paired
    assert CONDITIONAL_SCORE.paired


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_step": 1001}, "start_step is 1001; allowed: 0 to 1000"),
        ({"steps": 501}, "steps is 501; allowed: 2 to 500"),
        ({"repeats": 0}, "repeats is 0; allowed: 1 or more"),
        ({"variance": "learned-range", "score": replace(SCORE, learned_variance=False)}, "learned_variance"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(change, message):
    with pytest.raises(UsageError, match=message):
        SDEdit(**change)
