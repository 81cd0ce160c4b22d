"""The reverse process, once: what distinguishes methods are the functions it is given.

A method chooses a start, a score (conditional or not), energies that guide it, the mean of a step, its standard
deviation, and something to do after each step:

    SDEdit       perturbed VIS   score                      ancestral_mean
    ILVR         noise           score                      clamped_mean     exchange the low frequencies after a step
    SR3          noise           score of [c, x]            clamped_mean     (told the noise level, not the index)
    EGSDE        perturbed VIS   score, two energies        ancestral_mean
    T2V-DDPM     perturbed VIS   score of [x, c]            clamped_mean
    NFER-SDE     perturbed VIS   score of [x, c], two more  ancestral_mean

All numbers of a step are Python floats worked out before the loop; nothing in the loop waits for the device. How far
the score, each energy and the noise move x is noted at every step, for whoever listens (`nferbench.hear_pushes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate, pairwise
from math import log, sqrt
from operator import add
from typing import final

import torch
from torch import Tensor, nn

from nferbench import ImageNoise, UsageError, note_pushes
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
Gradient = Callable[[Tensor, Level], Mapping[str, Tensor]]  # x to the gradient of each energy at x, times its weight
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
    gradient: Gradient | None = None,
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
        gradient: of the energies that guide the score, by name; none by default.
        after_step: applied to each new x.

    Returns:
        (B, C, H, W), not clamped.
    """
    for level in reversed(levels):
        eps, v = score(x, level)
        gradients = {} if gradient is None else gradient(x, level)
        sigma = deviation(v, level) if level.k > 0 else 0.0
        note_pushes(level.k, level.t, partial(pushes, x, eps, gradients, level, mean, sigma))
        x = mean(x, guided(eps, gradients.values(), level), level)
        if level.k > 0:
            x = x + sigma * noise.normal(*x.shape[1:])
        if after_step is not None:
            x = after_step(x, level)
    return x


def network_score(network: nn.Module, condition: Tensor | None = None) -> Score:
    """The score of a `ScoreUNet`, with a clean condition (B, 3, H, W) joined to x if there is one (NFER-SDE, Eq. 9)."""
    if condition is None:
        return lambda x, level: network(x, level.t)
    return lambda x, level: network(torch.cat([x, condition], dim=1), level.t)


def guided(eps: Tensor, gradients: Iterable[Tensor], level: Level) -> Tensor:
    """The noise of a score corrected by minus the gradients of energies (EGSDE, Zhao et al. 2022; NFER-SDE, Eq. 5).

    The score is -eps / sqrt(1 - alpha_bar); a correction of it by -g moves an ancestral mean by -beta / sqrt(alpha) g.
    Gradients are added in the order in which they come.
    """
    terms = list(gradients)
    return eps + sqrt(1 - level.alpha_bar) * reduce(add, terms) if terms else eps


def pushes(
    x: Tensor, eps: Tensor, gradients: Mapping[str, Tensor], level: Level, mean: Mean, sigma: float | Tensor
) -> dict[str, Tensor]:
    """How far each term moves x in a step: the score, each energy on top of those before it, and the noise.

    All act on the predicted noise, so a term's push is what the mean changes by when the term is added to it. Where the
    mean is linear in the noise, the order changes nothing: the score moves `ancestral_mean` by
    -beta / (sqrt(alpha) sqrt(1 - alpha_bar)) eps and an energy by -beta / sqrt(alpha) times its weighted gradient;
    `euler_maruyama_mean` lacks the sqrt(alpha) in both. Of a push on `clamped_mean` the clamp may hold back a part or
    all. What is left of a step is the mean for no noise at all, x / sqrt(alpha) for `ancestral_mean`.

    Returns:
        "score", the names of the energies and "noise" to (B, C, H, W) float64; of the noise its standard deviation.
    """
    x, eps = x.double(), eps.double()  # a push is a difference of two means that may be nearly equal
    sums = accumulate(each.double() for each in gradients.values())
    predicted = [torch.zeros_like(eps), eps, *(guided(eps, [each], level) for each in sums)]
    means = [mean(x, each, level) for each in predicted]
    moved = (after - before for before, after in pairwise(means))
    return {**dict(zip(["score", *gradients], moved, strict=True)), "noise": sigma * torch.ones_like(x)}


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
