"""Intervals by resampling subjects."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap as reference

from nferbench_reports.bootstrap import DRAWS, interval, interval_of_mean, resampled


def test_three_subjects_have_the_means_of_their_27_equally_likely_draws() -> None:
    values = np.array([0.0, 30.0, -60.0])
    means, counts = np.unique(resampled(values), return_counts=True)
    expected: dict[float, float] = {}
    for drawn in product(values, repeat=3):
        expected[sum(drawn) / 3] = expected.get(sum(drawn) / 3, 0) + 1 / 27
    assert means.tolist() == pytest.approx(sorted(expected))
    assert counts / DRAWS == pytest.approx([expected[mean] for mean in sorted(expected)], abs=0.015)
    # Both extremes, -60 and 30, have a chance of 1/27 = 3.7 %, which is more than the 2.5 % on each side.
    assert interval_of_mean(values) == (-60, 30)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).normal(3, 10, size=40)
    theirs = reference(
        (values,), np.mean, n_resamples=40_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert interval_of_mean(values) == pytest.approx((theirs.low, theirs.high), abs=0.15)  # of a width of 6


def test_a_mean_of_many_lies_in_its_interval_about_as_often_as_it_should() -> None:
    rng = np.random.default_rng(3)
    hits = [low <= 5 <= high for low, high in (interval_of_mean(rng.normal(5, 2, size=50)) for _ in range(150))]
    assert 0.89 < np.mean(hits) < 0.99


def test_values_of_one_subject_stay_together_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array([1.0, 4.0, -2.0, 8.0])
    both = resampled(np.stack([first, 3 * first]))
    assert both.shape == (2, DRAWS) and both[1] == pytest.approx(3 * both[0])
    monkeypatch.setattr("nferbench_reports.bootstrap._AT_ONCE", 4 * 1000)
    assert resampled(first).tolist() == both[0].tolist()


def test_what_is_zero_is_exactly_zero() -> None:
    thirds = np.array([100 / 3, -200 / 3, 100 / 3])
    draws = resampled(thirds)
    near = draws[np.abs(draws) < 1]
    assert len(near) and set(near.tolist()) == {0.0} and not np.signbit(near).any()


def test_one_subject_has_no_interval_and_the_ends_are_percentiles() -> None:
    assert all(math.isnan(end) for end in interval_of_mean(np.array([4.0])))
    assert interval(np.arange(0.0, 1001)) == (25, 975)
