"""An update of CycleGAN, on networks whose losses can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from nferbench import Batch
from nferbench_methods.gan.adversarial import AdversarialLearner
from nferbench_methods.gan.cyclegan_objective import CycleGANObjective
from nferbench_methods.gan.losses import least_squares
from nferbench_methods.gan.pool import ImagePool


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Shift(nn.Module):
    """A generator that adds a constant to each channel; it records what it was shown."""

    def __init__(self, *by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        return x + self.by[:, None, None]


class Score(nn.Module):
    """A discriminator that gives every patch one score; it records what it was shown and whether it was frozen."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))
        self.slope = nn.Parameter(torch.tensor(0.0))
        self.shown: list[Tensor] = []
        self.frozen: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        self.frozen.append(not any(parameter.requires_grad for parameter in self.parameters()))
        return self.score + self.slope * x.mean(dim=1, keepdim=True)[..., :2, :2]


SETTINGS = {
    "cycle_weight": 10.0,
    "identity_weight": 0.5,
    "jitter_ratio": 1.0,
    "tie_grey": False,
    "grey_source": False,
}


def stubbed(to_nir=0.0, to_vis=0.0, score=0.5, lr=0.0, pool=0, **changes):
    nets = [Shift(*[by] * 3 if isinstance(by, float) else by) for by in (to_nir, to_vis)] + [Score(score), Score(score)]
    optimisers = [
        Adam([*one.parameters(), *other.parameters()], lr=lr, betas=(0.5, 0.999)) for one, other in (nets[:2], nets[2:])
    ]
    pools = [ImagePool(pool), ImagePool(pool)]
    objective = CycleGANObjective(*nets, *optimisers, *pools, **{**SETTINGS, **changes})
    networks = dict(zip(("generator", "inverse", "nir_discriminator", "vis_discriminator"), nets, strict=True))
    named = dict(zip(("generator_optimiser", "discriminator_optimiser"), optimisers, strict=True))
    further = dict(zip(("nir_pool", "vis_pool"), pools, strict=True))
    return *nets, AdversarialLearner(networks, named, objective.update, rate=lambda k: 1.0, further=further)


def flat(vis: float = 0.5, nir: float = -0.2, count: int = 2) -> Batch:
    """Constant images, VIS and NIR of different brightness."""
    return Batch(vis=torch.full((count, 3, 8, 8), vis), nir=torch.full((count, 3, 8, 8), nir))


def losses_of(**stubs) -> dict[str, float]:
    *_, learner = stubbed(**stubs)
    losses = learner.step(flat(), torch.Generator(), 0)
    assert all(loss.ndim == 0 and not loss.requires_grad for loss in losses.values())
    return {name: loss.item() for name, loss in losses.items()}


def test_least_squares_is_the_mean_squared_distance_of_raw_scores():
    scores = torch.tensor([[3.0, -1.0], [0.0, 2.0]])
    assert least_squares(scores, 1.0).item() == pytest.approx((4 + 4 + 1 + 1) / 4)
    assert least_squares(scores, 0.0).item() == pytest.approx((9 + 1 + 0 + 4) / 4)


def test_generators_that_change_nothing_have_neither_cycle_nor_identity_loss():
    losses = losses_of()
    assert all(losses[name] == 0 for name in ("cycle_vis", "cycle_nir", "identity_vis", "identity_nir"))


@pytest.mark.parametrize(("score", "judged", "adversarial"), [(0.5, 0.25, 0.25), (0.0, 0.5, 1.0), (1.0, 0.5, 0.0)])
def test_constant_scores_cost_their_squared_distances(score, judged, adversarial):
    losses = losses_of(score=score)
    for domain in ("nir", "vis"):
        assert losses[f"discriminator_{domain}"] == pytest.approx(judged)
        assert losses[f"adversarial_{domain}"] == pytest.approx(adversarial)


@pytest.mark.parametrize(("to_nir", "to_vis"), [(0.0, 0.1), (0.1, -0.1), (0.2, 0.1)])
def test_a_tenth_costs_one_in_the_cycle_and_a_half_in_the_identity_of_its_own_domain(to_nir, to_vis):
    # VIS and NIR are 0.7 apart: G(v) against n, which would be supervision, would cost 3.5 and more.
    losses = losses_of(to_nir=to_nir, to_vis=to_vis)
    for domain in ("vis", "nir"):
        assert losses[f"cycle_{domain}"] == pytest.approx(10 * abs(to_nir + to_vis), abs=1e-5)
    assert losses["identity_nir"] == pytest.approx(5 * abs(to_nir), abs=1e-5)
    assert losses["identity_vis"] == pytest.approx(5 * abs(to_vis), abs=1e-5)


def test_without_identity_loss_each_generator_runs_twice_instead_of_three_times():
    for weight, calls in ((0.5, 3), (0.0, 2)):
        to_nir, to_vis, *_, learner = stubbed(identity_weight=weight)
        losses = learner.step(flat(), torch.Generator(), 0)
        assert len(to_nir.shown) == len(to_vis.shown) == calls
        assert ("identity_nir" in losses) == ("identity_vis" in losses) == bool(weight)


def test_each_generator_is_sent_the_other_domain_then_the_way_back_then_its_own():
    to_nir, to_vis, *_, learner = stubbed(to_nir=0.1, to_vis=0.25)
    learner.step(flat(vis=0.5, nir=-0.2), torch.Generator(), 0)
    assert [shown.mean().item() for shown in to_nir.shown] == pytest.approx([0.5, -0.2 + 0.25, -0.2])
    assert [shown.mean().item() for shown in to_vis.shown] == pytest.approx([-0.2, 0.5 + 0.1, 0.5])


