"""The training of pix2pix: a conditional discriminator and a generator that also answers to an L1 loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from nferbench import Batch, Learner
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import discriminator_loss, generator_loss


@final
class Pix2PixLearner(Learner):
    """Alternate one discriminator and one generator update on the same generated batch (Isola et al. 2017).

    Args:
        generator: source (B, 3, H, W) to target (B, 3, H, W).
        discriminator: source and target stacked on channels (B, 6, H, W) to logits.
        lr: learning rate of both Adam optimisers.
        betas: of both Adam optimisers.
        rate: learning rate of update k (0-based) as a multiple of `lr`.
        l1_weight: lambda of the paper, the weight of the mean absolute error.
        jitter_ratio: enlarged side / side of the random crops; 1 only flips.
        tie_grey: show averaged, replicated channels of the output to both losses.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        lr: float,
        betas: tuple[float, float],
        rate: Callable[[int], float],
        l1_weight: float,
        jitter_ratio: float,
        tie_grey: bool,
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._generator_optimiser = Adam(generator.parameters(), lr=lr, betas=betas)
        self._discriminator_optimiser = Adam(discriminator.parameters(), lr=lr, betas=betas)
        self._stateful: dict[str, nn.Module | Adam] = {
            "generator": self._generator,
            "discriminator": self._discriminator,
            "generator_optimiser": self._generator_optimiser,
            "discriminator_optimiser": self._discriminator_optimiser,
        }
        self._lr = lr
        self._rate = rate
        self._l1_weight = l1_weight
        self._jitter_ratio = jitter_ratio
        self._tie_grey = tie_grey

    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        self._generator.train()
        self._discriminator.train()
        for optimiser in (self._generator_optimiser, self._discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = self._lr * self._rate(k)
        # One draw for both images of a pair: moved apart they would no longer supervise each other.
        x, y = jitter(torch.cat([batch.vis, batch.nir], dim=1), rng, self._jitter_ratio).chunk(2, dim=1)
        fake = self._generator(x)
        if self._tie_grey:
            fake = fake.mean(dim=1, keepdim=True).expand_as(fake)
        return self.update_discriminator(x, y, fake) | self.update_generator(x, y, fake)

    def update_discriminator(self, x: Tensor, y: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Take one step on L_D; fake and real pass separately, so that each is normalised by itself."""
        self._discriminator.requires_grad_(True)
        fake_logits = self._discriminator(torch.cat([x, fake.detach()], dim=1))
        real_logits = self._discriminator(torch.cat([x, y], dim=1))
        loss = discriminator_loss(real_logits, fake_logits)
        self._discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._discriminator_optimiser.step()
        return {"discriminator": loss.detach()}

    def update_generator(self, x: Tensor, y: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Take one step on L_G against the discriminator as it is now."""
        self._discriminator.requires_grad_(False)
        adversarial = generator_loss(self._discriminator(torch.cat([x, fake], dim=1)))
        l1 = self._l1_weight * l1_loss(fake, y)
        self._generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(adversarial + l1)
        self._generator_optimiser.step()
        return {"adversarial": adversarial.detach(), "l1": l1.detach()}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._stateful.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])

    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self._generator, "discriminator": self._discriminator}

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._generator.state_dict().items()}
