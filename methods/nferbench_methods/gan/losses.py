"""Adversarial losses on patch scores.

Cross entropy is that of Isola et al. 2017, Section 3.1, and the authors' code; least squares that of Mao et al., "Least
Squares Generative Adversarial Networks" (ICCV 2017), which later image translators took up.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Half the sum of the cross entropies of real logits to 1 and fake logits to 0, each a mean over all patches.

    The half slows the discriminator relative to the generator.
    """
    to_one = binary_cross_entropy_with_logits(real, torch.ones_like(real))
    to_zero = binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (to_one + to_zero)


def generator_loss(fake: Tensor) -> Tensor:
    """Cross entropy of fake logits to 1, a mean over all patches: the form that does not saturate."""
    return binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def least_squares(scores: Tensor, target: float) -> Tensor:
    """Squared difference of raw scores (no sigmoid) to a constant, a mean over all patches and images."""
    return (scores - target).square().mean()
