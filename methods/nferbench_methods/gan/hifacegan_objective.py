"""The training of HiFaceGAN: least squares, matched discriminator features, a perceptual distance; no pixel loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from nferbench import Batch, Parts
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import least_squares
from nferbench_methods.gan.multiscale import Judgement
from nferbench_methods.gan.vgg import Features, perceptual_loss


def adversarial_loss(fake: Sequence[Judgement]) -> Tensor:
    """L_adv: fake scores to 1, a mean over the discriminators."""
    return torch.stack([least_squares(judgement.scores, 1.0) for judgement in fake]).mean()


def judging_loss(fake: Sequence[Judgement], real: Sequence[Judgement]) -> Tensor:
    """L_D: fake scores to 0 and real ones to 1, a mean over the discriminators and not halved."""
    to_zero = torch.stack([least_squares(judgement.scores, 0.0) for judgement in fake]).mean()
    to_one = torch.stack([least_squares(judgement.scores, 1.0) for judgement in real]).mean()
    return to_zero + to_one


def feature_matching(fake: Sequence[Judgement], real: Sequence[Judgement]) -> Tensor:
    """Mean absolute distance of activations, summed over layers, a mean over the discriminators; scores have no part.

    No gradient reaches the real side.
    """
    distances = [
        l1_loss(mine, target.detach())
        for f, r in zip(fake, real, strict=True)
        for mine, target in zip(f.activations, r.activations, strict=True)
    ]
    return torch.stack(distances).sum() / len(fake)


@final
@dataclass(frozen=True, eq=False)
class HiFaceGANObjective:
    """One generator update, then one discriminator update on the same pairs with a new fake (authors' code)."""

    generator: nn.Module  # source (B, 3, H, W) in [0, 1] to target
    discriminator: nn.Module  # source and target stacked on channels (B, 6, H, W) to judgements
    generator_optimiser: Optimizer
    discriminator_optimiser: Optimizer
    feature_weight: float  # lambda_feat, of the matched features
    perceptual_weight: float  # lambda_vgg, of the perceptual distance
    perceptual: Features | None  # images in [0, 1] to five maps; None leaves the term out
    tie_grey: bool  # show averaged, replicated channels of the output to all losses

    def update(self, batch: Batch, rng: Generator) -> Parts:
        """A step of the generator, then one of the discriminator; pairs are flipped by `rng`."""
        pair = jitter(torch.cat([batch.vis, batch.nir], dim=1), rng, ratio=1)  # only flips, both images alike
        u, y = ((pair + 1) / 2).chunk(2, dim=1)
        yield self.generator_optimiser.step, self.improve(u, y)
        yield self.discriminator_optimiser.step, self.judge(u, y)

    def improve(self, u: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Gradients of L_adv + lambda_feat L_FM + lambda_vgg L_VGG; images are in [0, 1]."""
        self.discriminator.requires_grad_(False)
        g = self._generate(u)
        fake, real = self._judgements(u, g, y)
        losses = {
            "adversarial": adversarial_loss(fake),
            "features": self.feature_weight * feature_matching(fake, real),
        }
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual_weight * perceptual_loss(self.perceptual, g, y)
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def judge(self, u: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Gradients of L_D against what the generator, as it is now, makes of the sources; images are in [0, 1]."""
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            g = self._generate(u)
        loss = judging_loss(*self._judgements(u, g, y))
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        return {"discriminator": loss.detach()}

    def _generate(self, u: Tensor) -> Tensor:
        g: Tensor = self.generator(u)
        return g.mean(dim=1, keepdim=True).expand_as(g) if self.tie_grey else g

    def _judgements(self, u: Tensor, g: Tensor, y: Tensor) -> tuple[list[Judgement], list[Judgement]]:
        """Judgements of the fake and the real images from one forward, which advances the spectral norms once."""
        stacked = torch.cat([torch.cat([u, g], dim=1), torch.cat([u, y], dim=1)])
        halves = [judgement.halves() for judgement in self.discriminator(stacked)]
        return [fake for fake, _ in halves], [real for _, real in halves]
