"""Any two rows compared over subjects."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.significance import COLUMNS, compare, frame, write_markdown


def compared(workspace: Any, against: str = "none") -> list[Any]:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return [one for one in compare(record, results, "standard") if one.against == against]


def test_differences_are_means_over_subjects_not_over_images(workspace: Any) -> None:
    # Subject a has three images and gains 2 of 3, subject b has one and gains nothing, subject c loses its only one.
    none = [workspace.fer("n0", "aaab", "af ff hf aa"), workspace.fer("n1", "c", "aa")]
    mine = [workspace.fer("m0", "aaab", "aa ff hh aa"), workspace.fer("m1", "c", "ah")]
    workspace.record([workspace.row("none", "none", fer=none), workspace.row("m", "gan", fer=mine)])
    (result,) = compared(workspace)
    assert (result.metric, result.found.subjects) == ("accuracy", 3)
    assert result.found.difference == pytest.approx((200 / 3 + 0 - 100) / 3)


def test_only_subjects_that_both_rows_have_are_compared(workspace: Any) -> None:
    def quality(name: str, psnr: float) -> list[dict[str, str]]:
        return [workspace.quality(f"{name}{i}", s, [(0.5, psnr, 0.5, 60, 0.9)] * 2) for i, s in enumerate(("ab", "cd"))]

    partial = [quality("m", 21.0)[0], workspace.missing("gone")]
    workspace.record(
        [workspace.row("none", "none", quality=quality("n", 20)), workspace.row("m", "gan", quality=partial)]
    )
    found = {one.metric: one for one in compared(workspace)}
    assert (found["psnr"].found.subjects, found["psnr"].found.difference) == (2, 1)
    assert (found["lpips"].found.subjects, found["lpips"].found.difference) == (2, 0)
    assert "accuracy" not in found


def test_a_row_that_was_not_run_is_no_reference_of_others(workspace: Any) -> None:
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
    assert {name: one.found.difference for name, one in found.items()} == {"nir-only": 25, "oracle": 100, "m": 75}
    assert found["oracle"].found.p == pytest.approx(2 / 2**4) and (
        found["oracle"].found.low,
        found["oracle"].found.high,
    ) == (100, 100)
    assert found["m"].p_holm == found["m"].found.p and math.isnan(found["oracle"].p_holm)
    text = write_markdown(list(found.values()), {"tiny": "Tiny"})
    assert "| *oracle*   |" in text and "| m  " in text


def test_intervals_are_of_the_mean_over_subjects(workspace: Any) -> None:
    none = [workspace.fer("n0", "ab", "af ff"), workspace.fer("n1", "c", "aa")]
    mine = [workspace.fer("m0", "ab", "aa ff"), workspace.fer("m1", "c", "ah")]
    workspace.record([workspace.row("none", "none", fer=none), workspace.row("m", "gan", fer=mine)])
    (result,) = compared(workspace)  # +100, 0 and -100: three times the same subject has a chance of 1/27 > 2.5 %
    assert (result.found.difference, result.found.low, result.found.high) == (0, -100, 100)
    (line,) = write_markdown([result], {"tiny": "Tiny"}).splitlines()[2:]
    assert [cell.strip() for cell in line.split("|")][4:8] == ["3", "+0.00", "−100.00", "+100.00"]


def test_accuracy_of_a_subject_is_its_mean_over_images_and_trainings(workspace: Any) -> None:
    none = workspace.row("none", "none", fer=[workspace.fer("n", "aab", "af af ff")])
    mine = workspace.row("m", "gan", fer=[workspace.fer("m", "aab", "aa af ff")])
    none["folds"][0]["fer_repeats"] = [workspace.fer("n1", "aab", "aa af ff")]
    mine["folds"][0]["fer_repeats"] = [workspace.fer("m1", "aab", "aa aa fa")]
    workspace.record([none, mine], folds=1, fer_seeds=2)
    (result,) = compared(workspace)  # a: 3 of 4 instead of 1 of 4, b: 1 of 2 instead of 2 of 2
    assert (result.found.subjects, result.found.difference, result.found.low, result.found.high) == (2, 0, -50, 50)


def test_infinite_psnr_is_left_out_rather_than_tested(workspace: Any) -> None:
    none = [workspace.quality("n", "ab", [(0.5, 20, 0.5, 60, 0.9)] * 2)]
    mine = [workspace.quality("m", "ab", [(0.5, "inf", 0.5, 60, 0.9), (0.5, 25, 0.5, 60, 0.9)])]
    workspace.record([workspace.row("none", "none", quality=none), workspace.row("m", "gan", quality=mine)])
    found = {one.metric: one for one in compared(workspace)}
    assert (found["psnr"].found.subjects, found["psnr"].found.difference) == (1, 5)
    assert math.isnan(found["psnr"].p_holm) and math.isnan(found["psnr"].found.low)
    assert "+5.00 |   – |    – |      – |   – |        – |      – |" in write_markdown(
        [found["psnr"]], {"tiny": "Tiny"}
    )


def test_the_table_has_exactly_its_columns_even_when_empty(workspace: Any) -> None:
    assert tuple(frame([]).columns) == COLUMNS
    fer = [workspace.fer("a0", "ab", "aa ff"), workspace.fer("a1", "cd", "aa ff")]
    workspace.record([workspace.row("none", "none", fer=fer), workspace.row("m", "gan", fer=fer)])
    table = frame(compared(workspace))
    assert tuple(table.columns) == COLUMNS and len(table) == 1
    assert "| Tiny" in write_markdown(compared(workspace), {"tiny": "Tiny"})


def test_any_two_rows_are_compared_and_turned_around_only_the_sign_changes(workspace: Any) -> None:
    answers = {"none": "af af ff hf aa", "m": "aa ff ff hh aa", "n": "aa ff fa hh ah"}
    workspace.record(
        [workspace.row(n, "gan", fer=[workspace.fer(n, "abcde", text)]) for n, text in answers.items()], folds=1
    )
    (forth,) = [one for one in compared(workspace, "n") if one.method == "m"]
    (back,) = [one for one in compared(workspace, "m") if one.method == "n"]
    assert forth.found.difference == 40 and back.found.difference == -40
    assert (back.found.low, back.found.high) == (-forth.found.high, -forth.found.low)
    assert back.found.effect == -forth.found.effect and back.found.p == forth.found.p
    assert (forth.title, forth.against_title) == ("m", "n")


def test_each_reference_row_has_a_correction_of_its_own(workspace: Any) -> None:
    answers = {"none": "af " * 8, "m": "aa " * 8, "n": "aa " * 7 + "af"}
    workspace.record(
        [workspace.row(n, "gan", fer=[workspace.fer(n, "abcdefgh", text)]) for n, text in answers.items()], folds=1
    )
    p = {(one.against, one.method): (one.found.p, one.p_holm) for who in answers for one in compared(workspace, who)}
    assert p["none", "m"] == (2 / 2**8, 4 / 2**8) and p["none", "n"] == (2 / 2**7, 2 / 2**7)
    assert p["m", "none"] == (2 / 2**8, 4 / 2**8) and p["m", "n"] == (1, 1)


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
