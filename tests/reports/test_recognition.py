"""Expressions, confusions and subjects, worked out again by scikit-learn and pandas from the stored files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recognised import CLASSES, FOLDS, row, runs, stored, written
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from nferbench_reports import write_report
from nferbench_reports.answers import answered, told_apart
from nferbench_reports.recognition import confusions, per_expression, per_subject

ROWS = {"none": "none", "nfer-sde": "diffusion", "m": "gan"}


def drawn(workspace: Any, **protocol: Any) -> list[dict[str, Any]]:
    rows = [row(workspace, name, group, FOLDS) for name, group in ROWS.items()]
    workspace.record(rows, classes=list(CLASSES), fer_seeds=2, **protocol)
    return rows


def test_recall_precision_and_f1_are_those_of_scikit_learn(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace)
    write_report(workspace.root, tmp_path / "out")
    for name in ROWS:
        expected = np.mean(
            [
                precision_recall_fscore_support(frame["expression"], frame["predicted"], labels=CLASSES)
                for frame in (stored(workspace.root, name, (0, 1), seed) for seed in (0, 1))
            ],
            axis=0,
        )
        found = written(tmp_path / "out", "recognition", method=name)
        assert found["expression"].tolist() == ["'=cmd", "a,b", "score:x"]  # as cells that no spreadsheet runs
        assert found["support"].tolist() == expected[3].tolist() == [10, 10, 10]
        for place, column in enumerate(("precision", "recall", "f1")):
            assert found[column].tolist() == pytest.approx(100 * expected[place])
        assert set(found["folds"]) == set(found["trainings"]) == {2}


def test_gains_are_differences_from_without_translation(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace)
    write_report(workspace.root, tmp_path / "out")
    base, mine = (written(tmp_path / "out", "recognition", method=name) for name in ("none", "m"))
    for column in ("recall", "f1"):
        expected = mine[column].to_numpy() - base[column].to_numpy()
        assert mine[f"{column}_gain"].tolist() == pytest.approx(expected)
    assert base["recall_gain"].isna().all()


def test_confusions_and_their_differences_are_those_of_scikit_learn(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace)
    write_report(workspace.root, tmp_path / "out")
    columns = [f"predicted:{name}" for name in CLASSES]
    expected = {
        (name, unit): np.mean(
            [
                confusion_matrix(
                    frame["expression"],
                    frame["predicted"],
                    labels=CLASSES,
                    normalize="true" if unit == "percent" else None,
                )
                for frame in (stored(workspace.root, name, (0, 1), seed) for seed in (0, 1))
            ],
            axis=0,
        )
        * (100 if unit == "percent" else 1)
        for name in ROWS
        for unit in ("percent", "faces")
    }
    for (name, unit), matrix in expected.items():
        whole = written(tmp_path / "out", "confusion", method=name, unit=unit)
        assert whole["against"].fillna("").unique().tolist() == ["", "none", "nfer-sde"]
        for against, lines in whole.groupby(whole["against"].fillna("")):
            minus = expected[against, unit] if against else 0
            assert lines[columns].to_numpy() == pytest.approx(matrix - minus, abs=1e-8)


def test_subjects_are_paired_and_those_who_gain_most_come_first(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace)
    write_report(workspace.root, tmp_path / "out")

    def accuracy(name: str) -> pd.Series[float]:
        frames = pd.concat(stored(workspace.root, name, (0, 1), seed) for seed in (0, 1))
        right = frames["expression"] == frames["predicted"]
        return 100 * right.groupby(frames["subject"]).mean()

    assert set(written(tmp_path / "out", "subjects")["method"]) == {"nfer-sde", "m"}
    found = written(tmp_path / "out", "subjects", method="m").set_index("subject")
    gain = accuracy("m") - accuracy("none")
    assert found["gain"].to_dict() == pytest.approx(gain.to_dict(), abs=1e-8)
    assert found["accuracy"].to_dict() == pytest.approx(accuracy("m").to_dict())
    assert set(found["faces"]) == {6}
    assert found["gain"].is_monotonic_decreasing


def test_an_expression_that_is_never_predicted_has_no_precision(workspace: Any) -> None:
    rows = [workspace.row("none", "none", fer=[workspace.fer("a", "ab", "aa fa")])]
    workspace.record(rows, folds=1)
    found = per_expression(answered(runs(workspace.root))).set_index("expression")
    assert found["precision"].fillna(-1).tolist() == [50, -1, -1]
    assert found["recall"].fillna(-1).tolist() == [100, 0, -1]  # nobody showed happiness
    assert found["f1"].tolist() == pytest.approx([200 / 3, 0, 0])
    matrix = confusions(answered(runs(workspace.root)), ("none",))
    percents = matrix[(matrix["unit"] == "percent") & (matrix["against"] == "")]
    assert percents["predicted:anger"].fillna(-1).tolist() == [100, 100, -1]


def test_differences_are_of_the_folds_that_both_rows_have(workspace: Any) -> None:
    rows = [
        workspace.row("none", "none", fer=[workspace.fer("n0", "ab", "aa aa"), workspace.fer("n1", "cd", "af ff")]),
        workspace.row("m", "gan", fer=[workspace.missing("m0"), workspace.fer("m1", "cd", "aa ff")]),
        workspace.row("late", "gan", fer=[workspace.fer("l0", "ab", "af aa"), workspace.missing("l1")]),
    ]
    workspace.record(rows)
    found = answered(runs(workspace.root))
    assert [one.note for one in found] == ["", "1 of 2 folds: fold 0: not run yet", "1 of 2 folds: fold 1: not run yet"]
    lines = per_expression(found).query("method == 'm' and expression == 'anger'")
    assert lines[["recall", "recall_gain", "folds", "shared_folds"]].to_numpy().tolist() == [[100, 100, 1, 1]]
    assert per_subject(found).query("method == 'm'")["subject"].tolist() == ["c", "d"]
    matrix = confusions(found, ("none", "late")).query("method == 'm' and unit == 'faces' and expression == 'anger'")
    assert matrix["folds"].tolist() == [1, 1, 0]
    assert matrix["predicted:anger"].fillna(-1).tolist() == [1, 1, -1]  # no fold that m and late both have


def test_a_row_without_any_fold_has_no_numbers_and_a_reason(workspace: Any) -> None:
    rows = [
        workspace.row("none", "none", fer=[workspace.fer("n0", "ab", "aa ff")]),
        workspace.row("m", "gan", fer=[workspace.missing("m0", "failed", "too bright", "recognition m")]),
    ]
    workspace.record(rows, folds=1)
    found = answered(runs(workspace.root))
    lines = per_expression(found).query("method == 'm'")
    assert lines["recall"].isna().all() and lines["recall_gain"].isna().all() and set(lines["folds"]) == {0}
    assert "too bright" in found[1].note
    assert set(confusions(found, ("none",))["method"]) == {"none"} and per_subject(found).empty


def test_one_subject_is_enough(workspace: Any) -> None:
    rows = [
        workspace.row(name, group, fer=[workspace.fer(name, "a", answer)])
        for name, group, answer in (("none", "none", "af"), ("m", "gan", "aa"))
    ]
    workspace.record(rows, folds=1, subjects=1)
    found = per_subject(answered(runs(workspace.root)))
    assert found[["subject", "faces", "accuracy", "without", "gain"]].to_numpy().tolist() == [["a", 1, 100, 0, 100]]


def test_rows_and_data_sets_of_one_title_are_told_apart(workspace: Any) -> None:
    for name in ("one", "two"):
        rows = [
            workspace.row(row, "gan", fer=[workspace.fer(f"{name}{row}", "ab", "aa ff")], title="Same")
            for row in ("m", "n")
        ]
        workspace.record(rows, name, dataset=name, folds=1)
    found = answered(runs(workspace.root))
    assert [(one.dataset_title, one.title) for one in found] == [
        ("Tiny (one)", "Same (m)"),
        ("Tiny (one)", "Same (n)"),
        ("Tiny (two)", "Same (m)"),
        ("Tiny (two)", "Same (n)"),
    ]
    assert told_apart(["a", "b"], ["x", "y"]) == ["a", "b"]


def test_classes_of_several_data_sets_stand_in_one_table(workspace: Any) -> None:
    for name, classes in (("one", ["anger", "fear"]), ("two", ["anger", "fear", "happiness"])):
        made = workspace.row("none", "none", fer=[workspace.fer(name, "ab", "aa ff")])
        workspace.record([made], name, dataset=name, dataset_title=name, classes=classes, folds=1)
    found = confusions(answered(runs(workspace.root)), ())
    assert found[found["dataset"] == "one"]["predicted:happiness"].isna().all()
    assert not found[(found["dataset"] == "two") & (found["unit"] == "faces")]["predicted:happiness"].isna().any()
