"""Tests over subjects."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.significance import COLUMNS, compare, frame, holm, sign_flip, write_markdown


def compared(workspace: Any) -> list[Any]:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return compare(record, results, "standard")


def test_the_p_value_is_the_share_of_sign_patterns_at_least_as_extreme() -> None:
    values = np.array([3.0, -1.0, 2.0, 4.0, 0.5])
    means = [np.mean(np.array(signs) * values) for signs in product([-1, 1], repeat=5)]
    expected = np.mean([abs(mean) >= values.mean() - 1e-12 for mean in means])
    assert sign_flip(values) == pytest.approx(expected)


def test_five_folds_could_never_be_significant_but_twenty_subjects_can() -> None:
    assert sign_flip(np.full(5, 10.0)) == pytest.approx(2 / 2**5)
    assert sign_flip(np.full(20, 0.1)) < 0.001


def test_no_difference_gives_one_and_one_subject_gives_no_test() -> None:
    assert sign_flip(np.zeros(4)) == 1
    assert math.isnan(sign_flip(np.array([1.0])))


def test_the_same_results_give_the_same_p_value() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, size=40)
    assert sign_flip(values) == sign_flip(values)


def test_holm_multiplies_by_the_hypotheses_left_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]


def test_holm_does_not_count_what_was_not_tested() -> None:
    corrected = holm([0.02, math.nan, 0.03])
    assert corrected[0] == pytest.approx(0.04) and math.isnan(corrected[1])
    assert holm([]) == []


def test_differences_are_means_over_subjects_not_over_images(workspace: Any) -> None:
    # Subject a has three images and gains 2 of 3, subject b has one and gains nothing, subject c loses its only one.
    none = [workspace.fer("n0", "aaab", "af ff hf aa"), workspace.fer("n1", "c", "aa")]
    mine = [workspace.fer("m0", "aaab", "aa ff hh aa"), workspace.fer("m1", "c", "ah")]
    workspace.record([workspace.row("none", "none", fer=none), workspace.row("m", "gan", fer=mine)])
    (result,) = compared(workspace)
    assert (result.metric, result.subjects) == ("accuracy", 3)
    assert result.difference == pytest.approx((200 / 3 + 0 - 100) / 3)


def test_only_subjects_that_both_rows_have_are_compared(workspace: Any) -> None:
    def quality(name: str, psnr: float) -> list[dict[str, str]]:
        return [workspace.quality(f"{name}{i}", s, [(0.5, psnr, 0.5, 60, 0.9)] * 2) for i, s in enumerate(("ab", "cd"))]

    partial = [quality("m", 21.0)[0], workspace.missing("gone")]
    workspace.record(
        [workspace.row("none", "none", quality=quality("n", 20)), workspace.row("m", "gan", quality=partial)]
    )
    found = {one.metric: one for one in compared(workspace)}
    assert (found["psnr"].subjects, found["psnr"].difference) == (2, 1)
    assert (found["lpips"].subjects, found["lpips"].difference) == (2, 0)
    assert "accuracy" not in found


def test_references_are_not_compared_and_without_a_base_nothing_is(workspace: Any) -> None:
    fer = [workspace.fer("a0", "ab", "aa ff"), workspace.fer("a1", "cd", "aa ff")]
    workspace.record([workspace.row("oracle", "reference", fer=fer), workspace.row("m", "gan", fer=fer)])
    assert compared(workspace) == []
    workspace.record([workspace.row("oracle", "reference", fer=fer), workspace.row("none", "none", fer=fer)])
    assert compared(workspace) == []


def test_infinite_psnr_is_left_out_rather_than_tested(workspace: Any) -> None:
    none = [workspace.quality("n", "ab", [(0.5, 20, 0.5, 60, 0.9)] * 2)]
    mine = [workspace.quality("m", "ab", [(0.5, "inf", 0.5, 60, 0.9), (0.5, 25, 0.5, 60, 0.9)])]
    workspace.record([workspace.row("none", "none", quality=none), workspace.row("m", "gan", quality=mine)])
    found = {one.metric: one for one in compared(workspace)}
    assert (found["psnr"].subjects, found["psnr"].difference) == (1, 5)
    assert math.isnan(found["psnr"].p_holm)


def test_the_table_has_exactly_its_columns_even_when_empty(workspace: Any) -> None:
    assert tuple(frame([]).columns) == COLUMNS
    fer = [workspace.fer("a0", "ab", "aa ff"), workspace.fer("a1", "cd", "aa ff")]
    workspace.record([workspace.row("none", "none", fer=fer), workspace.row("m", "gan", fer=fer)])
    table = frame(compared(workspace))
    assert tuple(table.columns) == COLUMNS and len(table) == 1
    assert "| Tiny" in write_markdown(compared(workspace), {"tiny": "Tiny"})
