"""Columns of metrics that a run added: their numbers, marks, remarks, and why some are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nferbench_reports import latex, markdown, significance
from nferbench_reports.record import Record
from nferbench_reports.records import read_records
from nferbench_reports.report import write_report
from nferbench_reports.results import Results, load_results
from nferbench_reports.table import Cell, Table
from nferbench_reports.tables import ablation, comparison, long_frame

GAP = {"name": "gap", "title": "Gap_1", "better": "lower", "decimals": 3, "identity": "g1"}
LIT = {"name": "lit", "title": "Lit", "better": "higher", "decimals": 1, "lacking": "it is dark", "identity": "l1"}


def measured(workspace: Any, key: str, values: Sequence[object], subjects: str = "aabb") -> dict[str, str]:
    rows = [
        {"id": f"{subject}-{i}", "subject": subject, "expression": "anger", "value": value}
        for i, (subject, value) in enumerate(zip(subjects, values, strict=True))
    ]
    stage: dict[str, str] = workspace.stage(key, {"scores.csv": rows})
    return stage


def row(
    workspace: Any,
    name: str,
    folds: Sequence[Mapping[str, dict[str, str]]],
    *metrics: dict[str, Any],
    group: str = "gan",
) -> dict[str, Any]:
    """A row with a quality stage a fold, and in each fold the measures that are given by name."""
    scores = [(0.2, 10, 0.5, 52, 0.9)] * 4
    quality = [workspace.quality(f"{name}-q{fold}", "aabb", scores) for fold in range(len(folds))]
    made: dict[str, Any] = workspace.row(name, group, quality=quality, metrics=list(metrics))
    for fold, given in zip(made["folds"], folds, strict=True):
        fold["metrics"] = [{"name": metric, **stage} for metric, stage in given.items()]
    return made


def read(workspace: Any) -> tuple[Record, list[Results]]:
    record = read_records(workspace.root).chosen[0].record
    classes = record.protocol.classes
    return record, [load_results(workspace.root, each, classes, record.metrics()) for each in record.rows]


def compared(workspace: Any) -> Table:
    return comparison(*read(workspace), 1, "standard", False)


def cell(table: Table, name: str, metric: str) -> Cell:
    found = next(each for each in table.rows if each.name == name)
    position = [column.metric for column in table.columns].index(metric)
    value = found.cells[position]
    assert value is not None
    return value


def two(workspace: Any) -> None:
    one = [{"gap": measured(workspace, "a0", (1, 2, 3, 4)), "lit": measured(workspace, "b0", (5, 5, 5, 5))}]
    other = [{"gap": measured(workspace, "a1", (2, 3, 4, 5)), "lit": measured(workspace, "b1", (9, 9, 9, 9))}]
    reference = workspace.row("nir-only", "reference", fer=[workspace.fer("f", "ab", "aa ff")])
    workspace.record([reference, row(workspace, "m", one, GAP, LIT), row(workspace, "n", other, GAP, LIT)], folds=1)


def test_columns_follow_those_of_the_paper_and_are_marked_by_direction(workspace: Any) -> None:
    two(workspace)
    table = compared(workspace)
    assert [column.title for column in table.columns[2:]] == ["LPIPS ↓", "PSNR ↑", "SSIM ↑", "Gap_1 ↓", "Lit ↑"]
    assert (cell(table, "m", "gap").pooled, cell(table, "n", "lit").pooled) == (2.5, 9)
    assert (table.best(5), table.best(6)) == ({"m"}, {"n"})
    text = markdown.write_table(table)
    assert "**2.500**" in text and "**9.0**" in text and "**3.500**" not in text
    (line,) = [line for line in text.splitlines() if "nir-only" in line]
    assert [part.strip() for part in line.split("|")][-3:-1] == ["–", "–"]
    tex = latex.write_table(table)
    assert r"\multicolumn{5}{c}{Image quality}" in tex and r"Gap\_1 $\downarrow$" in tex and r"\textbf{2.500}" in tex
    frame = long_frame([table]).set_index(["method", "metric"])
    assert frame.loc[("n", "gap"), "pooled"] == 3.5 and frame.loc[("n", "lit"), "folds"] == 1


def test_a_fold_without_its_number_is_a_dash_with_the_reason(workspace: Any) -> None:
    good = measured(workspace, "a0", (1, 2, 3, 4))
    failed = workspace.missing("a1", "failed", "metric 'gap' gives nan for face x", "quality m-gap")
    folds = [{"gap": good}, {"gap": failed}]
    whole = [{"gap": measured(workspace, f"c{fold}", (5, 5, 5, 5))} for fold in (0, 1)]
    workspace.record([row(workspace, "m", folds, GAP), row(workspace, "n", whole, GAP), row(workspace, "o", [{}, {}])])
    table = compared(workspace)
    assert cell(table, "m", "gap").folds == (0,) and "gives nan for face x" in cell(table, "m", "gap").note
    assert table.best(5) == set()  # the one with both folds has nobody to be compared with
    assert cell(table, "o", "gap").pooled is None
    assert cell(table, "o", "gap").note == "none of 2 folds: not measured; nferbench run --metrics gap does it"


def test_a_column_is_one_metric_and_not_one_name(workspace: Any) -> None:
    new = row(workspace, "m", [{"gap": measured(workspace, "a0", (1, 2, 3, 4))}], {**GAP, "identity": "g2"})
    old = row(workspace, "n", [{"gap": measured(workspace, "a1", (1, 1, 1, 1))}], GAP)
    workspace.record([new, old], folds=1)
    table = compared(workspace)
    assert cell(table, "m", "gap").pooled == 2.5 and cell(table, "n", "gap").pooled is None
    assert "measured by gap with other settings than the newest run" in cell(table, "n", "gap").note


def test_faces_that_give_no_measure_are_left_out_of_all_rows_and_counted(workspace: Any) -> None:
    one = [
        {"lit": measured(workspace, "b0", (4, "", 6, 6))},
        {"lit": measured(workspace, "b1", ("", "", "", ""), "ccdd")},
    ]
    note = {**LIT, "note": "how lit it is"}
    workspace.record([row(workspace, "m", one, note)])
    table = compared(workspace)
    lit = cell(table, "m", "lit")
    assert (lit.pooled, lit.folds, lit.note) == (pytest.approx(16 / 3), (0,), "1 of 2 folds: fold 1: it is dark")
    assert "Lit: how lit it is; 1 of 4 faces are left out in all rows: it is dark." in table.remarks


def test_the_ablation_has_a_column_of_each_added_metric(workspace: Any) -> None:
    rows = [
        row(workspace, name, [{"gap": measured(workspace, name, values)}], {**GAP, "note": "a gap"})
        for name, values in (("cond", (1, 2, 3, 4)), ("cond+eh", (1, 1, 1, 1)))
    ]
    workspace.record([{**each, "tables": ["ablation"]} for each in rows], folds=1)
    table = ablation([read(workspace)], 1, beside_paper=False)
    assert table is not None
    assert [column.title for column in table.columns] == ["Acc (%)", "F1 (%)", "Gap_1 ↓"]
    assert cell(table, "cond", "gap").pooled == 2.5 and table.best(2) == {"cond+eh"}
    assert table.remarks == ("Gap_1: a gap.",)
    assert "Tiny Gap_1 ↓" in markdown.write_table(table).replace("\\", "")


def test_a_measure_of_images_that_were_made_again_is_not_shown(workspace: Any) -> None:
    images = np.zeros((4, 2, 2, 3), np.uint8)
    translation = workspace.images(workspace.stage("t", {}), images)
    made = json.loads((workspace.root / "stages" / "t" / "stage.json").read_text())["files"]["images.npy"]["sha256"]
    rows = [{"id": f"a-{i}", "subject": "a", "expression": "anger", "value": i} for i in range(4)]
    stage = workspace.stage("a0", {"scores.csv": rows}, measured=made)
    mine = row(workspace, "m", [{"gap": stage}], GAP)
    mine["folds"][0]["translation"] = translation
    workspace.record([mine], folds=1)
    assert cell(compared(workspace), "m", "gap").pooled == 1.5
    workspace.images(translation, images + 1)
    again = cell(compared(workspace), "m", "gap")
    assert again.pooled is None and "nferbench run --metrics gap --again gap" in again.note
    assert cell(compared(workspace), "m", "psnr").pooled == 10


@pytest.mark.parametrize("value", ["", "nan", "inf", "much"])
def test_what_is_no_number_is_not_averaged(workspace: Any, value: str) -> None:
    stages = {"gap": measured(workspace, "a0", (1, value, 3, 4)), "lit": measured(workspace, "b0", (1, value, 3, 4))}
    workspace.record([row(workspace, "m", [stages], GAP, LIT)], folds=1)
    table = compared(workspace)
    assert "gap is not a number for some images" in cell(table, "m", "gap").note
    assert (cell(table, "m", "lit").pooled is None) == (value != "")


def test_methods_are_compared_over_subjects_by_added_metrics_too(workspace: Any) -> None:
    none = row(workspace, "none", [{"gap": measured(workspace, "a0", (1, 3, 5, 5))}], GAP, group="none")
    mine = row(workspace, "m", [{"gap": measured(workspace, "a1", (1, 1, 2, 4))}], GAP)
    workspace.record([none, mine], folds=1)
    found = significance.compare(*read(workspace), "standard")
    (gap,) = [one for one in found if one.metric == "gap" and one.against == "none"]
    assert (gap.found.subjects, gap.found.difference) == (2, -1.5)
    assert "| Gap_1  " in significance.write_markdown(
        [gap], {"tiny": "Tiny"}
    ) and "−1.500" in significance.write_markdown([gap], {"tiny": "Tiny"})


@pytest.mark.parametrize(
    "wrong",
    [{"name": "psnr"}, {"name": "accuracy"}, {"better": "up"}, {"decimals": 40}, {"title": ""}, {"name": None}],
)
def test_a_row_whose_metric_cannot_be_is_left_out_and_named(workspace: Any, tmp_path: Path, wrong: Any) -> None:
    good = row(workspace, "good", [{"gap": measured(workspace, "a0", (1, 2, 3, 4))}], GAP)
    bad = row(workspace, "bad", [{}], {**GAP, **wrong})
    workspace.record([good, bad], folds=1)
    report = write_report(workspace.root, tmp_path / "out")
    (problem,) = report.problems
    assert "rows.1.metrics" in problem
    assert set(pd.read_csv(tmp_path / "out" / "tables.csv")["method"]) == {"good"}


def test_texts_of_a_record_stay_texts(workspace: Any) -> None:
    stage = measured(workspace, "a0", (1, 2, 3, 4))
    odd = {**GAP, "title": "=1|<b>\x1b[1m", "note": "see [x](http://y)"}
    workspace.record([row(workspace, "m", [{"gap": stage}], odd)], folds=1)
    text = markdown.write_table(compared(workspace))
    assert r"=1\|\<b>\x1b[1m" in text.replace("\\\\", "\\") and "](http" not in text.replace(r"\](", "")


def test_records_of_earlier_versions_have_no_such_columns(workspace: Any) -> None:
    two(workspace)
    path = next((workspace.root / "records").glob("*.json"))
    said = json.loads(path.read_text())
    for each in said["rows"]:
        each.pop("metrics", None)
        for fold in each["folds"]:
            fold.pop("metrics", None)
    path.write_text(json.dumps(said))
    table = compared(workspace)
    assert [column.metric for column in table.columns] == ["accuracy", "macro_f1", "lpips", "psnr", "ssim"]
    assert len(table.remarks) == 1
