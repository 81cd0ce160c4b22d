"""Intervals by resampling subjects."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap as reference
from scipy.stats import norm, t

from nferbench_reports import bootstrap
from nferbench_reports.bootstrap import DRAWS, interval, interval_of_mean, interval_of_pooled, intervals, resampled


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
    level = 1 - 2 * norm.cdf(-math.sqrt(40 / 39) * t.ppf(0.975, 39))  # 0.9594 in place of 0.95
    theirs = reference(
        (values,),
        np.mean,
        n_resamples=40_000,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert interval_of_mean(values) == pytest.approx((theirs.low, theirs.high), abs=0.15)  # of a width of 6


def differences(kind: str, subjects: int, images: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Differences of two rows for 400 experiments, (400, subjects, images), and their mean over all people."""
    shape = (400, subjects, images)
    if kind == "continuous":
        return rng.normal(0.5, 1, (*shape[:2], 1)) + rng.normal(0, 1.5, shape), 0.5
    if kind == "skewed":  # a few people gain much
        return rng.exponential(1, (*shape[:2], 1)) + rng.normal(0, 0.5, shape), 1.0
    # Accuracy, 0 or 100 an image: people are more or less easy, and gain more or less; both rows have the same images.
    people, gains = rng.normal(1, 1, (*shape[:2], 1)), rng.normal(0.4, 0.5, (*shape[:2], 1))
    easy, hard = rng.normal(0, 1, shape), rng.normal(0, 1, 1_000_000) * math.sqrt(2) + 1
    right = [rng.random(shape) < 1 / (1 + np.exp(-(people + easy + gain))) for gain in (gains, 0)]
    chances = [1 / (1 + np.exp(-(hard + gain))) for gain in (rng.normal(0.4, 0.5, len(hard)), 0)]
    return 100.0 * right[0] - 100.0 * right[1], float(100 * (chances[0] - chances[1]).mean())


@pytest.mark.parametrize("subjects", [16, 40, 80])
@pytest.mark.parametrize("kind", ["continuous", "skewed", "accuracy"])
def test_intervals_hold_the_mean_of_all_people_about_as_often_as_they_should(
    kind: str, subjects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nferbench_reports.bootstrap.DRAWS", 999)
    values, truth = differences(kind, subjects, 6, np.random.default_rng(subjects))
    low, high = intervals(resampled(values.mean(axis=-1)), subjects)
    assert 0.90 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


def test_plain_percentiles_hold_it_too_seldom_and_drawn_images_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench_reports.bootstrap.DRAWS", 999)
    values, truth = differences("skewed", 10, 6, np.random.default_rng(1))
    draws = resampled(values.mean(axis=-1))
    ends = [np.percentile(draws, [2.5, 97.5], axis=-1), intervals(draws, 10)]
    plain, ours = (np.mean((low <= truth) & (truth <= high)) for low, high in ends)
    assert plain < 0.88 and ours > plain + 0.02
    values, truth = differences("accuracy", 80, 6, np.random.default_rng(2))
    rng = np.random.default_rng(3)
    people, images = rng.integers(80, size=(999, 80, 1)), rng.integers(6, size=(999, 80, 6))
    both = np.stack([one[people, images].mean(axis=(1, 2)) for one in values[:150]])
    low, high = intervals(both, 80)
    assert np.mean((low <= truth) & (truth <= high)) > 0.98


def test_a_pooled_mean_draws_people_with_all_their_images() -> None:
    # Three people with means 0, 1 and 4 of 1, 1 and 2 images: drawn alone, the first and the last are 1/27 each.
    assert interval_of_pooled(np.array([0.0, 1, 8]), np.array([1.0, 1, 2])) == (0, 4)
    assert math.isnan(interval_of_pooled(np.array([3.0]), np.array([2.0]))[0])
    assert math.isnan(interval_of_pooled(np.array([math.inf, 1.0]), np.array([1.0, 1.0]))[0])


def test_values_of_one_subject_stay_together_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array([1.0, 4.0, -2.0, 8.0])
    both = resampled(np.stack([first, 3 * first]))
    assert both.shape == (2, DRAWS) and both[1] == pytest.approx(3 * both[0])
    monkeypatch.setattr("nferbench_reports.bootstrap._AT_ONCE", 4 * 1000)
    bootstrap._times.cache_clear()
    assert resampled(first).tolist() == both[0].tolist()


def test_what_is_zero_is_exactly_zero() -> None:
    thirds = np.array([100 / 3, -200 / 3, 100 / 3])
    draws = resampled(thirds)
    near = draws[np.abs(draws) < 1]
    assert len(near) and set(near.tolist()) == {0.0} and not np.signbit(near).any()


def test_one_subject_has_no_interval_and_the_ends_are_percentiles() -> None:
    assert all(math.isnan(end) for end in interval_of_mean(np.array([4.0])))
    draws = np.arange(0.0, 1001)
    assert interval(draws, 1_000_000) == pytest.approx((25, 975), abs=0.01)
    assert interval(draws, 16) == pytest.approx((1000 * norm.cdf(-2.2014), 1000 * norm.cdf(2.2014)), abs=0.01)
    assert interval(draws, 2) == (0, 1000)  # of two subjects all that they can give
