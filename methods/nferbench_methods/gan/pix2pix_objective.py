"""The training of pix2pix: a conditional discriminator and a generator that also answers to an L1 loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from nferbench import Batch, Parts
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import discriminator_loss, generator_loss


@final
@dataclass(frozen=True, eq=False)
class Pix2PixObjective:
    """One discriminator and one generator update on the same generated batch (Isola et al. 2017)."""

    generator: nn.Module  # source (B, 3, H, W) to target (B, 3, H, W)
    discriminator: nn.Module  # source and target stacked on channels (B, 6, H, W) to logits
    generator_optimiser: Optimizer
    discriminator_optimiser: Optimizer
    l1_weight: float  # lambda of the paper, the weight of the mean absolute error
    jitter_ratio: float  # enlarged side / side of the random crops; 1 only flips
    tie_grey: bool  # show averaged, replicated channels of the output to both losses

    def update(self, batch: Batch, rng: Generator) -> Parts:
        """A step of the discriminator, then one of the generator; pairs are moved by `rng`."""
        # One draw for both images of a pair: moved apart they would no longer supervise each other.
        x, y = jitter(torch.cat([batch.vis, batch.nir], dim=1), rng, self.jitter_ratio).chunk(2, dim=1)
        fake = self.generator(x)
        if self.tie_grey:
            fake = fake.mean(dim=1, keepdim=True).expand_as(fake)
        yield self.discriminator_optimiser.step, self.judge(x, y, fake)
        yield self.generator_optimiser.step, self.improve(x, y, fake)

    def judge(self, x: Tensor, y: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Gradients of L_D; fake and real pass separately, so that each is normalised by itself."""
        self.discriminator.requires_grad_(True)
        fake_logits = self.discriminator(torch.cat([x, fake.detach()], dim=1))
        real_logits = self.discriminator(torch.cat([x, y], dim=1))
        loss = discriminator_loss(real_logits, fake_logits)
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        return {"discriminator": loss.detach()}

    def improve(self, x: Tensor, y: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Gradients of L_G against the discriminator as it is now."""
        self.discriminator.requires_grad_(False)
        adversarial = generator_loss(self.discriminator(torch.cat([x, fake], dim=1)))
        l1 = self.l1_weight * l1_loss(fake, y)
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(adversarial + l1)
        return {"adversarial": adversarial.detach(), "l1": l1.detach()}
