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


def test_without_a_base_nothing_is_compared(workspace: Any) -> None:
    fer = [workspace.fer("a0", "ab", "aa ff"), workspace.fer("a1", "cd", "aa ff")]
    workspace.record([workspace.row("oracle", "reference", fer=fer), workspace.row("m", "gan", fer=fer)])
    assert compared(workspace) == []


def test_references_are_compared_and_take_no_part_in_the_correction(workspace: Any) -> None:
    answers = {"nir-only": "af af af ff", "oracle": "aa aa aa ff", "m": "aa aa af ff", "none": "af af af fa"}
    groups = {"nir-only": "reference", "oracle": "reference", "m": "gan", "none": "none"}
    workspace.record(
        [
            workspace.row(name, groups[name], fer=[workspace.fer(name, "abcd", text)], title=name)
            for name, text in answers.items()
        ]
    )
    found = {one.method: one for one in compared(workspace)}
    assert {name: one.difference for name, one in found.items()} == {"nir-only": 25, "oracle": 100, "m": 75}
    assert found["oracle"].p == pytest.approx(2 / 2**4) and (found["oracle"].low, found["oracle"].high) == (100, 100)
    assert found["m"].p_holm == found["m"].p and math.isnan(found["oracle"].p_holm)
    text = write_markdown(list(found.values()), {"tiny": "Tiny"})
    assert "| *oracle*   |" in text and "| m  " in text


def test_intervals_are_of_the_mean_over_subjects(workspace: Any) -> None:
    none = [workspace.fer("n0", "ab", "af ff"), workspace.fer("n1", "c", "aa")]
    mine = [workspace.fer("m0", "ab", "aa ff"), workspace.fer("m1", "c", "ah")]
    workspace.record([workspace.row("none", "none", fer=none), workspace.row("m", "gan", fer=mine)])
    (result,) = compared(workspace)  # +100, 0 and -100: three times the same subject has a chance of 1/27 > 2.5 %
    assert (result.difference, result.low, result.high) == (0, -100, 100)
    (line,) = write_markdown([result], {"tiny": "Tiny"}).splitlines()[2:]
    assert [cell.strip() for cell in line.split("|")][4:8] == ["3", "+0.00", "−100.00", "+100.00"]


def test_accuracy_of_a_subject_is_its_mean_over_images_and_trainings(workspace: Any) -> None:
    none = workspace.row("none", "none", fer=[workspace.fer("n", "aab", "af af ff")])
    mine = workspace.row("m", "gan", fer=[workspace.fer("m", "aab", "aa af ff")])
    none["folds"][0]["fer_repeats"] = [workspace.fer("n1", "aab", "aa af ff")]
    mine["folds"][0]["fer_repeats"] = [workspace.fer("m1", "aab", "aa aa fa")]
    workspace.record([none, mine], folds=1, fer_seeds=2)
    (result,) = compared(workspace)  # a: 3 of 4 instead of 1 of 4, b: 1 of 2 instead of 2 of 2
    assert (result.subjects, result.difference, result.low, result.high) == (2, 0, -50, 50)


def test_infinite_psnr_is_left_out_rather_than_tested(workspace: Any) -> None:
    none = [workspace.quality("n", "ab", [(0.5, 20, 0.5, 60, 0.9)] * 2)]
    mine = [workspace.quality("m", "ab", [(0.5, "inf", 0.5, 60, 0.9), (0.5, 25, 0.5, 60, 0.9)])]
    workspace.record([workspace.row("none", "none", quality=none), workspace.row("m", "gan", quality=mine)])
    found = {one.metric: one for one in compared(workspace)}
    assert (found["psnr"].subjects, found["psnr"].difference) == (1, 5)
    assert math.isnan(found["psnr"].p_holm) and math.isnan(found["psnr"].low)
    assert "+5.00 |   – |    – |   – |        – |" in write_markdown([found["psnr"]], {"tiny": "Tiny"})


def test_the_table_has_exactly_its_columns_even_when_empty(workspace: Any) -> None:
    assert tuple(frame([]).columns) == COLUMNS
    fer = [workspace.fer("a0", "ab", "aa ff"), workspace.fer("a1", "cd", "aa ff")]
    workspace.record([workspace.row("none", "none", fer=fer), workspace.row("m", "gan", fer=fer)])
    table = frame(compared(workspace))
    assert tuple(table.columns) == COLUMNS and len(table) == 1
    assert "| Tiny" in write_markdown(compared(workspace), {"tiny": "Tiny"})


def test_each_difference_says_how_many_trainings_stand_behind_it(workspace: Any) -> None:
    rows = [
        workspace.row(
            name,
            group,
            [workspace.fer(f"{name}{i}", "ab", "aa ff") for i in range(2)],
            [workspace.quality(f"{name}q{i}", "ab", [(0.1, 20, 0.5, 62, 0.9)] * 2) for i in range(2)],
        )
        for name, group in (("none", "none"), ("m", "gan"), ("n", "gan"))
    ]
    for row in rows:
        for fold in row["folds"]:
            fold["fer_repeats"] = [workspace.fer(f"{row['name']}{fold['fold']}again", "ab", "aa fa")]
    workspace.record(rows, fer_seeds=2)
    counts = frame(compared(workspace)).set_index(["method", "metric"])["trainings"]
    assert (counts["m", "accuracy"], counts["n", "accuracy"]) == (2, 2)
    assert counts[:, "psnr"].isna().all() and counts[:, "lpips"].isna().all()
