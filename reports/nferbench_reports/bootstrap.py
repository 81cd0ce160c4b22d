"""How far a mean over subjects might have been another, had other subjects been tested: the bootstrap over subjects.

Subjects alone are drawn, each with all images. Its mean already has the noise of its images, as a part of how subjects
differ; to draw images too would count that noise twice, and such intervals cover too often. The plain percentiles 2.5
and 97.5 cover too seldom where subjects are few: the draws of n subjects spread by sqrt((n - 1) / n) too little, and
they know nothing of how unsure that spread is. So the percentiles lie farther out, by just so much that draws of a
normal distribution end where Student's t does (the expanded percentile interval, Hesterberg 2015).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 9999
LEVEL = 95  # percent: how often an interval shall hold the mean of all people
INTERVAL = f"{LEVEL} % interval (bootstrap over subjects, {DRAWS:,} draws, expanded percentiles)"
_AT_ONCE = 1_000_000  # subjects drawn together at most; bounds the memory, changes no number


def resampled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of values over subjects that are drawn anew, with replacement, as many as there are.

    The seed is fixed: the same values give the same means, and so many subjects are drawn alike whatever their values.

    Args:
        values: (..., subjects), finite, at least one subject.

    Returns:
        (..., DRAWS), the same subjects behind each draw of all leading axes.
    """
    count = values.shape[-1]
    times = _times(count, DRAWS)
    at_once = max(1, _AT_ONCE // count)
    flat = values.reshape(-1, count)  # a product of two matrices is far quicker than one of stacks
    means = [flat @ times[start : start + at_once].T.astype(float) / count for start in range(0, DRAWS, at_once)]
    return _tidied(np.concatenate(means, axis=-1).reshape(*values.shape[:-1], DRAWS))


def interval_of_mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """The interval of the mean of one value a subject, (subjects,); NaN for fewer than two."""
    return interval(resampled(values), len(values)) if len(values) > 1 else (float("nan"), float("nan"))


def interval_of_pooled(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """The interval of a mean over images, of their sum and number for each subject, (subjects,); NaN as above.

    Images of one subject are no independent draws: subjects are drawn, each with all images.
    """
    if len(sums) < 2 or not np.isfinite(sums).all():
        return float("nan"), float("nan")
    above, below = resampled(np.stack([sums, counts]))
    return interval(above / below, len(sums))


def interval(draws: NDArray[np.float64], subjects: int) -> tuple[float, float]:
    """The interval that draws of so many subjects give, (DRAWS,); as many lie below as above."""
    low, high = intervals(draws, subjects)
    return float(low), float(high)


def intervals(draws: NDArray[np.float64], subjects: int) -> NDArray[np.float64]:
    """The lower ends and the upper ends, (2, ...), of draws (..., DRAWS) of so many subjects, at least two."""
    from scipy.special import ndtr, stdtrit

    farther = np.sqrt(subjects / (subjects - 1)) * stdtrit(subjects - 1, 0.5 + LEVEL / 200)
    below = 100 * ndtr(-farther)
    return _tidied(np.percentile(draws, [below, 100 - below], axis=-1))


@lru_cache(maxsize=2)
def _times(count: int, draws: int) -> NDArray[np.uint16]:
    """How often each of so many subjects is in each draw, (draws, count)."""
    rng = np.random.default_rng(0)
    at_once = max(1, _AT_ONCE // count)
    found = []
    for done in range(0, draws, at_once):
        drawn = rng.integers(count, size=(min(at_once, draws - done), count))
        places = drawn + count * np.arange(len(drawn))[:, None]
        found.append(np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.uint16))
    return np.concatenate(found)


def _tidied(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is nothing in exact arithmetic shall not look like more or less than nothing."""
    return values.round(9) + 0.0
