"""What a noise predictor learns: the noise error and the variational bound."""

from __future__ import annotations

import io
import math

import pytest
import torch

from nferbench import Batch, FaceSpec
from nferbench_methods.diffusion.loss import variational_bound
from nferbench_methods.diffusion.schedule import linear_schedule, perturb_each, previous
from nferbench_methods.diffusion.score import ScoreRecipe

TINY = ScoreRecipe(width=8, multipliers=(1, 2), res_blocks=1, attention=(8,), batch_size=4, steps=10, lr=1e-3)


def example(k):
    generator = torch.Generator().manual_seed(0)
    shape = (len(k), 3, 4, 4)
    x_0 = ((torch.rand(shape, generator=generator, dtype=torch.float64) * 255).round() / 127.5) - 1
    e, eps, v = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    return x_0, e, e + 0.3 * eps, 0.5 * v


def test_the_bound_is_the_divergence_of_the_two_gaussians():
    schedule, k = linear_schedule(), torch.tensor([1, 17, 500, 999])
    x_0, e, eps, v = example(k)
    x = perturb_each(x_0, e, schedule, k)

    def pick(table):
        return table[k].view(-1, 1, 1, 1)

    beta, level, before = pick(schedule.beta), pick(schedule.alpha_bar), pick(previous(schedule.alpha_bar))
    predicted = (x - (1 - level).sqrt() * eps) / level.sqrt()

    def posterior_mean(clean):
        return (before.sqrt() * beta * clean + (1 - beta).sqrt() * (1 - before) * x) / (1 - level)

    small = beta * (1 - before) / (1 - level)
    variance = torch.exp((1 + v) / 2 * beta.log() + (1 - v) / 2 * small.log())
    true = torch.distributions.Normal(posterior_mean(x_0), small.sqrt().expand_as(x))
    model = torch.distributions.Normal(posterior_mean(predicted), variance.sqrt())
    expected = torch.distributions.kl_divergence(true, model).mean((1, 2, 3)) / math.log(2)
    assert torch.allclose(variational_bound(eps, v, e, x_0, schedule, k), expected, rtol=1e-7)


def test_at_the_last_step_the_bound_is_the_likelihood_of_8_bit_values():
    schedule, k = linear_schedule(), torch.zeros(1, dtype=torch.long)
    values = (torch.arange(256, dtype=torch.float64) / 127.5 - 1).view(1, 1, 16, 16)
    e, v = torch.zeros_like(values), torch.full_like(values, 0.4)
    probabilities = []
    for mean in (-0.998, 0.1):  # at step 0 the network's mean is the clean image that it predicts
        level = schedule.alpha_bar[0]
        eps = (level.sqrt() * (values - mean)) / (1 - level).sqrt()
        single = [
            variational_bound(
                eps[..., i, j, None, None], v[..., :1, :1], e[..., :1, :1], values[..., i, j, None, None], schedule, k
            )
            for i in range(16)
            for j in range(16)
        ]
        probabilities.append(sum(2 ** -bits.item() for bits in single))
    assert probabilities == pytest.approx([1, 1], abs=1e-8)  # a distribution over all 256 values


def test_a_perfect_network_with_the_smallest_variance_has_no_divergence():
    schedule, k = linear_schedule(), torch.tensor([1, 300, 999])
    x_0, e, _, v = example(k)
    assert variational_bound(e, torch.full_like(v, -1), e, x_0, schedule, k).abs().max() < 1e-12
    assert (variational_bound(e, torch.ones_like(v), e, x_0, schedule, k)[:1] > 0.01).all()


def test_no_gradient_of_the_bound_reaches_the_noise():
    schedule, k = linear_schedule(), torch.tensor([0, 1, 999])
    x_0, e, eps, v = example(k)
    eps.requires_grad_(), v.requires_grad_()
    variational_bound(eps, v, e, x_0, schedule, k).sum().backward()
    assert eps.grad is None and v.grad.abs().min() > 0


def batch(n=4, size=16):
    generator = torch.Generator().manual_seed(3)
    vis = torch.rand(n, 3, size, size, generator=generator) * 2 - 1
    return Batch(vis, vis.mean(1, keepdim=True).expand_as(vis).neg().contiguous())


def test_a_new_network_has_unit_noise_error_and_a_finite_bound():
    network = TINY.build(FaceSpec(16))
    learner = TINY.learner(network, FaceSpec(16), pairs=64)
    losses = learner.step(batch(64), torch.Generator().manual_seed(0), 0)
    assert set(losses) == {"noise", "bound"}
    assert losses["noise"].item() == pytest.approx(1, abs=0.02)
    assert math.isfinite(losses["bound"].item()) and not any(loss.requires_grad for loss in losses.values())


@pytest.mark.parametrize("conditional", [True, False])
def test_learning_lowers_the_noise_error(conditional):
    torch.manual_seed(0)
    recipe = ScoreRecipe(**{**vars(TINY), "conditional": conditional, "lr": 3e-3, "ema": 0.9 if conditional else 0.0})
    network = recipe.build(FaceSpec(16))
    learner = recipe.learner(network, FaceSpec(16), pairs=8)
    losses = [learner.step(batch(8), torch.Generator().manual_seed(k), k)["noise"].item() for k in range(40)]
    assert sum(losses[-10:]) / 10 < 0.7 * losses[0]
    assert learner.weights().keys() == network.state_dict().keys()


def test_a_resumed_training_goes_on_to_the_bit():
    def steps(learner, which):
        for k in which:
            torch.manual_seed(k)
            learner.step(batch(), torch.Generator().manual_seed(k), k)

    recipe = ScoreRecipe(**{**vars(TINY), "ema": 0.99, "dropout": 0.1, "flip": True})
    torch.manual_seed(0)
    whole = recipe.learner(recipe.build(FaceSpec(16)), FaceSpec(16), 4)
    steps(whole, range(3))
    resumed = recipe.learner(recipe.build(FaceSpec(16)), FaceSpec(16), 4)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    steps(whole, range(3, 6)), steps(resumed, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole.weights().values(), resumed.weights().values(), strict=True))


def test_vis_and_nir_are_mirrored_together():
    """NIR is minus the grey VIS; if that still holds for what the network sees, both had the same fate."""
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, t):
            seen.append((x, t))
            return self.scale * x[:, :3], None

    recipe = ScoreRecipe(**{**vars(TINY), "flip": True})
    given = batch(16)
    recipe.learner(Spy(), FaceSpec(16), 16).step(given, torch.Generator().manual_seed(0), 0)
    (x, k), level = seen[0], linear_schedule().alpha_bar
    vis = x[:, 3:]
    kept = (vis == given.vis).flatten(1).all(1)
    assert torch.equal(vis[~kept], given.vis[~kept].flip(-1)) and 0 < kept.sum() < 16
    strength = level[k].sqrt().float()
    for i in torch.where(level[k] > 0.8)[0]:
        nir = -vis[i].mean(0, keepdim=True).expand(3, -1, -1)
        other = nir.flip(-1)
        assert (x[i, :3] - strength[i] * nir).square().mean() < (x[i, :3] - strength[i] * other).square().mean()


def test_updates_are_those_of_the_recipe_whatever_the_number_of_pairs():
    assert ScoreRecipe().updates(100) == ScoreRecipe().updates(10_000) == 100_000
