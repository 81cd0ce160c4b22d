"""How many subjects are needed, against published tables and by trying."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from nferbench_reports.power import subjects_needed


@pytest.mark.parametrize(("size", "needed"), [(0.2, 199), (0.5, 34), (0.8, 15), (-0.5, 34)])
def test_the_numbers_are_those_of_tables_of_the_paired_t_test(size: float, needed: int) -> None:
    assert subjects_needed(np.array([size])).tolist() == [needed]


def test_a_smaller_difference_never_needs_fewer_and_many_are_near_to_normal() -> None:
    sizes = np.geomspace(1e-4, 50, 2000)
    needed = subjects_needed(sizes)
    assert (np.diff(needed) <= 0).all() and needed[-1] == 2
    assert needed[0] == pytest.approx((1.959964 + 0.841621) ** 2 / 1e-8, rel=1e-4)


def test_what_is_nothing_or_no_number_needs_no_number_of_subjects() -> None:
    assert all(math.isnan(each) for each in subjects_needed(np.array([0.0, math.nan, math.inf])))
    assert subjects_needed(np.array([])).shape == (0,)


def test_so_many_subjects_see_it_in_four_of_five_cases_and_one_less_do_not_quite() -> None:
    rng = np.random.default_rng(0)
    (needed,) = subjects_needed(np.array([0.7])).astype(int)
    seen = {
        count: np.mean(ttest_1samp(rng.normal(0.7, 1, (20_000, count)), 0, axis=1).pvalue < 0.05)
        for count in (needed, needed - 2)
    }
    assert seen[needed] > 0.795 and seen[needed - 2] < 0.795
