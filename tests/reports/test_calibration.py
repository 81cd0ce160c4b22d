"""Calibration from stored class scores, worked out again by scikit-learn and pandas from the stored files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recognised import CLASSES, FOLDS, drawn, row, runs, stored, written
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from nferbench_reports import write_report
from nferbench_reports.answers import answered
from nferbench_reports.calibration import BINS, Scored, reliability, scored, summary

SHARES = [f"score:{name}" for name in CLASSES]


def of(workspace: Any) -> list[Scored]:
    return [scored(one) for one in answered(runs(workspace.root))]


def test_calibration_is_that_of_scikit_learn(workspace: Any, tmp_path: Path) -> None:
    workspace.record([row(workspace, "none", "none", FOLDS)], classes=list(CLASSES), fer_seeds=2)
    write_report(workspace.root, tmp_path / "out")
    expected = []
    for seed in (0, 1):
        frame = stored(workspace.root, "none", (0, 1), seed)
        likely = frame[SHARES].astype(float).to_numpy()
        likely /= likely.sum(axis=1, keepdims=True)  # of six digits each
        right = (frame["expression"] == frame["predicted"]).to_numpy()
        sure = likely.max(axis=1)
        bins = np.clip(np.ceil(sure * BINS) - 1, 0, BINS - 1)
        gaps = pd.DataFrame({"bin": bins, "gap": right - sure}).groupby("bin")["gap"].agg(["size", "mean"])
        expected.append(
            {
                "confidence": 100 * sure.mean(),
                "accuracy": 100 * right.mean(),
                "ece": 100 * float((gaps["size"] * gaps["mean"].abs()).sum() / len(right)),
                "brier": brier_score_loss(frame["expression"], likely, labels=CLASSES, scale_by_half=False),
                "nll": log_loss(frame["expression"], likely, labels=CLASSES),
            }
        )
    (found,) = written(tmp_path / "out", "calibration").to_dict("records")
    for name, value in pd.DataFrame(expected).mean().items():
        assert found[str(name)] == pytest.approx(value, rel=1e-5), name
    assert found["overconfidence"] == pytest.approx(found["confidence"] - found["accuracy"])
    assert (found["faces"], found["folds"], found["trainings"]) == (30, 2, 2)


def test_bins_of_reliability_are_those_of_scikit_learn(workspace: Any, tmp_path: Path) -> None:
    workspace.record([row(workspace, "none", "none", FOLDS)], classes=list(CLASSES), fer_seeds=2)
    write_report(workspace.root, tmp_path / "out")
    frame = pd.concat(stored(workspace.root, "none", (0, 1), seed) for seed in (0, 1))
    sure = frame[SHARES].astype(float).max(axis=1)
    accuracy, confidence = calibration_curve(frame["expression"] == frame["predicted"], sure, n_bins=BINS)
    found = written(tmp_path / "out", "reliability")
    assert len(found) == BINS and found["faces"].sum() == 30
    some = found[found["faces"] > 0]
    assert some["accuracy"].tolist() == pytest.approx(100 * accuracy)
    assert some["confidence"].tolist() == pytest.approx(100 * confidence)
    assert found[found["faces"] == 0]["accuracy"].isna().all()


def test_a_probability_on_an_edge_is_of_the_bin_below_and_none_is_lost(workspace: Any) -> None:
    rows = [
        {"id": str(i), "subject": "a", "expression": "anger", "predicted": "anger", **shares}
        for i, shares in enumerate(
            {"score:anger": share, "score:fear": f"{1 - float(share):g}"} for share in ("0.5", "0.6", "0.61", "1")
        )
    ]
    made = workspace.row("none", "none", fer=[workspace.stage("n0", {"predictions.csv": rows})])
    workspace.record([made], folds=1, classes=["anger", "fear"])
    found = reliability(of(workspace))
    assert found["faces"].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 1]


def test_a_wrong_answer_that_was_held_certain_has_a_finite_likelihood(workspace: Any) -> None:
    rows = [{"id": "1", "subject": "a", "expression": "anger", "predicted": "fear", "score:anger": 0, "score:fear": 1}]
    made = workspace.row("none", "none", fer=[workspace.stage("n0", {"predictions.csv": rows})])
    workspace.record([made], folds=1, classes=["anger", "fear"])
    (line,) = summary(of(workspace)).to_dict("records")
    assert line["nll"] == pytest.approx(-np.log(np.finfo(float).eps)) and line["brier"] == 2 and line["ece"] == 100


def test_predictions_of_earlier_versions_say_how_scores_are_stored(workspace: Any) -> None:
    made = workspace.row("none", "none", fer=[drawn(workspace, f"n{i}", FOLDS[i], scored=False) for i in (0, 1)])
    workspace.record([made], classes=list(CLASSES))
    found = of(workspace)
    (line,) = summary(found).to_dict("records")
    assert np.isnan(line["ece"]) and np.isnan(line["accuracy"]) and line["folds"] == 0
    again = "class scores are not stored; 'nferbench run … --again resnet18' stores them"
    assert [one.note for one in found] == [f"none of 2 folds: {again}"]
    assert reliability(found).empty


def test_only_folds_whose_trainings_all_have_scores_count(workspace: Any) -> None:
    made = workspace.row("none", "none", fer=[drawn(workspace, f"n{i}", FOLDS[i]) for i in (0, 1)])
    for fold, scored_too in zip(made["folds"], (True, False), strict=True):
        number = fold["fold"]
        fold["fer_repeats"] = [drawn(workspace, f"r{number}", FOLDS[number], scored=scored_too)]
    workspace.record([made], classes=list(CLASSES), fer_seeds=2)
    (one,) = of(workspace)
    assert one.note.startswith("1 of 2 folds: fold 1: class scores are not stored by 1 of 2 trainings")
    (line,) = summary([one]).to_dict("records")
    assert (line["faces"], line["folds"], line["trainings"]) == (18, 1, 2)


@pytest.mark.parametrize(
    "shares", [("0.7", "0.7"), ("1.5", "-0.5"), ("nan", "1"), ("all", "1"), ("", "1"), ("0.9", "0.1"), ("inf", "0")]
)
def test_scores_that_are_no_probabilities_of_the_answer_are_not_used(workspace: Any, shares: tuple[str, str]) -> None:
    scores = dict(zip(("score:anger", "score:fear"), shares, strict=True))
    rows = [{"id": "1", "subject": "a", "expression": "fear", "predicted": "fear", **scores}]
    made = workspace.row("none", "none", fer=[workspace.stage("n0", {"predictions.csv": rows})])
    workspace.record([made], folds=1, classes=["anger", "fear"])
    (one,) = of(workspace)
    assert "class scores are no probabilities of what was predicted" in one.note and one.folds == 0
    assert one.answered.note == ""  # the answers themselves still count


def test_a_missing_fold_is_missing_here_too(workspace: Any) -> None:
    made = workspace.row("none", "none", fer=[drawn(workspace, "n0", FOLDS[0]), workspace.missing("n1")])
    workspace.record([made], classes=list(CLASSES))
    (one,) = of(workspace)
    assert one.note == "1 of 2 folds: fold 1: not run yet" and one.folds == 1
