"""T2V-DDPM: against the exact conditional Gaussian model, the Cond row of NFER-SDE, and the authors' loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from exact_gaussian import MU, SOURCE, Gaussian, moments

from nferbench import FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, ScoreRecipe
from nferbench_methods.nfer_sde import NFERSDE
from nferbench_methods.t2v_ddpm import T2VDDPM, nferbench_translators

SCORE = ScoreRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))
EXACT = T2VDDPM(clamp_x0=False)


def affine(c):
    """Mean of NIR given VIS: A c + b, which is MU at the source."""
    return MU + 0.4 * (c - SOURCE)


def exact(method, s, draws, v=-1.0, **options):
    network = Gaussian(affine, s, v)
    return moments(lambda vis, noise: method.translate(vis, {"score": network}, noise), draws, **options)


@pytest.mark.parametrize(
    ("s", "mean", "variance"),
    [
        (0.1, 0.299759, 0.006294),
        (0.25, 0.298494, 0.049773),
        (0.5, 0.294007, 0.218975),
        (1.0, 0.276515, 0.920273),
    ],
)
def test_an_output_has_the_exact_mean_and_variance(s, mean, variance):
    assert exact(EXACT, s, draws=60) == pytest.approx((mean, variance), abs=6e-7)


def test_starting_at_the_level_of_the_first_step_is_the_other_exact_mean():
    mean, _ = exact(replace(EXACT, start_level="first-step"), 0.5, draws=60)
    assert mean == pytest.approx(0.293762, abs=6e-7)


def test_the_variance_channels_run_from_small_to_large():
    small, middle, large = (exact(EXACT, 0.5, 60, v)[1] for v in (-1.0, 0.0, 1.0))
    assert small == pytest.approx(exact(replace(EXACT, variance="fixed-small"), 0.5, 60)[1], abs=1e-12)
    assert large == pytest.approx(exact(replace(EXACT, variance="fixed-large"), 0.5, 60)[1], abs=1e-12)
    assert small < middle < large


@pytest.mark.parametrize("method", [T2VDDPM(), T2VDDPM(skip=0), T2VDDPM(steps=20, skip=8)])
def test_a_point_mass_is_reached_whatever_the_start(method):
    mean, spread = exact(method, 0.0, draws=method.steps - method.skip)
    assert mean == pytest.approx(affine(SOURCE), abs=1e-12) and spread < 1e-24


def faces(count):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(4)) * 2 - 1


def test_the_start_is_the_source_at_the_authors_level():
    network, vis = Gaussian(torch.tensor(MU), 0.5), faces(1)
    T2VDDPM().translate(vis, {"score": network}, ImageNoise([3]))
    start = network.seen[0][0][:, :3]
    assert torch.allclose(start, 0.15510 * vis + 0.98790 * ImageNoise([3]).normal(3, 16, 16), atol=2e-5)


def test_the_network_sees_the_clean_source_at_the_authors_indices():
    network, vis = Gaussian(torch.tensor(MU), 0.5), faces(2)
    T2VDDPM().translate(vis, {"score": network}, ImageNoise([3, 4]))
    told = [t for _, t in network.seen]
    assert len(told) == 60 and told[0] == [595] and told[-1] == [0]
    assert told == sorted(told, reverse=True) and told[59 - 20] == [202] and told[59 - 21] == [212]
    assert all(torch.equal(x[:, 3:], vis) for x, _ in network.seen)


def test_only_a_start_from_noise_ignores_the_source():
    blind = Gaussian(torch.tensor(MU), 0.5)
    for skip in (0, 40):
        one, other = (
            T2VDDPM(skip=skip).translate(vis, {"score": blind}, ImageNoise([3])) for vis in (faces(1), -faces(1))
        )
        assert torch.equal(one, other) == (skip == 0)
    assert torch.equal(blind.seen[0][0][:, :3], ImageNoise([3]).normal(3, 16, 16))


def test_an_output_stays_in_the_range_whatever_the_network_says():
    wild = Gaussian(torch.tensor(MU), 0.5)
    wild.forward = lambda x, t: (9 * torch.sin(9 * x[:, :3]), torch.zeros_like(x[:, :3]))
    assert T2VDDPM().translate(faces(2), {"score": wild}, ImageNoise([1, 2])).abs().max() <= 1


def fitted(recipe):
    torch.manual_seed(0)
    network = recipe.build(FaceSpec(16)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return {"score": network}


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("variance", ["learned-range", "fixed-small"])
def test_it_is_nfer_sde_without_energies_where_their_fields_agree_to_the_bit(clamp, variance):
    common = {"score": SCORE, "variance": variance, "clamp_x0": clamp}
    networks, vis = fitted(SCORE), faces(3)
    pairs = [
        (T2VDDPM(steps=20, skip=0, **common), NFERSDE(start="noise", steps=20, lambda_h=0, lambda_f=0, **common)),
        (
            T2VDDPM(steps=1000, skip=990, start_level="first-step", **common),
            NFERSDE(start_step=10, lambda_h=0, lambda_f=0, **common),
        ),
    ]
    for ours, theirs in pairs:
        assert ours.networks() == theirs.networks()
        one, other = (each.translate(vis, networks, ImageNoise([1, 2, 3])) for each in (ours, theirs))
        assert torch.equal(one, other)


def test_the_registered_value_is_that_of_the_authors():
    (method,) = nferbench_translators()
    assert (method.name, method.steps, method.skip, method.variance) == ("t2v-ddpm", 100, 40, "learned-range")
    assert method.heterogeneous and method.clamp_x0 and method.start_level == "code"
    assert method.networks() == {"score": CONDITIONAL_SCORE} == NFERSDE(lambda_h=0).networks()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 1, "skip": 0}, "steps is 1; allowed: 2 to 1000"),
        ({"skip": 100}, "skip is 100; allowed: 0 to 99"),
        ({"score": replace(SCORE, conditional=False)}, "score.conditional is false"),
        ({"score": replace(SCORE, learned_variance=False)}, "learned_variance"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(change, message):
    with pytest.raises(UsageError, match=message):
        T2VDDPM(**change)
