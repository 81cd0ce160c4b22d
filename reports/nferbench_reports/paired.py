"""What paired differences over subjects say: their mean, its interval, effect size and test, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import exp, lgamma, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from nferbench_reports import bootstrap
from nferbench_reports.power import subjects_needed

RESAMPLES = 9999  # random sign flips where there are too many subjects for all of them
NAN = float("nan")
_AT_ONCE = 400  # comparisons computed together; bounds the memory, changes no number


@final
@dataclass(frozen=True)
class Difference:
    """The mean of paired differences; all but it and `subjects` are NaN where one subject is all there is."""

    subjects: int
    difference: float  # mean over subjects
    low: float  # of its interval
    high: float
    effect: float  # Cohen's d_z with Hedges' correction; NaN for two subjects or differences that are all the same
    p: float  # two-sided
    spread: float  # standard deviation of the differences over subjects, n - 1 in the denominator
    subjects_needed: float  # to see a difference of this size; NaN where it, or the spread, is 0

    def turned(self) -> Difference:
        """The same of the second against the first."""
        difference, low, high, effect = (0.0 - value for value in (self.difference, self.high, self.low, self.effect))
        return replace(self, difference=difference, low=low, high=high, effect=effect)


def summarise(differences: Sequence[NDArray[np.float64]]) -> list[Difference]:
    """What each of these says.

    Args:
        differences: of each comparison (subjects,), finite, at least one.

    Returns:
        As many, in this order. So many subjects are drawn and flipped alike, whatever their values.
    """
    found: dict[int, Difference] = {}
    by_count: dict[int, list[int]] = {}
    for i, values in enumerate(differences):
        by_count.setdefault(len(values), []).append(i)
    for places in by_count.values():
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            found |= zip(some, _alike(np.stack([differences[i] for i in some])), strict=True)
    return [found[i] for i in range(len(differences))]


def sign_flips(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of paired permutation tests of the mean: exact where all sign patterns can be tried.

    With random patterns the seed is fixed, so the same results give the same p.

    Args:
        differences: (comparisons, subjects), at least two subjects.

    Returns:
        (comparisons,), as scipy.stats.permutation_test has it with permutation_type="samples".
    """
    count = differences.shape[-1]
    every = 2**count <= RESAMPLES
    signs = np.array(list(product((1, -1), repeat=count))) if every else _random_signs(count)
    means = differences @ signs.T.astype(float) / count
    observed = differences.mean(axis=1, keepdims=True)
    # Patterns that are as extreme in exact arithmetic shall count, whichever way they were rounded.
    alike = 1e-12 * np.abs(differences).mean(axis=1, keepdims=True)
    itself = 0 if every else 1
    tails = [(side.sum(axis=1) + itself) / (len(signs) + itself) for side in _tails(means, observed, alike)]
    p: NDArray[np.float64] = np.minimum(1.0, 2 * np.minimum(*tails))
    return p


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979); a NaN is no test: it stays and does not count."""
    corrected = list(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not np.isnan(p)), key=lambda i: p_values[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def hedges(subjects: int) -> float:
    """The exact factor that takes the bias from Cohen's d_z of so many subjects (Hedges 1981); NaN below three."""
    if subjects < 3:
        return NAN
    half = (subjects - 1) / 2
    return exp(lgamma(half) - lgamma(half - 0.5)) / sqrt(half)


def smallest_p(subjects: int) -> float:
    """The smallest p that a test of so many subjects can have."""
    return 2 / min(1 << subjects, RESAMPLES + 1)


def _alike(differences: NDArray[np.float64]) -> list[Difference]:
    """Of comparisons (comparisons, subjects) that have equally many subjects."""
    count = differences.shape[1]
    means = differences.mean(axis=1)
    if count < 2:
        return [Difference(count, float(mean), NAN, NAN, NAN, NAN, NAN, NAN) for mean in means]
    low, high = bootstrap.intervals(bootstrap.resampled(differences), count)
    spreads = differences.std(axis=1, ddof=1)
    constant = np.ptp(differences, axis=1) <= 1e-12 * np.abs(differences).max(axis=1)  # what rounding left is no spread
    spreads[constant] = 0.0
    sizes = np.divide(means, spreads, out=np.full_like(means, NAN), where=~constant)
    columns = (means, low, high, sizes * hedges(count), sign_flips(differences), spreads, subjects_needed(sizes))
    return [Difference(count, *map(float, values)) for values in zip(*columns, strict=True)]


def _random_signs(count: int) -> NDArray[np.int64]:
    """(RESAMPLES, count): which of two rows is the first of a pair, drawn as scipy's permutation_test draws it."""
    pairs = np.tile([1, -1], (RESAMPLES, count, 1))
    return np.random.default_rng(0).permuted(pairs, axis=-1)[..., 0]


def _tails(
    means: NDArray[np.float64], observed: NDArray[np.float64], alike: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return means <= observed + alike, means >= observed - alike
