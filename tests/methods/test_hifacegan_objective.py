"""One update of HiFaceGAN with stubs for its networks: what they are shown, in which order, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import Adam

from nferbench import Batch
from nferbench_methods.gan.adversarial import AdversarialLearner
from nferbench_methods.gan.hifacegan_objective import HiFaceGANObjective
from nferbench_methods.gan.multiscale import Judgement


class Offset(nn.Module):
    """A generator that returns a constant image; it records what it was shown, its value and whether gradients flow."""

    def __init__(self, value: tuple[float, float, float]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.calls = []

    def forward(self, u):
        self.calls.append((u.clone(), self.value.detach().clone(), torch.is_grad_enabled()))
        return self.value[:, None, None].expand_as(u)


class Slope(nn.Module):
    """Discriminators whose scores are w times the mean of the target and whose activations are the target."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.shown = []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        target = x[:, 3:]
        score = self.w * target.mean(dim=(1, 2, 3), keepdim=True)
        return [Judgement((target,) * 4, score)] * 2


def stubbed(value=(0.2, 0.2, 0.2), w=0.0, perceptual=None, tie_grey=False, lr=0.1):
    generator, discriminator = Offset(value), Slope(w)
    optimisers = {
        "generator_optimiser": Adam(generator.parameters(), lr=lr, betas=(0.0, 0.9)),
        "discriminator_optimiser": Adam(discriminator.parameters(), lr=4 * lr, betas=(0.0, 0.9)),
    }
    objective = HiFaceGANObjective(
        generator,
        discriminator,
        **optimisers,
        feature_weight=10.0,
        perceptual_weight=10.0,
        perceptual=perceptual,
        tie_grey=tie_grey,
    )
    networks = {"generator": generator, "discriminator": discriminator}
    return generator, discriminator, AdversarialLearner(networks, optimisers, objective.update, rate=lambda k: 1.0)


def constant_pair(nir: float) -> Batch:
    return Batch(vis=torch.full((2, 3, 8, 8), 0.5), nir=torch.full((2, 3, 8, 8), nir))


def test_losses_are_logged_by_name_and_weighted():
    _, _, learner = stubbed((0.5, 0.5, 0.5), lr=0.0, perceptual=lambda images: [images] * 5)
    losses = learner.step(constant_pair(0.2), torch.Generator(), 0)  # NIR is 0.6 in [0, 1], the fake 0.1 below it
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"adversarial": 1.0, "features": 10 * 4 * 0.1, "perceptual": 10 * 1.46875 * 0.1, "discriminator": 1.0}
    )
    assert all(loss.ndim == 0 and not loss.requires_grad for loss in losses.values())


def test_without_a_perceptual_network_the_term_is_absent_and_no_pixel_loss_takes_its_place():
    _, _, learner = stubbed(lr=0.0)
    assert set(learner.step(constant_pair(0.2), torch.Generator(), 0)) == {"adversarial", "features", "discriminator"}


def test_all_networks_see_images_between_zero_and_one():
    seen = []
    generator, discriminator, learner = stubbed(perceptual=lambda images: seen.append(images) or [images] * 5, lr=0.0)
    vis = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    learner.step(Batch(vis=vis, nir=-vis), torch.Generator(), 0)
    u, y = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    assert torch.equal(generator.calls[0][0][:, 0, 0, 0], u)
    assert torch.equal(discriminator.shown[0][:, 0, 0, 0], torch.cat([u, u]))
    assert torch.equal(discriminator.shown[0][2:, 3, 0, 0], y)
    assert any(torch.equal(images[:, 0, 0, 0], y) for images in seen)  # as they are, without ImageNet's statistics


def test_the_discriminator_answers_to_a_new_fake_of_the_updated_generator_on_the_same_pairs():
    generator, discriminator, learner = stubbed()
    losses = learner.step(constant_pair(1.0), torch.Generator(), 0)
    (first, before, with_gradient), (second, after, again_with_gradient) = generator.calls
    assert torch.equal(first, second)
    assert (with_gradient, again_with_gradient) == (True, False)
    assert after.tolist() == pytest.approx([0.3] * 3)  # one step of Adam towards the real features at 1
    of_generator, of_discriminator = discriminator.shown
    assert torch.allclose(of_generator[:2, 3:], before[:, None, None].expand(2, 3, 8, 8))
    assert torch.allclose(of_discriminator[:2, 3:], after[:, None, None].expand(2, 3, 8, 8))
    assert torch.equal(of_generator[2:], of_discriminator[2:])
    assert losses["features"].item() == pytest.approx(10 * 4 * 0.8)


def test_fake_and_real_are_judged_in_one_batch_beside_their_source():
    _, discriminator, learner = stubbed(lr=0.0)
    learner.step(constant_pair(1.0), torch.Generator(), 0)
    assert len(discriminator.shown) == 2
    for shown in discriminator.shown:
        assert shown.shape == (4, 6, 8, 8)
        assert shown[:, :3].unique().tolist() == [0.75]
        assert [row[3:].unique().item() for row in shown] == pytest.approx([0.2, 0.2, 1.0, 1.0])


def test_fakes_are_drawn_to_zero_and_real_ones_to_one():
    _, _, learner = stubbed((0.5, 0.5, 0.5), w=1.0, lr=0.0)
    losses = learner.step(constant_pair(1.0), torch.Generator(), 0)  # scores: fake 0.5, real 1
    assert losses["discriminator"].item() == pytest.approx(0.25)
    assert losses["adversarial"].item() == pytest.approx(0.25)
    _, _, learner = stubbed((0.0, 0.0, 0.0), w=0.5, lr=0.0)
    losses = learner.step(constant_pair(1.0), torch.Generator(), 0)  # scores: fake 0, real 0.5
    assert losses["discriminator"].item() == pytest.approx(0.25)
    assert losses["adversarial"].item() == pytest.approx(1.0)


def test_faces_are_only_flipped_and_both_of_a_pair_alike():
    generator, discriminator, learner = stubbed(lr=0.0)
    vis = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    learner.step(Batch(vis, vis), torch.Generator().manual_seed(1), 0)
    u = generator.calls[0][0]
    flipped = [torch.equal(moved, image.flip(2)) for moved, image in zip(u, (vis + 1) / 2, strict=True)]
    kept = [torch.equal(moved, image) for moved, image in zip(u, (vis + 1) / 2, strict=True)]
    assert any(flipped) and any(kept)
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert torch.equal(discriminator.shown[0][8:, 3:], u)


def test_tied_channels_reach_all_losses_as_grey():
    seen = []
    _, discriminator, learner = stubbed(
        (0.0, 0.3, 0.6), perceptual=lambda images: seen.append(images) or [images] * 5, tie_grey=True, lr=0.0
    )
    losses = learner.step(constant_pair(-0.4), torch.Generator(), 0)
    for shown in discriminator.shown:
        assert torch.allclose(shown[:2, 3:], torch.full((2, 3, 8, 8), 0.3))
    assert losses["features"].item() == pytest.approx(0, abs=1e-5)
    assert losses["perceptual"].item() == pytest.approx(0, abs=1e-5)
    assert all(torch.allclose(images, torch.full((2, 3, 8, 8), 0.3)) for images in seen)
    assert stubbed((0.0, 0.3, 0.6), lr=0.0)[2].step(constant_pair(-0.4), torch.Generator(), 0)["features"] > 1
