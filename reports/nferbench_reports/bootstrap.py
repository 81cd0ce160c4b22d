"""How far a mean over subjects might have been another, had other subjects been tested: the percentile bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 9999
LEVEL = 95  # percent of the draws that lie in an interval
INTERVAL = f"{LEVEL} % interval (percentile bootstrap over subjects, {DRAWS:,} draws)"
_AT_ONCE = 1_000_000  # subjects drawn together at most; bounds the memory, changes no number


def resampled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of values over subjects that are drawn anew, with replacement, as many as there are.

    The seed is fixed: the same values give the same means, and so many subjects are drawn alike whatever their values.

    Args:
        values: (..., subjects), at least one subject.

    Returns:
        (..., DRAWS), the same subjects behind each draw of all leading axes.
    """
    count = values.shape[-1]
    rng = np.random.default_rng(0)
    at_once = max(1, _AT_ONCE // count)
    sizes = [min(at_once, DRAWS - done) for done in range(0, DRAWS, at_once)]
    means = [values[..., rng.integers(count, size=(size, count))].mean(axis=-1) for size in sizes]
    # What is nothing in exact arithmetic shall not look like more or less than nothing.
    return np.concatenate(means, axis=-1).round(9) + 0.0


def interval_of_mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """The interval of the mean of one value a subject, (subjects,); NaN for fewer than two."""
    return interval(resampled(values)) if len(values) > 1 else (float("nan"), float("nan"))


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The two ends between which `LEVEL` percent of the draws lie, as many below as above."""
    low, high = np.percentile(draws, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)
