"""The share of the oracle's headroom, against ones worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap as reference
from scipy.stats import norm, t

from nferbench_reports import write_report
from nferbench_reports.headroom import COLUMNS, Recovery, frame, recovered, write_markdown
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results


def found(workspace: Any) -> dict[str, Recovery]:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return {one.method: one for one in recovered(record, results)}


def row(workspace: Any, name: str, group: str, answers: str, subjects: str = "aabbcc", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = workspace.row(name, group, fer=[workspace.fer(name, subjects, answers)], **more)
    return made


def three(workspace: Any, oracle: str = "aa aa aa aa aa af", **more: Any) -> None:
    """Subjects a, b and c with two images each: none has 1, 0, 0 right, m has 2, 1, 0, the ablation row 0, 1, 1."""
    rows = [
        row(workspace, "oracle", "reference", oracle),
        row(workspace, "none", "none", "aa af af af af af"),
        row(workspace, "m", "gan", "aa aa aa af af af"),
        row(workspace, "cond", "diffusion", "af af aa af aa af", tables=["ablation"]),
    ]
    workspace.record(rows, folds=1, **more)


def test_shares_are_those_worked_out_by_hand(workspace: Any) -> None:
    three(workspace)  # by subject: none 50, 0, 0; oracle 100, 100, 50; m 100, 50, 0; cond 0, 50, 50
    rows = found(workspace)
    assert list(rows) == ["oracle", "none", "m", "cond"]
    assert [one.accuracy for one in rows.values()] == pytest.approx([250 / 3, 50 / 3, 50, 100 / 3])
    assert [one.difference for one in rows.values()] == pytest.approx([200 / 3, 0, 100 / 3, 50 / 3])
    assert [one.share.share for one in rows.values()] == pytest.approx([100, 0, 50, 25])
    assert {one.subjects for one in rows.values()} == {one.share.share_subjects for one in rows.values()} == {3}
    assert (rows["oracle"].share.share_low, rows["oracle"].share.share_high) == (100, 100)
    # m gains 50, 50, 0 of 50, 100, 50. Draws of c alone give 0 of 50 and of a alone 50 of 50: 1/27 each, above 2.5 %.
    assert (rows["m"].low, rows["m"].high) == (0, 50)
    assert (rows["m"].share.share_low, rows["m"].share.share_high) == (0, 100)
    # cond gains -50, 50, 50: a alone loses all there is, c alone gains all.
    assert (rows["cond"].share.share_low, rows["cond"].share.share_high) == (-100, 100)


def test_a_share_and_its_headroom_are_of_the_same_resampled_subjects(workspace: Any) -> None:
    rng = np.random.default_rng(5)
    subjects = "".join(chr(ord("A") + i) * 4 for i in range(24))

    def answers(right: float) -> str:
        return " ".join("aa" if hit else "af" for hit in rng.random(96) < right)

    right = {"none": answers(0.3), "m": answers(0.5), "oracle": answers(0.8)}
    workspace.record(
        [row(workspace, name, "none" if name == "none" else "gan", text, subjects) for name, text in right.items()],
        folds=1,
    )
    by_subject = {
        name: np.array([answer == "aa" for answer in text.split()]).reshape(24, 4).mean(1)
        for name, text in right.items()
    }
    gain, headroom = by_subject["m"] - by_subject["none"], by_subject["oracle"] - by_subject["none"]
    theirs = reference(
        (gain, headroom),
        lambda above, below, axis: 100 * above.mean(axis=axis) / below.mean(axis=axis),
        paired=True,
        n_resamples=20_000,
        confidence_level=1 - 2 * norm.cdf(-math.sqrt(24 / 23) * t.ppf(0.975, 23)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(6),
    ).confidence_interval
    share = found(workspace)["m"].share
    assert share.share == pytest.approx(100 * gain.mean() / headroom.mean())
    assert (share.share_low, share.share_high) == pytest.approx((theirs.low, theirs.high), abs=1.5)
    assert share.share_high - share.share_low > 20


@pytest.mark.parametrize(
    ("oracle", "span"),
    [("aa af af af af af", "+0.00 to +0.00"), ("aa aa aa af af af", "+0.00 to +50.00"), ("af " * 6, "−50.00 to +0.00")],
)
def test_without_sure_headroom_there_is_no_share_but_a_reason(workspace: Any, oracle: str, span: str) -> None:
    three(workspace, oracle)
    rows = found(workspace)
    assert all(math.isnan(one.share.share) for one in rows.values())
    text = write_markdown(list(rows.values()), {"tiny": "Tiny"})
    reason = f"the interval of oracle − without translation over 3 subjects, {span} points, is not above 0"
    assert f"\n- Tiny: no share, {reason}\n" in text
    (line,) = (line for line in text.splitlines() if "| m " in line)
    assert [cell.strip() for cell in line.split("|")][5:-1] == ["+33.33", "+0.00", "+50.00", "–", "–", "–"]


def test_differences_use_all_subjects_of_both_rows_and_shares_those_of_the_oracle_too(workspace: Any) -> None:
    def folds(name: str, *answers: str) -> list[dict[str, str]]:
        return [
            workspace.fer(f"{name}{i}", s, text)
            for i, (s, text) in enumerate(zip(("ab", "c")[: len(answers)], answers, strict=True))
        ]

    oracle = [folds("oracle", "aa aa")[0], workspace.missing("gone")]
    rows = [
        workspace.row("oracle", "reference", fer=oracle),
        workspace.row("none", "none", fer=folds("none", "af af", "aa")),
        workspace.row("m", "gan", fer=folds("m", "aa af", "aa")),
    ]
    workspace.record(rows)
    m = found(workspace)["m"]
    assert (m.subjects, m.difference, m.accuracy) == (3, pytest.approx(100 / 3), pytest.approx(200 / 3))
    assert (m.share.share_subjects, m.share.share) == (2, 50)
    said = write_markdown([m], {"tiny": "Tiny"})
    assert "- Tiny, m: share over the 2 subjects that the oracle has too" in said


def test_an_oracle_without_results_leaves_differences_and_no_share(workspace: Any) -> None:
    rows = [
        workspace.row("oracle", "reference", fer=[workspace.missing("gone")]),
        row(workspace, "none", "none", "aa af", "ab"),
        row(workspace, "m", "gan", "aa aa", "ab"),
    ]
    workspace.record(rows, folds=1)
    made = found(workspace)
    assert list(made) == ["none", "m"] and made["m"].difference == 50
    assert "fewer than two" in made["m"].share.note and math.isnan(made["m"].share.share)


def test_the_report_has_the_table_where_there_is_an_oracle_and_no_older_one_elsewhere(
    workspace: Any, tmp_path: Path
) -> None:
    three(workspace)
    report = write_report(workspace.root, tmp_path / "out")
    file = tmp_path / "out" / "headroom.csv"
    assert file in report.paths and file.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert "**Headroom.**" in report.text and "9,999 draws" in report.text and "| *oracle* |" in report.text
    assert tuple(frame([]).columns) == COLUMNS
    assert {line.rsplit(",", 1)[1] for line in file.read_text().splitlines()[1:]} == {"1"}  # trainings
    workspace.record([row(workspace, "m2", "gan", "aa aa", "ab")], folds=1)
    without = write_report(workspace.root, tmp_path / "out", replace=True)
    assert "Headroom" not in without.text and not file.exists() and file not in without.paths
