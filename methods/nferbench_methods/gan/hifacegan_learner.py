"""The training of HiFaceGAN: least squares, matched discriminator features, a perceptual distance; no pixel loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from nferbench import Batch, Learner
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
class HiFaceGANLearner(Learner):
    """One generator update, then one discriminator update on the same pairs with a new fake (authors' code).

    Args:
        generator: source (B, 3, H, W) in [0, 1] to target.
        discriminator: source and target stacked on channels (B, 6, H, W) to judgements.
        lr_generator: learning rate of the generator's Adam.
        lr_discriminator: learning rate of the discriminator's Adam.
        betas: of both Adam optimisers.
        rate: learning rates of update k (0-based) as a multiple of the initial ones.
        feature_weight: lambda_feat, of the matched features.
        perceptual_weight: lambda_vgg, of the perceptual distance.
        perceptual: images in [0, 1] to five maps; None leaves the term out.
        tie_grey: show averaged, replicated channels of the output to all losses.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        lr_generator: float,
        lr_discriminator: float,
        betas: tuple[float, float],
        rate: Callable[[int], float],
        feature_weight: float,
        perceptual_weight: float,
        perceptual: Features | None,
        tie_grey: bool,
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._generator_optimiser = Adam(generator.parameters(), lr=lr_generator, betas=betas)
        self._discriminator_optimiser = Adam(discriminator.parameters(), lr=lr_discriminator, betas=betas)
        self._rates = {self._generator_optimiser: lr_generator, self._discriminator_optimiser: lr_discriminator}
        self._stateful: dict[str, nn.Module | Adam] = {
            "generator": self._generator,
            "discriminator": self._discriminator,
            "generator_optimiser": self._generator_optimiser,
            "discriminator_optimiser": self._discriminator_optimiser,
        }
        self._rate = rate
        self._feature_weight = feature_weight
        self._perceptual_weight = perceptual_weight
        self._perceptual = perceptual
        self._tie_grey = tie_grey

    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        self._generator.train()
        self._discriminator.train()
        for optimiser, lr in self._rates.items():
            for group in optimiser.param_groups:
                group["lr"] = lr * self._rate(k)
        pair = jitter(torch.cat([batch.vis, batch.nir], dim=1), rng, ratio=1)  # only flips, both images alike
        u, y = ((pair + 1) / 2).chunk(2, dim=1)
        return self.update_generator(u, y) | self.update_discriminator(u, y)

    def update_generator(self, u: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Take one step on L_adv + lambda_feat L_FM + lambda_vgg L_VGG; images are in [0, 1]."""
        self._discriminator.requires_grad_(False)
        g = self._generate(u)
        fake, real = self._judge(u, g, y)
        losses = {
            "adversarial": adversarial_loss(fake),
            "features": self._feature_weight * feature_matching(fake, real),
        }
        if self._perceptual is not None:
            losses["perceptual"] = self._perceptual_weight * perceptual_loss(self._perceptual, g, y)
        self._generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        self._generator_optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def update_discriminator(self, u: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Take one step on L_D against what the generator, as it is now, makes of the sources; images are in [0, 1]."""
        self._discriminator.requires_grad_(True)
        with torch.no_grad():
            g = self._generate(u)
        loss = judging_loss(*self._judge(u, g, y))
        self._discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._discriminator_optimiser.step()
        return {"discriminator": loss.detach()}

    def _generate(self, u: Tensor) -> Tensor:
        g: Tensor = self._generator(u)
        return g.mean(dim=1, keepdim=True).expand_as(g) if self._tie_grey else g

    def _judge(self, u: Tensor, g: Tensor, y: Tensor) -> tuple[list[Judgement], list[Judgement]]:
        """Judgements of the fake and the real images from one forward, which advances the spectral norms once."""
        stacked = torch.cat([torch.cat([u, g], dim=1), torch.cat([u, y], dim=1)])
        halves = [judgement.halves() for judgement in self._discriminator(stacked)]
        return [fake for fake, _ in halves], [real for _, real in halves]

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._stateful.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])

    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self._generator, "discriminator": self._discriminator}

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._generator.state_dict().items()}
