"""The training of CycleGAN: two generators that undo each other, and a discriminator in each domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from nferbench import Batch, Parts, grey, luma
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import least_squares
from nferbench_methods.gan.pool import ImagePool


@final
@dataclass(frozen=True, eq=False)
class CycleGANObjective:
    """One update of both generators, then one of both discriminators (Zhu et al. 2017, Eqs. 1-3, Section 4).

    In the formulas G maps VIS to NIR and F back, D_N judges NIR and D_V VIS images, v and n are faces of unrelated
    people and expressions.
    """

    generator: nn.Module  # G, (B, 3, H, W) to (B, 3, H, W); the fitted network
    inverse: nn.Module  # F, likewise
    nir_discriminator: nn.Module  # D_N, (B, 3, H, W) to patch scores
    vis_discriminator: nn.Module  # D_V, likewise
    generator_optimiser: Optimizer  # of G and F
    discriminator_optimiser: Optimizer  # of D_N and D_V
    nir_pool: ImagePool  # earlier fakes, for D_N
    vis_pool: ImagePool  # earlier fakes, for D_V
    cycle_weight: float  # lambda of the paper, the weight of |F(G(v)) - v| and |G(F(n)) - n|
    identity_weight: float  # weight of |G(n) - n| and |F(v) - v| as a multiple of cycle_weight; 0 leaves both out
    jitter_ratio: float  # enlarged side / side of the random crops; 1 only flips
    tie_grey: bool  # average and replicate the channels of whatever G gives, before anything sees it
    grey_source: bool  # train on the luma of the VIS faces
    piece: int = 0  # rows of a batch that are computed at a time, which changes rounding alone; 0 takes all

    def update(self, batch: Batch, rng: Generator) -> Parts:
        """A step of the generators, then one of the discriminators; `rng` moves faces and exchanges fakes."""
        # Two draws: moved alike, faces that happen to be partners would betray how they lie on each other.
        v = jitter(luma(batch.vis) if self.grey_source else batch.vis, rng, self.jitter_ratio)
        n = jitter(batch.nir, rng, self.jitter_ratio)
        losses, fake_v, fake_n = self.improve(v, n)

        def step_and_exchange() -> None:
            self.generator_optimiser.step()
            # The discriminators learn from the fakes that were made before the generators moved.
            fake_v.copy_(self.vis_pool.exchange(fake_v, rng))
            fake_n.copy_(self.nir_pool.exchange(fake_n, rng))

        yield step_and_exchange, losses
        yield self.discriminator_optimiser.step, self.judge(v, n, fake_v, fake_n)

    def improve(self, v: Tensor, n: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Gradients of the joint objective of G and F, against frozen discriminators.

        Returns:
            The losses, and F(n) and G(v), without graphs.
        """
        self.nir_discriminator.requires_grad_(False)
        self.vis_discriminator.requires_grad_(False)
        self.generator_optimiser.zero_grad(set_to_none=True)
        shares, fakes = [], []
        for v_i, n_i in self._pieces(v, n):
            fake_n, fake_v = self._to_nir(v_i), self.inverse(n_i)
            losses = self._generator_losses(v_i, n_i, fake_v, fake_n)
            shares.append(_descended(losses, len(v_i) / len(v)))
            fakes.append((fake_v.detach(), fake_n.detach()))
        every_v, every_n = zip(*fakes, strict=True)
        return _summed(shares), torch.cat(every_v), torch.cat(every_n)

    def judge(self, v: Tensor, n: Tensor, fake_v: Tensor, fake_n: Tensor) -> dict[str, Tensor]:
        """Gradients of D_N's and D_V's losses; each is shown one image at a time, never its source."""
        self.nir_discriminator.requires_grad_(True)
        self.vis_discriminator.requires_grad_(True)
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        shares = [
            _descended(self._discriminator_losses(*rows), len(rows[0]) / len(v))
            for rows in self._pieces(v, n, fake_v.detach(), fake_n.detach())
        ]
        return _summed(shares)

    def _generator_losses(self, v: Tensor, n: Tensor, fake_v: Tensor, fake_n: Tensor) -> dict[str, Tensor]:
        losses = {
            "adversarial_nir": least_squares(self.nir_discriminator(fake_n), 1.0),
            "adversarial_vis": least_squares(self.vis_discriminator(fake_v), 1.0),
            "cycle_vis": self.cycle_weight * l1_loss(self.inverse(fake_n), v),
            "cycle_nir": self.cycle_weight * l1_loss(self._to_nir(fake_v), n),
        }
        if self.identity_weight:  # two of six passes
            weight = self.cycle_weight * self.identity_weight
            # Each generator gets what is already in its target domain; v against G(v)'s partner would be supervision.
            losses["identity_nir"] = weight * l1_loss(self._to_nir(n), n)
            losses["identity_vis"] = weight * l1_loss(self.inverse(v), v)
        return losses

    def _discriminator_losses(self, v: Tensor, n: Tensor, fake_v: Tensor, fake_n: Tensor) -> dict[str, Tensor]:
        losses = {}
        for name, discriminator, real, fake in (
            ("discriminator_nir", self.nir_discriminator, n, fake_n),
            ("discriminator_vis", self.vis_discriminator, v, fake_v),
        ):
            to_real, to_fake = least_squares(discriminator(real), 1.0), least_squares(discriminator(fake), 0.0)
            losses[name] = 0.5 * (to_real + to_fake)  # the half slows it relative to its generator
        return losses

    def _pieces(self, *images: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The same rows of several batches, a piece at a time."""
        return zip(*(torch.split(each, self.piece or len(each)) for each in images), strict=True)

    def _to_nir(self, x: Tensor) -> Tensor:
        y: Tensor = self.generator(x)
        return grey(y) if self.tie_grey else y


def _descended(losses: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Add the gradients of a piece to those of the pieces before it; its part of each loss of the batch, detached."""
    torch.autograd.backward(share * torch.stack(list(losses.values())).sum())
    return {name: share * loss.detach() for name, loss in losses.items()}


def _summed(shares: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([share[name] for share in shares]).sum() for name in shares[0]}
