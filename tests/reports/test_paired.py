"""Paired differences: tests, corrections and effect sizes."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest, permutation_test

from nferbench_reports.bootstrap import interval_of_mean
from nferbench_reports.paired import hedges, holm, sign_flips, smallest_p, summarise


def sign_flip(values: np.ndarray) -> float:
    return float(sign_flips(values[None])[0])


def test_the_p_value_is_the_share_of_sign_patterns_at_least_as_extreme() -> None:
    values = np.array([3.0, -1.0, 2.0, 4.0, 0.5])
    means = [np.mean(np.array(signs) * values) for signs in product([-1, 1], repeat=5)]
    expected = np.mean([abs(mean) >= values.mean() - 1e-12 for mean in means])
    assert sign_flip(values) == pytest.approx(expected)


@pytest.mark.parametrize("subjects", [2, 7, 13, 14, 40])
def test_the_p_value_is_that_of_scipy(subjects: int) -> None:
    for values in np.random.default_rng(subjects).normal(0.2, 1, (3, subjects)):
        theirs = permutation_test(
            (values,),
            lambda drawn, axis: np.mean(drawn, axis=axis),
            permutation_type="samples",
            n_resamples=9999,
            vectorized=True,
            rng=np.random.default_rng(0),
        )
        assert sign_flip(values) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_five_folds_could_never_be_significant_but_twenty_subjects_can() -> None:
    assert sign_flip(np.full(5, 10.0)) == pytest.approx(2 / 2**5) == smallest_p(5)
    assert sign_flip(np.full(20, 0.1)) == smallest_p(20) < 0.001


def test_patterns_that_rounding_alone_tells_apart_are_equally_extreme() -> None:
    thirds = np.array([100 / 3, -200 / 3, 100 / 3, 0.0, 0.0])
    assert sign_flip(thirds) == 1  # their sum is nothing, give or take a bit


def test_no_difference_gives_one_and_no_effect_can_be_told() -> None:
    (found,) = summarise([np.zeros(4)])
    assert (found.p, found.difference, found.low, found.high, found.spread) == (1, 0, 0, 0, 0)
    assert math.isnan(found.effect) and math.isnan(found.subjects_needed)


def test_equal_differences_have_no_spread_even_where_they_are_rounded() -> None:
    (found,) = summarise([np.array([0.1 + 0.2, 0.3, 0.3])])
    assert found.spread == 0 and math.isnan(found.effect)
    assert (found.difference, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_one_subject_has_a_difference_alone_and_two_have_no_effect_size() -> None:
    one, two = summarise([np.array([4.0]), np.array([4.0, 2.0])])
    assert (one.subjects, one.difference) == (1, 4)
    assert all(math.isnan(value) for value in (one.low, one.high, one.effect, one.p, one.spread, one.subjects_needed))
    assert (two.low, two.high, two.p) == (2, 4, 0.5) and math.isnan(two.effect)


def test_the_effect_is_cohens_d_z_with_the_correction_of_hedges() -> None:
    values = np.array([1.0, 3.0, 2.0, 5.0, -1.0])
    (found,) = summarise([values])
    assert hedges(5) == pytest.approx(math.gamma(2) / (math.sqrt(2) * math.gamma(1.5)))
    assert hedges(100) == pytest.approx(1 - 3 / (4 * 99 - 1), abs=1e-4)
    assert found.effect == pytest.approx(hedges(5) * values.mean() / values.std(ddof=1))


def test_many_comparisons_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(0)
    many = [rng.normal(0.3, 1, size=count) for count in (12, 20, 12, 20, 3)]
    found = summarise(many)
    assert [one.subjects for one in found] == [12, 20, 12, 20, 3]
    assert found == [summarise([values])[0] for values in many]
    assert [(one.low, one.high) for one in found] == [interval_of_mean(values) for values in many]


def test_turned_around_is_what_the_turned_differences_give() -> None:
    values = np.random.default_rng(4).normal(0.3, 1, size=(3, 25)).round(2)
    for one, turned in zip(summarise([*values]), summarise([*-values]), strict=True):
        mine = one.turned()
        assert (mine.subjects, mine.p, mine.spread) == (turned.subjects, turned.p, turned.spread)
        assert (mine.difference, mine.low, mine.high, mine.effect) == pytest.approx(
            (turned.difference, turned.low, turned.high, turned.effect)
        )
    assert math.copysign(1, summarise([np.zeros(3)])[0].turned().difference) == 1


@pytest.mark.parametrize("subjects", [16, 40, 80])
def test_where_nothing_differs_p_is_uniform(subjects: int) -> None:
    rng = np.random.default_rng(subjects)
    people, images = rng.normal(0, 1, (1000, subjects, 1)), rng.normal(0, 2, (1000, subjects, 4))
    p = sign_flips((people + images).mean(axis=-1))
    assert kstest(p, "uniform").pvalue > 0.01
    assert [np.mean(p < level) for level in (0.05, 0.1, 0.5)] == pytest.approx([0.05, 0.1, 0.5], abs=0.05)


def test_where_nothing_differs_in_accuracy_p_is_seldom_small() -> None:
    rng = np.random.default_rng(5)
    chances = 1 / (1 + np.exp(-rng.normal(1, 1, (1000, 40, 1))))
    right = rng.random((2, 1000, 40, 6)) < chances
    p = sign_flips(100.0 * right[0].mean(axis=-1) - 100.0 * right[1].mean(axis=-1))
    assert 0.03 < np.mean(p < 0.05) < 0.07 and 0.07 < np.mean(p < 0.1) < 0.13  # at most uniform: values are few


def test_holm_multiplies_by_the_hypotheses_left_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]


def test_holm_does_not_count_what_was_not_tested() -> None:
    corrected = holm([0.02, math.nan, 0.03])
    assert corrected[0] == pytest.approx(0.04) and math.isnan(corrected[1])
    assert holm([]) == []
