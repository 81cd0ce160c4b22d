"""The reverse process, once: what distinguishes methods are the functions it is given.

A method chooses a start, a score (conditional or not, guided by an energy or not), the mean of a step, its standard
deviation, and something to do after each step:

    SDEdit       perturbed VIS   score                      ancestral_mean
    ILVR         noise           score                      clamped_mean     exchange the low frequencies after a step
    SR3          noise           score of [c, x]            clamped_mean     (told the noise level, not the index)
    EGSDE        perturbed VIS   guided(score, gradient)    ancestral_mean
    T2V-DDPM     perturbed VIS   score of [x, c]            clamped_mean
    NFER-SDE     perturbed VIS   guided(score of [x, c])    ancestral_mean

All numbers of a step are Python floats worked out before the loop; nothing in the loop waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import final

import torch
from torch import Tensor, nn

from nferbench import ImageNoise, UsageError
from nferbench_methods.diffusion.schedule import Schedule, log_variance_range, previous


@final
@dataclass(frozen=True, eq=False)
class Level:
    """One noise level of a schedule."""

    k: int  # step of the schedule in use; 0 is the last one taken
    t: Tensor  # (1,) index in the training schedule, on the device: what networks are told
    beta: float
    alpha_bar: float
    alpha_bar_prev: float  # alpha_bar after the step; 1 at k = 0
    posterior_variance: float  # of q(x_{k-1} | x_k, x_0); at k = 0 the value of k = 1, as `log_variance_range` says

    @property
    def alpha(self) -> float:
        return 1 - self.beta


Score = Callable[[Tensor, Level], tuple[Tensor, Tensor | None]]  # x to predicted noise and variance channels
Gradient = Callable[[Tensor, Level], Tensor]  # x to the gradient of an energy at x
Mean = Callable[[Tensor, Tensor, Level], Tensor]  # x and predicted noise to the mean of the next x
Deviation = Callable[[Tensor | None, Level], float | Tensor]  # variance channels to the standard deviation of a step
AfterStep = Callable[[Tensor, Level], Tensor]  # the new x and the level that was left to the x to go on with


def levels(schedule: Schedule, device: torch.device | str) -> list[Level]:
    """The noise levels of a schedule, cleanest first."""
    times = torch.split(schedule.index.to(device), 1)
    smallest, _ = log_variance_range(schedule) if len(schedule) else (schedule.beta, None)
    columns = (schedule.beta, schedule.alpha_bar, previous(schedule.alpha_bar)[: len(schedule)], smallest.exp())
    rows = zip(times, *(column.tolist() for column in columns), strict=False)
    return [Level(k, *row) for k, row in enumerate(rows)]


def reverse(
    x: Tensor,
    levels: Sequence[Level],
    score: Score,
    noise: ImageNoise,
    *,
    mean: Mean,
    deviation: Deviation,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Go from the noisiest level to a clean image.

    Args:
        x: (B, C, H, W) images at the noisiest level.
        levels: cleanest first; with none, `x` comes back as it is.
        score: predicts the noise in x.
        noise: one stream per image; one draw a step, none at the last.
        mean: of a step, given x and the predicted noise.
        deviation: standard deviation of a step; not asked for at the last.
        after_step: applied to each new x.

    Returns:
        (B, C, H, W), not clamped.
    """
    for level in reversed(levels):
        eps, v = score(x, level)
        x = mean(x, eps, level)
        if level.k > 0:
            x = x + deviation(v, level) * noise.normal(*x.shape[1:])
        if after_step is not None:
            x = after_step(x, level)
    return x


def network_score(network: nn.Module, condition: Tensor | None = None) -> Score:
    """The score of a `ScoreUNet`, with a clean condition (B, 3, H, W) joined to x if there is one (NFER-SDE, Eq. 9)."""
    if condition is None:
        return lambda x, level: network(x, level.t)
    return lambda x, level: network(torch.cat([x, condition], dim=1), level.t)


def guided(score: Score, gradient: Gradient) -> Score:
    """A score corrected by minus the gradient of an energy (EGSDE, Zhao et al. 2022; NFER-SDE, Eq. 5).

    The score is -eps / sqrt(1 - alpha_bar); a correction of it by -g moves an ancestral mean by -beta / sqrt(alpha) g.
    """

    def corrected(x: Tensor, level: Level) -> tuple[Tensor, Tensor | None]:
        eps, v = score(x, level)
        return eps + sqrt(1 - level.alpha_bar) * gradient(x, level), v

    return corrected


def ancestral_mean(x: Tensor, eps: Tensor, level: Level) -> Tensor:
    """Mean of the reverse step as a function of the noise (Ho et al. 2020, Eq. 11)."""
    return (x - level.beta / sqrt(1 - level.alpha_bar) * eps) / sqrt(level.alpha)


def clamped_mean(x: Tensor, eps: Tensor, level: Level) -> Tensor:
    """Mean of the posterior for a predicted clean image that is clamped to [-1, 1] (Ho et al. 2020, Eq. 7).

    Where nothing is clamped this is `ancestral_mean`.
    """
    x_0 = ((x - sqrt(1 - level.alpha_bar) * eps) / sqrt(level.alpha_bar)).clamp(-1, 1)
    of_x_0 = sqrt(level.alpha_bar_prev) * level.beta / (1 - level.alpha_bar)
    of_x = sqrt(level.alpha) * (1 - level.alpha_bar_prev) / (1 - level.alpha_bar)
    return of_x_0 * x_0 + of_x * x


def euler_maruyama_mean(x: Tensor, eps: Tensor, level: Level) -> Tensor:
    """Mean of one Euler-Maruyama step of the reverse SDE (NFER-SDE, Eq. 3) with dt = -1 and beta(t) = beta.

    x - (f - sigma^2 s) for drift f = -beta x / 2, sigma^2 = beta and score s = -eps / sqrt(1 - alpha_bar).
    """
    return (1 + level.beta / 2) * x - level.beta / sqrt(1 - level.alpha_bar) * eps


def fixed_small(v: Tensor | None, level: Level) -> float:
    """Standard deviation of the posterior q(x_{k-1} | x_k, x_0)."""
    return sqrt(level.posterior_variance)


def fixed_large(v: Tensor | None, level: Level) -> float:
    """Standard deviation sqrt(beta): that of the SDE."""
    return sqrt(level.beta)


def learned_range(v: Tensor | None, level: Level) -> Tensor:
    """Between the two, as the variance channels say: -1 is small, 1 is large (Nichol & Dhariwal 2021, Eq. 15)."""
    if v is None:
        raise UsageError("variance 'learned-range' needs a score network with learned_variance; use 'fixed-small'")
    smallest, largest = log(level.posterior_variance), log(level.beta)
    return (v * ((largest - smallest) / 4) + (largest + smallest) / 4).exp()


DEVIATIONS: Mapping[str, Deviation] = {
    "fixed-small": fixed_small,
    "fixed-large": fixed_large,
    "learned-range": learned_range,
}
