"""NFER-SDE as a whole: against the exact Gaussian model, an independent SDEdit, and what its fields promise."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from math import sqrt

import pytest
import torch
from exact_gaussian import MU, SOURCE, Gaussian, UnitNoise, moments

from nferbench import FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.diffusion.energy import frequency_energy
from nferbench_methods.diffusion.filters import low_pass, resize_matrix
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import UNCONDITIONAL_SCORE, ScoreRecipe
from nferbench_methods.nfer_sde import NFERSDE, nferbench_translators

SIDE, CELLS = 4, 2
SMALL_SCORE = ScoreRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,))
SMALL = NFERSDE(
    score=SMALL_SCORE,
    heatmaps=HeatmapRecipe(stride=2, width=8, multipliers=(1, 2), res_blocks=1),
    lambda_h=1.0,
    cells=2,
    steps=6,
)
BASELINE = replace(SMALL, score=replace(SMALL_SCORE, conditional=False), lambda_h=0, lambda_f=0)


def high_frequency():
    """A pattern of unit length that the low-pass filter removes whole: Phi keeps it as it is."""
    removed = torch.linalg.svd(resize_matrix(SIDE, CELLS, CELLS / SIDE, "linear")).Vh[-1]
    pattern = torch.outer(removed, removed).expand(3, SIDE, SIDE)
    return pattern / pattern.norm()


def exact(method, s, draws, pattern=None):
    """Exact mean and variance of the coefficient of a high-frequency pattern in the output of a method."""
    pattern = high_frequency() if pattern is None else pattern
    return moments(
        lambda vis, noise: method.translate(vis, {"score": Gaussian(MU * pattern, s)}, noise), draws, pattern
    )


def test_the_test_pattern_is_a_pure_high_frequency():
    pattern = high_frequency()
    assert low_pass(pattern[None], SIDE // CELLS, "linear").abs().max() < 1e-15
    assert pattern.norm().item() == pytest.approx(1) and pattern.sum().abs() < 1e-14


@pytest.mark.parametrize(
    ("s", "lambda_f", "mean", "variance"),
    [
        (0.5, 0.0, 0.281210, 0.246017),
        (0.5, 0.5, 0.044521, 0.172664),
        (0.5, 2.0, -0.213382, 0.115085),
        (0.25, 0.5, 0.182034, 0.051505),
    ],
)
@pytest.mark.parametrize("conditional", [True, False])
def test_high_frequencies_have_the_exact_mean_and_variance(s, lambda_f, mean, variance, conditional):
    score = replace(SMALL_SCORE, conditional=conditional)
    method = NFERSDE(score=score, lambda_h=0, lambda_f=lambda_f, cells=CELLS)
    assert exact(method, s, draws=500) == pytest.approx((mean, variance), abs=6e-7)


def test_the_euler_maruyama_step_has_the_exact_mean_and_variance():
    method = NFERSDE(lambda_h=0, cells=CELLS, discretisation="euler-maruyama")
    assert exact(method, 0.5, draws=500) == pytest.approx((0.044458, 0.176707), abs=6e-7)


def test_low_frequencies_are_not_guided():
    flat = torch.ones(3, SIDE, SIDE, dtype=torch.float64) / sqrt(3 * SIDE**2)
    method = NFERSDE(lambda_h=0, lambda_f=2.0, cells=CELLS)
    assert exact(method, 0.5, 500, flat) == pytest.approx((0.281210, 0.246017), abs=6e-7)


def test_fresh_noise_for_the_source_keeps_the_mean_and_lowers_the_variance():
    method = NFERSDE(lambda_h=0, lambda_f=2.0, cells=CELLS, resample_source_noise=True)
    mean, variance = exact(method, 0.5, draws=1000)
    assert mean == pytest.approx(-0.213382, abs=6e-7)
    assert variance == pytest.approx(0.070, abs=2e-3)


@pytest.mark.parametrize("steps", [25, 100, 250])
def test_fewer_steps_keep_the_total_guidance(steps):
    method = NFERSDE(lambda_h=0, cells=CELLS, steps=steps)
    mean, _ = exact(method, 0.5, draws=steps)
    assert mean == pytest.approx(0.044521, abs=3 / steps / 4)


def test_more_guidance_never_takes_high_frequencies_farther_from_the_source():
    pattern = high_frequency()
    vis = (SOURCE * pattern)[None]
    energies = []
    for lambda_f in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0):
        method = NFERSDE(lambda_h=0, lambda_f=lambda_f, cells=CELLS, steps=100)
        networks = {"score": Gaussian(MU * pattern, 0.5)}
        noise = UnitNoise(0, pattern)
        noise.normal = lambda *shape: torch.zeros(1, *shape, dtype=torch.float64)
        out = method.translate(vis, networks, noise)
        energies.append(frequency_energy(out, vis, SIDE // CELLS, "linear").item())
    assert energies == sorted(energies, reverse=True) and energies[-1] < 0.1 * energies[0]


class LinearMaps(torch.nn.Module):
    """H(x, t) = W x with a well-conditioned W."""

    def __init__(self, side):
        super().__init__()
        torch.manual_seed(0)
        size = 3 * side * side
        self.weight = torch.eye(size)[: size // 2] + 0.02 * torch.randn(size // 2, size)

    def forward(self, x, t):
        return (x.flatten(1) @ self.weight.T).unflatten(1, (-1, 1, 1))


def test_more_landmark_guidance_brings_linear_heat_maps_closer_to_the_source():
    vis = torch.rand(3, 3, SIDE, SIDE) * 2 - 1
    maps = LinearMaps(SIDE)
    distances = []
    for lambda_h in (0.0, 0.5, 1.0, 2.0, 4.0):
        method = NFERSDE(lambda_h=lambda_h, lambda_f=0, steps=100)
        with torch.inference_mode():
            networks = {"score": Gaussian(torch.tensor(MU), 0.5), "heatmaps": maps}
            out = method.translate(vis.clone(), networks, ImageNoise([1, 2, 3]))
        distances.append((maps(out, None) - maps(vis, None)).square().sum((1, 2, 3)))
    assert all((later < earlier).all() for earlier, later in pairwise(distances))


def randomise(network):
    generator = torch.Generator().manual_seed(5)
    for parameter in network.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        parameter.data.add_(scale * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def fitted(method, size=16):
    torch.manual_seed(0)
    return {role: randomise(recipe.build(FaceSpec(size, 5))) for role, recipe in method.networks().items()}


def translate(method, vis, networks, seeds):
    with torch.inference_mode():
        return method.translate(vis.clone(), networks, ImageNoise(seeds))


def faces(n, size=16):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(9)) * 2 - 1


@pytest.mark.parametrize("start_step", [1, 40])
def test_without_energies_and_condition_it_is_sdedit_to_the_bit(start_step):
    method = replace(BASELINE, start_step=start_step, steps=None)
    networks, vis = fitted(method), faces(3)
    beta = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    alpha = 1 - beta
    alpha_bar = alpha.cumprod(0)

    # SDEdit (Meng et al. 2022) in its VP form, as the authors' loop has it.
    noise = ImageNoise([4, 5, 6])
    x = alpha_bar[start_step - 1].sqrt().item() * vis
    x = x + (1 - alpha_bar[start_step - 1]).sqrt().item() * noise.normal(3, 16, 16)
    with torch.inference_mode():
        for i in reversed(range(start_step)):
            eps, _ = networks["score"](x, torch.tensor([i]))
            x = (x - (beta[i] / (1 - alpha_bar[i]).sqrt()).item() * eps) / alpha[i].sqrt().item()
            if i > 0:
                variance = beta[i] * (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i])
                x = x + variance.sqrt().item() * noise.normal(3, 16, 16)

    ours = translate(method, vis, networks, [4, 5, 6])
    assert (ours - x).abs().max() <= 4e-7 * x.abs().max()
    assert torch.equal(ours, x)


def test_from_noise_on_100_steps_it_is_the_loop_of_t2v_ddpm_up_to_variance_and_clamp():
    method = replace(SMALL, lambda_h=0, lambda_f=0, start="noise", steps=100, variance="learned-range", clamp_x0=True)
    network = Gaussian(torch.tensor(MU), 0.5)
    vis = faces(2)
    out = translate(method, vis, {"score": network}, [1, 2])
    told = [t for _, t in network.seen]
    assert len(told) == 100 and told[0] == [999] and told[40] == [595] and told[-1] == [0]
    assert all(torch.equal(x[:, 3:], vis) for x, _ in network.seen)  # [x, c], c clean at every step
    assert torch.equal(network.seen[0][0][:, :3], ImageNoise([1, 2]).normal(3, 16, 16))
    assert out.abs().max() <= 1


@pytest.mark.parametrize("resample", [False, True])
def test_an_output_is_the_same_to_the_bit_in_any_batch_and_order(resample):
    method = replace(SMALL, resample_source_noise=resample)
    networks, vis, seeds = fitted(method), faces(7), [11, 12, 13, 14, 15, 16, 17]
    whole = translate(method, vis, networks, seeds)
    for batch in (1, 2, 5):
        parts = [
            translate(method, vis[i : i + batch], networks, seeds[i : i + batch]) for i in range(0, len(vis), batch)
        ]
        assert torch.equal(torch.cat(parts), whole)
    order = [3, 6, 0, 2, 5, 1, 4]
    assert torch.equal(translate(method, vis[order], networks, [seeds[i] for i in order]), whole[order])
    assert torch.equal(translate(method, vis, networks, seeds), whole) and whole.isfinite().all()


def test_every_energy_and_the_condition_matter():
    networks, vis, seeds = fitted(SMALL), faces(2), [1, 2]
    outputs = [translate(replace(SMALL, **off), vis, networks, seeds) for off in ({}, {"lambda_h": 0}, {"lambda_f": 0})]
    assert all((a - b).abs().max() > 1e-4 for a, b in [(outputs[0], outputs[1]), (outputs[0], outputs[2])])
    seen = Gaussian(torch.tensor(MU), 0.5)
    translate(replace(SMALL, lambda_h=0), vis, {"score": seen}, seeds)
    assert all(torch.equal(x[:, 3:], vis) for x, _ in seen.seen)


@pytest.mark.parametrize(
    "change",
    [
        {"variance": "fixed-large"},
        {"variance": "learned-range"},
        {"clamp_x0": True},
        {"discretisation": "euler-maruyama"},
        {"start": "noise"},
        {"start_step": 300},
        {"steps": 7},
        {"kernel": "bicubic"},
        {"cells": 4},
        {"reduction": "mean"},
        {"resample_source_noise": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_choice_changes_the_output_and_keeps_it_finite(change):
    networks, vis = fitted(SMALL), faces(2)
    plain, changed = (translate(method, vis, networks, [1, 2]) for method in (SMALL, replace(SMALL, **change)))
    assert changed.shape == vis.shape and changed.isfinite().all()
    assert (plain - changed).abs().max() > 1e-4


def test_no_steps_give_the_source_back():
    vis = faces(2)
    assert torch.equal(translate(replace(BASELINE, start_step=0, steps=None), vis, {"score": None}, [1, 2]), vis)


def test_a_landmark_network_is_needed_only_for_e_h():
    assert set(NFERSDE().networks()) == {"score", "heatmaps"}
    assert set(NFERSDE(lambda_h=0).networks()) == {"score"}


def test_rows_that_differ_in_energies_share_their_networks():
    rows = [NFERSDE(name=f"row {h} {f}", lambda_h=h, lambda_f=f) for h in (0.0, 100.0) for f in (0.0, 0.5)]
    assert len({row.networks()["score"] for row in rows}) == 1 and len(set(rows)) == 4
    assert NFERSDE(score=UNCONDITIONAL_SCORE, lambda_h=0, lambda_f=0).networks() == {"score": UNCONDITIONAL_SCORE}


def test_the_registered_value_has_the_weights_of_the_paper():
    (method,) = nferbench_translators()
    assert (method.name, method.lambda_h, method.lambda_f) == ("nfer-sde", 100, 0.5)
    assert (method.score.lr, method.score.batch_size, method.score.conditional) == (1e-5, 16, True)
    assert method.group == "diffusion" and not method.heterogeneous


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_step": 1001}, "start_step is 1001; allowed: 0 to 1000"),
        ({"steps": 501}, "steps is 501; allowed: 2 to 500"),
        ({"steps": 1}, "steps is 1; allowed: 2 to 500"),
        ({"steps": 1001, "start": "noise"}, "allowed: 2 to 1000"),
        ({"lambda_h": -1.0}, "lambda_h is -1.0"),
        ({"variance": "learned-range", "score": ScoreRecipe(learned_variance=False)}, "learned_variance"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(change, message):
    with pytest.raises(UsageError, match=message) as caught:
        NFERSDE(**change)
    assert "\n" not in str(caught.value)


def test_cells_must_divide_the_face():
    method = replace(SMALL, lambda_h=0, cells=5)
    with pytest.raises(UsageError, match="5 cells do not divide faces of 16 px"):
        translate(method, faces(1), {"score": Gaussian(torch.tensor(MU), 0.5)}, [1])


def test_listing_the_method_imports_neither_torch_nor_diffusers():
    program = "import sys, nferbench_methods.nfer_sde as m; m.nferbench_translators()[0].networks(); "
    program += "print([name for name in ('torch', 'diffusers', 'numpy') if name in sys.modules])"
    path = ":".join(sys.path)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert run.stdout.strip() == "[]", run.stderr
