"""What a noise predictor learns: the noise, and how much variance a reverse step needs.

The plain squared error of Ho et al. 2020 (Eq. 14) and, where the variance is learned, the variational bound of Nichol &
Dhariwal 2021 (section 3.1), through which only the variance is trained.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nferbench_methods.diffusion.schedule import Schedule, log_variance_range


def noise_error(eps: Tensor, e: Tensor) -> Tensor:
    """Mean squared error of predicted noise, a 0-d tensor; 1 on average for a network that answers 0."""
    return (eps - e).square().mean()


def variational_bound(eps: Tensor, v: Tensor, e: Tensor, x_0: Tensor, schedule: Schedule, k: Tensor) -> Tensor:
    """One term of the variational bound for each image, in bits per pixel and channel.

    The divergence of the learned reverse step from the posterior q(x_{i-1} | x_i, x_0); at step 0 the negative log
    likelihood of the 8-bit image. No gradient reaches `eps`.

    Args:
        eps: (B, C, H, W) predicted noise.
        v: (B, C, H, W) the network's variance channels; -1 is the smallest variance, 1 the largest, not clamped.
        e: (B, C, H, W) the noise that was drawn.
        x_0: (B, C, H, W) clean images in [-1, 1].
        schedule: the schedule of the training, on the device of the images.
        k: (B,) step of each image.

    Returns:
        (B,) means over channels and pixels.
    """

    def of_step(table: Tensor) -> Tensor:
        return table.to(x_0.dtype)[k].view(-1, 1, 1, 1)

    smallest, largest = log_variance_range(schedule)
    log_var = of_step((largest + smallest) / 2) + v * of_step((largest - smallest) / 2)
    # The means of both Gaussians come from the same x_i, so that only the error of the noise is left of their
    # difference. At step 0 the same expression is x_0 minus the predicted x_0.
    shift = schedule.beta / ((1 - schedule.beta).sqrt() * (1 - schedule.alpha_bar).sqrt())
    difference = of_step(shift) * (eps.detach() - e)
    log_ratio = of_step(smallest) - log_var
    divergence = 0.5 * (log_ratio.exp() - 1 - log_ratio + difference.square() * (-log_var).exp())
    bound = torch.where(k.view(-1, 1, 1, 1) == 0, -_log_likelihood(x_0, difference, log_var), divergence)
    return bound.mean(dim=(1, 2, 3)) / math.log(2)


def _log_likelihood(x_0: Tensor, difference: Tensor, log_var: Tensor) -> Tensor:
    """Log probability of 8-bit values under a Gaussian with mean x_0 - difference (Ho et al. 2020, Eq. 13)."""
    precision = (-0.5 * log_var).exp()
    below_upper = torch.special.ndtr((difference + 1 / 255) * precision)
    below_lower = torch.special.ndtr((difference - 1 / 255) * precision)
    # The first and the last of the 256 values have all that lies beyond them.
    probability = torch.where(x_0 < -0.999, below_upper, below_upper - below_lower)
    probability = torch.where(x_0 > 0.999, 1 - below_lower, probability)
    return probability.clamp(min=1e-12).log()
