"""The discrete variance-preserving noise schedule: how much of the clean image is left at each index.

Indices are 0-based: index 0 is almost clean, the last one almost pure noise. With alpha_bar_i the product of
(1 - beta_j) up to i, a face at index i is sqrt(alpha_bar_i) x_0 + sqrt(1 - alpha_bar_i) e (Ho et al. 2020, Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import final

import torch
from torch import Tensor

from nferbench import UsageError
from nferbench_methods.diffusion.spacing import accumulated, nearest

TRAIN_STEPS = 1000  # steps of the schedule on which every network but SR3's is trained


@final
@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule, or a part of one; all tables have one entry a step and are float64 for exactness."""

    index: Tensor  # (n,) int64, index in the original schedule: what networks are told
    beta: Tensor  # (n,) variance added by the step
    alpha_bar: Tensor  # (n,) share of the clean image's variance that is left after the step

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> Schedule:
        return Schedule(self.index.to(device), self.beta.to(device), self.alpha_bar.to(device))


def linear_schedule(steps: int = TRAIN_STEPS) -> Schedule:
    """The linear schedule of Ho et al. 2020: beta from 1e-4 to 0.02 at 1000 steps, scaled by 1000/steps otherwise."""
    scale = 1000 / steps
    return linear_between(scale * 1e-4, scale * 2e-2, steps)


def linear_between(first: float, last: float, steps: int) -> Schedule:
    """A schedule whose beta rises evenly from `first` to `last`, whatever the number of steps."""
    beta = torch.linspace(first, last, steps, dtype=torch.float64)
    return Schedule(torch.arange(steps), beta, (1 - beta).cumprod(0))


def head(schedule: Schedule, steps: int) -> Schedule:
    """The `steps` cleanest steps: what is left to do for a face that was noised up to index steps - 1."""
    if not 0 <= steps <= len(schedule):
        raise UsageError(
            f"cannot start at step {steps} of a schedule of {len(schedule)}; allowed: 0 to {len(schedule)}"
        )
    return Schedule(schedule.index[:steps], schedule.beta[:steps], schedule.alpha_bar[:steps])


def respace(schedule: Schedule, steps: int) -> Schedule:
    """Keep `steps` evenly spaced steps, rounded as in the authors' code of Nichol & Dhariwal 2021 (see `spacing`).

    Raises:
        UsageError: fewer than 2 steps, or more than the schedule has.
    """
    return _shortened(schedule, steps, accumulated)


def spread(schedule: Schedule, steps: int) -> Schedule:
    """Keep `steps` evenly spaced steps, rounded to the nearest.

    Raises:
        UsageError: fewer than 2 steps, or more than the schedule has.
    """
    return _shortened(schedule, steps, nearest)


def _shortened(schedule: Schedule, steps: int, spacing: Callable[[int, int], list[int]]) -> Schedule:
    """Some of the steps, the first and the last among them, with the betas that join them.

    A beta is 1 - alpha_bar / the previous alpha_bar, so that noise levels are those of the original schedule (Nichol &
    Dhariwal 2021, section 4).
    """
    if steps == len(schedule):
        return schedule
    if not 2 <= steps < len(schedule):
        raise UsageError(f"cannot respace {len(schedule)} steps to {steps}; allowed: 2 to {len(schedule)}")
    kept = torch.tensor(spacing(len(schedule), steps))
    alpha_bar = schedule.alpha_bar[kept]
    return Schedule(schedule.index[kept], 1 - alpha_bar / previous(alpha_bar), alpha_bar)


def previous(alpha_bar: Tensor) -> Tensor:
    """alpha_bar one step cleaner, with alpha_bar_{-1} = 1."""
    return torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])


def log_variance_range(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Logarithms of the smallest and the largest sensible variance of each reverse step, (n,) float64 each.

    The smallest is that of the posterior q(x_{i-1} | x_i, x_0), the largest beta_i. At index 0 the posterior has no
    variance; as in the authors' code of Nichol & Dhariwal 2021 its entry is that of index 1.
    """
    posterior = schedule.beta * (1 - previous(schedule.alpha_bar)) / (1 - schedule.alpha_bar)
    posterior[0] = posterior[1] if len(schedule) > 1 else schedule.beta[0]
    return posterior.log(), schedule.beta.log()


def perturb(x_0: Tensor, e: Tensor, alpha_bar: float) -> Tensor:
    """Noise clean images to one level: sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) e."""
    return sqrt(alpha_bar) * x_0 + sqrt(1 - alpha_bar) * e


def perturb_each(x_0: Tensor, e: Tensor, schedule: Schedule, k: Tensor) -> Tensor:
    """Noise each image (B, C, H, W) to its own step k (B,) of a schedule that lies on the same device."""
    alpha_bar = schedule.alpha_bar[k].view(-1, 1, 1, 1)
    return alpha_bar.sqrt().to(x_0.dtype) * x_0 + (1 - alpha_bar).sqrt().to(x_0.dtype) * e