def test_discriminators_judge_single_images_of_their_domain_and_the_fakes_made_before_the_generators_moved():
    to_nir, to_vis, nir_judge, vis_judge, learner = stubbed(to_nir=0.1, to_vis=0.25, lr=0.05)
    learner.step(flat(vis=0.5, nir=-0.2), torch.Generator(), 0)
    assert to_nir.by.sub(0.1).abs().min() > 0.01 and to_vis.by.sub(0.25).abs().min() > 0.01
    for judge, real, fake in ((nir_judge, -0.2, 0.5 + 0.1), (vis_judge, 0.5, -0.2 + 0.25)):
        assert all(shown.shape == (2, 3, 8, 8) for shown in judge.shown)
        assert [shown.mean().item() for shown in judge.shown] == pytest.approx([fake, real, fake])
        assert judge.frozen == [True, False, False]


def test_generators_answer_to_the_discriminators_as_they_were():
    *_, nir_judge, _, learner = stubbed(lr=0.1)
    nir_judge.slope.data.fill_(0.5)
    losses = learner.step(flat(vis=0.5), torch.Generator(), 0)
    assert losses["adversarial_nir"].item() == pytest.approx((0.5 + 0.5 * 0.5 - 1) ** 2)
    assert nir_judge.score.item() != 0.5


def test_only_the_discriminator_update_sees_older_fakes_and_each_domain_has_its_own():
    _, _, nir_judge, vis_judge, learner = stubbed(pool=1)
    rng = torch.Generator()
    vis, nir = [0.01 * (k + 1) for k in range(24)], [-0.01 * (k + 1) for k in range(24)]
    for k in range(24):
        rng.manual_seed(k)
        learner.step(flat(vis[k], nir[k], count=1), rng, k)
    for judge, made in ((nir_judge, vis), (vis_judge, nir)):
        values = [shown.mean().item() for shown in judge.shown]
        assert values[0::3] == pytest.approx(made)
        old = [not np.isclose(value, now) for value, now in zip(values[2::3], made, strict=True)]
        assert 4 < sum(old) < 20
        assert all(
            min(abs(value - earlier) for earlier in made[: k + 1]) < 1e-6 for k, value in enumerate(values[2::3])
        )
    exchanged = [
        [not np.isclose(a.mean(), b.mean()) for a, b in zip(judge.shown[0::3], judge.shown[2::3], strict=True)]
        for judge in (nir_judge, vis_judge)
    ]
    assert exchanged[0] != exchanged[1]


def test_tied_channels_reach_every_loss_as_grey_in_the_nir_domain_only():
    _, to_vis, nir_judge, vis_judge, learner = stubbed(to_nir=(-0.3, 0.0, 0.6), to_vis=(0.1, 0.2, 0.3), tie_grey=True)
    losses = learner.step(flat(), torch.Generator(), 0)
    for grey in (nir_judge.shown[0], nir_judge.shown[2], to_vis.shown[1]):
        assert grey.std(dim=1).max() < 1e-6
    assert vis_judge.shown[0].std(dim=1).min() > 0.05
    assert losses["identity_nir"].item() == pytest.approx(5 * 0.1, rel=1e-4)  # the mean shift; apart it is 5 * 0.3
    assert losses["cycle_nir"].item() == pytest.approx(10 * 0.3, rel=1e-4)


def test_the_generators_descend_the_sum_of_their_six_losses():
    # Networks that add a number each make the objective a function of two numbers: its slopes by central differences.
    def objective(a: float, b: float) -> float:
        *_, nir_judge, vis_judge, learner = stubbed(to_nir=a, to_vis=b)
        for judge in (nir_judge, vis_judge):
            judge.slope.data.fill_(0.7)
        losses = learner.step(flat(), torch.Generator(), 0)
        return sum(loss.item() for name, loss in losses.items() if not name.startswith("discriminator"))

    to_nir, to_vis, nir_judge, vis_judge, learner = stubbed(to_nir=0.3, to_vis=0.2)
    for judge in (nir_judge, vis_judge):
        judge.slope.data.fill_(0.7)
    learner.step(flat(), torch.Generator(), 0)
    h = 1e-2
    slopes = [(objective(0.3 + h, 0.2) - objective(0.3 - h, 0.2)), (objective(0.3, 0.2 + h) - objective(0.3, 0.2 - h))]
    got = [network.by.grad.sum().item() for network in (to_nir, to_vis)]
    assert got == pytest.approx([slope / (2 * h) for slope in slopes], rel=1e-3)


def test_identical_faces_of_both_domains_are_jittered_apart():
    images = noise(6, 3, 64, 64)
    *_, nir_judge, vis_judge, learner = stubbed(jitter_ratio=286 / 256)
    learner.step(Batch(images, images), torch.Generator().manual_seed(1), 0)
    n, v = nir_judge.shown[1], vis_judge.shown[1]
    assert not any(torch.equal(a, b) for a, b in zip(n, v, strict=True))
    for moved in (n, v):  # more than a flip
        assert not any(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(moved, images, strict=True))


def test_flips_of_both_domains_agree_half_of_the_time():
    count = 400
    images = noise(1, 3, 8, 8).expand(count, 3, 8, 8)
    *_, nir_judge, vis_judge, learner = stubbed(jitter_ratio=1.0)
    learner.step(Batch(images, images), torch.Generator().manual_seed(0), 0)
    agree = [torch.equal(a, b) for a, b in zip(nir_judge.shown[1], vis_judge.shown[1], strict=True)]
    assert sum(agree) / count == pytest.approx(0.5, abs=0.08)
