"""The training of CycleGAN: two generators that undo each other, and a discriminator in each domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from nferbench import Batch, Learner, grey, luma
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import least_squares
from nferbench_methods.gan.pool import ImagePool


@final
class CycleGANLearner(Learner):
    """Alternate one update of both generators and one of both discriminators (Zhu et al. 2017, Eqs. 1-3, Section 4).

    In the formulas G maps VIS to NIR and F back, D_N judges NIR and D_V VIS images, v and n are faces of unrelated
    people and expressions.

    Args:
        generator: G, (B, 3, H, W) to (B, 3, H, W); the fitted network.
        inverse: F, likewise.
        nir_discriminator: D_N, (B, 3, H, W) to patch scores.
        vis_discriminator: D_V, likewise.
        lr: learning rate of both Adam optimisers.
        betas: of both Adam optimisers.
        rate: learning rate of update k (0-based) as a multiple of `lr`.
        cycle_weight: lambda of the paper, the weight of |F(G(v)) - v| and |G(F(n)) - n|.
        identity_weight: weight of |G(n) - n| and |F(v) - v| as a multiple of `cycle_weight`; 0 leaves both out.
        pool: generated images that each discriminator's pool keeps; 0 shows it the newest only.
        jitter_ratio: enlarged side / side of the random crops; 1 only flips.
        tie_grey: average and replicate the channels of whatever G gives, before anything sees it.
        grey_source: train on the luma of the VIS faces.
    """

    def __init__(
        self,
        generator: nn.Module,
        inverse: nn.Module,
        nir_discriminator: nn.Module,
        vis_discriminator: nn.Module,
        *,
        lr: float,
        betas: tuple[float, float],
        rate: Callable[[int], float],
        cycle_weight: float,
        identity_weight: float,
        pool: int,
        jitter_ratio: float,
        tie_grey: bool,
        grey_source: bool,
    ) -> None:
        self._generator = generator
        self._inverse = inverse
        self._nir_discriminator = nir_discriminator
        self._vis_discriminator = vis_discriminator
        self._generator_optimiser = Adam(chain(generator.parameters(), inverse.parameters()), lr=lr, betas=betas)
        self._discriminator_optimiser = Adam(
            chain(nir_discriminator.parameters(), vis_discriminator.parameters()), lr=lr, betas=betas
        )
        self._nir_pool = ImagePool(pool)
        self._vis_pool = ImagePool(pool)
        self._stateful: dict[str, nn.Module | Adam | ImagePool] = {
            "generator": generator,
            "inverse": inverse,
            "nir_discriminator": nir_discriminator,
            "vis_discriminator": vis_discriminator,
            "generator_optimiser": self._generator_optimiser,
            "discriminator_optimiser": self._discriminator_optimiser,
            "nir_pool": self._nir_pool,
            "vis_pool": self._vis_pool,
        }
        self._lr = lr
        self._rate = rate
        self._cycle_weight = cycle_weight
        self._identity_weight = identity_weight
        self._jitter_ratio = jitter_ratio
        self._tie_grey = tie_grey
        self._grey_source = grey_source

    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        for optimiser in (self._generator_optimiser, self._discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = self._lr * self._rate(k)
        # Two draws: moved alike, faces that happen to be partners would betray how they lie on each other.
        v = jitter(luma(batch.vis) if self._grey_source else batch.vis, rng, self._jitter_ratio)
        n = jitter(batch.nir, rng, self._jitter_ratio)
        fake_n, fake_v = self._to_nir(v), self._inverse(n)
        losses = self.update_generators(v, n, fake_v, fake_n)
        # The discriminators learn from the fakes that were made before the generators moved.
        return losses | self.update_discriminators(
            v, n, self._vis_pool.exchange(fake_v, rng), self._nir_pool.exchange(fake_n, rng)
        )

    def update_generators(self, v: Tensor, n: Tensor, fake_v: Tensor, fake_n: Tensor) -> dict[str, Tensor]:
        """Take one step of G and F together on their joint objective, against frozen discriminators."""
        self._nir_discriminator.requires_grad_(False)
        self._vis_discriminator.requires_grad_(False)
        losses = {
            "adversarial_nir": least_squares(self._nir_discriminator(fake_n), 1.0),
            "adversarial_vis": least_squares(self._vis_discriminator(fake_v), 1.0),
            "cycle_vis": self._cycle_weight * l1_loss(self._inverse(fake_n), v),
            "cycle_nir": self._cycle_weight * l1_loss(self._to_nir(fake_v), n),
        }
        if self._identity_weight:  # two of six passes
            weight = self._cycle_weight * self._identity_weight
            # Each generator gets what is already in its target domain; v against G(v)'s partner would be supervision.
            losses["identity_nir"] = weight * l1_loss(self._to_nir(n), n)
            losses["identity_vis"] = weight * l1_loss(self._inverse(v), v)
        self._generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        self._generator_optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def update_discriminators(self, v: Tensor, n: Tensor, fake_v: Tensor, fake_n: Tensor) -> dict[str, Tensor]:
        """Take one step of D_N and D_V together; each is shown one image at a time, never its source."""
        losses = {}
        for name, discriminator, real, fake in (
            ("discriminator_nir", self._nir_discriminator, n, fake_n),
            ("discriminator_vis", self._vis_discriminator, v, fake_v),
        ):
            discriminator.requires_grad_(True)
            to_real, to_fake = least_squares(discriminator(real), 1.0), least_squares(discriminator(fake.detach()), 0.0)
            losses[name] = 0.5 * (to_real + to_fake)  # the half slows it relative to its generator
        self._discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        self._discriminator_optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._stateful.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])

    def networks(self) -> Mapping[str, nn.Module]:
        return {
            "generator": self._generator,
            "inverse": self._inverse,
            "nir_discriminator": self._nir_discriminator,
            "vis_discriminator": self._vis_discriminator,
        }

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._generator.state_dict().items()}

    def _to_nir(self, x: Tensor) -> Tensor:
        y: Tensor = self._generator(x)
        return grey(y) if self._tie_grey else y
