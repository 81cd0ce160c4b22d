"""Frames of a workspace, against the tables and against numbers worked out by hand."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pandas as pd
import pytest

import nferbench_reports
from nferbench.contract.errors import DataError, UsageError
from nferbench_reports import cells, frames, load_runs, missing, predictions, scores, write_report

DOCS = Path(__file__).parents[2] / "docs" / "reports.md"
QUALITY = ((0.2, 10, 0.5, 52, 0.9), (0.4, 20, 0.6, 62, 0.8))


def measured(workspace: Any, name: str, group: str = "gan", prefix: str = "", **more: Any) -> dict[str, Any]:
    fer = [
        workspace.fer(f"{prefix}{name}0", "ab", "aa fh"),
        workspace.fer(f"{prefix}{name}1", "cd", "aa ff"),
    ]
    quality = [workspace.quality(f"{prefix}{name}q{fold}", "ab", QUALITY) for fold in (0, 1)]
    row: dict[str, Any] = workspace.row(name, group, fer=fer, quality=quality, **more)
    return row


def test_no_module_has_a_public_name() -> None:
    """Once it is imported, a module of that name stands in the place of the function."""
    assert not set(nferbench_reports.__all__) & {module.name for module in iter_modules(nferbench_reports.__path__)}


def test_cells_are_the_numbers_of_the_tables(workspace: Any, tmp_path: Path) -> None:
    rows = [measured(workspace, "m", title="M"), workspace.row("n", "none", fer=[workspace.missing("x")])]
    workspace.record(rows)
    found = cells(load_runs(workspace.root))
    assert tuple(found.columns) == frames.CELLS and set(found["method"]) == {"m"}
    assert len(found) == 7 and set(found["planned"]) == set(found["folds"]) == {2}
    for convention in ("standard", "paper"):
        write_report(workspace.root, tmp_path, convention=convention)
        table = pd.read_csv(tmp_path / "tables.csv", keep_default_na=False, na_values=[""]).fillna({"convention": ""})
        shared = ["dataset", "group", "method", "metric", "convention", "pooled", "mean", "std", "folds"]
        both = table[table["method"] == "m"].merge(found, on=shared)
        assert len(both) == 5


def test_scores_have_a_line_an_image_and_metric_in_both_conventions(workspace: Any) -> None:
    workspace.record([measured(workspace, "m", title="M")])
    found = scores(load_runs(workspace.root))
    assert tuple(found.columns) == frames.SCORES and len(found) == 2 * 2 * 5
    line = found[(found["metric"] == "psnr") & (found["convention"] == "paper") & (found["fold"] == 1)].iloc[1]
    assert line.to_dict() == {
        "record": "run",
        "dataset": "tiny",
        "method": "m",
        "title": "M",
        "group": "gan",
        "study": "",
        "fold": 1,
        "id": "mq1-1",
        "subject": "b",
        "expression": "anger",
        "metric": "psnr",
        "convention": "paper",
        "value": 62,
    }


def test_predictions_have_a_line_an_image_and_training(workspace: Any) -> None:
    row = measured(workspace, "m")
    for fold, subjects in zip(row["folds"], ("ab", "cd"), strict=True):
        fold["fer_repeats"] = [workspace.fer(f"again{fold['fold']}", subjects, "af fh")]
    workspace.record([row], fer_seeds=2)
    found = predictions(load_runs(workspace.root))
    assert tuple(found.columns) == frames.PREDICTIONS and len(found) == 8
    right = (found["expression"] == found["predicted"]).groupby([found["fold"], found["training"]]).mean()
    assert right.to_dict() == {(0, 0): 0.5, (0, 1): 0.0, (1, 0): 1.0, (1, 1): 0.0}
    accuracy = cells(load_runs(workspace.root)).query("metric == 'accuracy'")["pooled"]
    assert accuracy.tolist() == [pytest.approx(100 * right.mean())]


def test_class_scores_are_numbers_where_a_recogniser_gave_them(workspace: Any) -> None:
    row = {"id": "1", "subject": "a", "expression": "anger", "predicted": "fear", "note": "not ours"}
    given = workspace.stage("given", {"predictions.csv": [row | {"score:anger": "0.25", "score:fear": "0.75"}]})
    rows = [workspace.row("m", "gan", fer=[given]), workspace.row("n", "gan", fer=[workspace.fer("n", "a", "aa")])]
    workspace.record(rows, folds=1)
    found = predictions(load_runs(workspace.root))
    assert tuple(found.columns) == (*frames.PREDICTIONS, "score:anger", "score:fear")
    assert found["score:fear"].tolist()[0] == 0.75 and math.isnan(found["score:fear"].tolist()[1])


def test_what_is_missing_has_a_reason_and_no_line(workspace: Any) -> None:
    half = [workspace.fer("h0", "ab", "aa fh"), workspace.missing("gone", "failed", "no memory")]
    quality = [workspace.quality("q0", "ab", [("", 10, 0.5, 52, 0.9)] * 2, lpips_reason="no weights")]
    workspace.record([workspace.row("m", "gan", fer=half, quality=quality)])
    runs = load_runs(workspace.root)
    found = missing(runs)
    assert tuple(found.columns) == frames.MISSING
    told = {(each.metric, each.convention, each.fold): each.reason for each in found.itertuples()}
    assert told["recognition", "", 1] == "failed: no memory" and told["lpips", "", 0] == "no weights"
    assert told["ssim", "paper", 1] == "not part of the run" and ("psnr", "standard", 0) not in told
    assert set(predictions(runs)["fold"]) == set(scores(runs)["fold"]) == {0}
    assert "lpips" not in set(scores(runs)["metric"]) | set(cells(runs)["metric"])
    assert set(cells(runs)["folds"]) == {1} and set(cells(runs)["planned"]) == {2}


def test_recognition_that_no_fold_has_is_missing_with_the_reason_of_the_table(workspace: Any) -> None:
    quality = [workspace.quality(f"q{fold}", "ab", QUALITY) for fold in (0, 1)]
    rows = [
        workspace.row("m", "gan", quality=quality),
        workspace.row("nir-only", "reference", fer=[workspace.fer("f", "a", "aa")] * 2),
    ]
    workspace.record(rows, extra=None, without_extra="no extra set (--extra none)")
    found = missing(load_runs(workspace.root))
    assert set(found["method"]) == {"m"} and set(found["reason"]) == {"no extra set (--extra none)"}


def test_frames_of_nothing_have_their_columns(workspace: Any) -> None:
    workspace.record([])
    runs = load_runs(workspace.root)
    for frame, columns in (
        (cells, frames.CELLS),
        (scores, frames.SCORES),
        (predictions, frames.PREDICTIONS),
        (missing, frames.MISSING),
    ):
        assert tuple(frame(runs).columns) == columns and frame(runs).empty


def test_runs_are_those_of_the_report_and_what_cannot_be_read_is_warned_of(workspace: Any) -> None:
    workspace.record([measured(workspace, "m")], "one")
    workspace.record([measured(workspace, "m", prefix="two")], "two", preset="brief")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = load_runs(str(workspace.root), records=["one", "two"])
        assert set(cells(runs)["dataset"]) == {"tiny-quick", "tiny-brief"}
        assert [run.name for run in load_runs(workspace.root, preset="brief")] == ["two"]
    (workspace.root / "records" / "bad.json").write_text("{")
    with pytest.warns(UserWarning, match=r"^records/bad\.json: not readable"):
        assert len(load_runs(workspace.root)) == 1
    with pytest.raises(DataError, match=r"records/bad\.json"):
        load_runs(workspace.root, records=["bad"])
    with pytest.raises(UsageError, match="no record 'absent'"):
        load_runs(workspace.root, records=["absent"])


def test_the_example_of_the_docs_draws_its_figure(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert len(example.splitlines()) <= 11  # and a blank one
    workspace.record([measured(workspace, "m"), measured(workspace, "n")], "synthetic-hfe-quick-0123abcd")
    (tmp_path / "here" / "runs").mkdir(parents=True)
    workspace.root.rename(tmp_path / "here" / "runs" / "demo")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    drawn: dict[str, Any] = {}
    exec(example, drawn)
    assert drawn["shown"].to_dict("index") == {
        name: {"right": 0.75, "value": pytest.approx(0.3)} for name in ("m", "n")
    }
    assert (tmp_path / "here" / "lpips-and-accuracy.svg").read_text("utf-8").rstrip().endswith("</svg>")


def test_the_docs_name_the_columns_of_every_frame() -> None:
    text = DOCS.read_text("utf-8")
    lines = dict(re.findall(r"^\| `(\w+)\(runs\)` \| [^|]+ \| (.+) \|$", text, re.MULTILINE))
    told = {name: tuple(re.findall(r"`([a-z]+)`", re.sub(r"\(.*?\)", "", line))) for name, line in lines.items()}
    assert told == {
        name: columns[len(frames.ROW) :]
        for name, columns in {
            "cells": frames.CELLS,
            "scores": frames.SCORES,
            "predictions": frames.PREDICTIONS,
            "missing": frames.MISSING,
        }.items()
    }
    assert all(f"`{name}`" in text.split("Each begins with the row:")[1] for name in frames.ROW)
