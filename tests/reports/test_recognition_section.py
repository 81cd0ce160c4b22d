"""What the page says of recognition."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pandas as pd
from recognised import CLASSES, FOLDS, row, runs

from nferbench_reports import write_report
from nferbench_reports.recognition_section import section
from nferbench_reports.reliability_figure import draw
from nferbench_reports.runs import Asked
from nferbench_reports.section import Figure, Section, Sheet


def sheets(found: Section) -> dict[str, Sheet]:
    return {part.name: part for part in found.parts if isinstance(part, Sheet)}


def made(workspace: Any) -> Section:
    found = section(runs(workspace.root), Asked())
    assert found is not None
    return found


def test_every_sheet_shows_columns_that_its_frame_has(workspace: Any) -> None:
    rows = [row(workspace, name, group, FOLDS) for name, group in (("none", "none"), ("m", "gan"))]
    workspace.record(rows, classes=list(CLASSES), fer_seeds=2)
    found = made(workspace)
    assert [*sheets(found)] == ["recognition", "confusion", "subjects", "calibration", "reliability"]
    for sheet in sheets(found).values():
        assert {*sheet.pick, *(shown.name for shown in sheet.columns)} <= {*sheet.frame.columns}
        assert not sheet.frame.columns.duplicated().any()
        assert all(shown.title.isprintable() for shown in sheet.columns)
    assert "Tiny, recognition averaged over 2 trainings." in found.text
    (figure,) = [part for part in found.parts if isinstance(part, Figure)]
    assert figure.sheet == "reliability"


def test_rows_that_lack_folds_are_named_once_below_each_table(workspace: Any) -> None:
    rows = [
        workspace.row("none", "none", fer=[workspace.fer("n0", "ab", "aa ff"), workspace.fer("n1", "cd", "af ff")]),
        *(workspace.row(m, "gan", fer=[workspace.missing(m), workspace.fer(f"{m}1", "cd", "aa ff")]) for m in "xy"),
    ]
    workspace.record(rows)
    for name in ("recognition", "confusion", "subjects"):
        assert "Tiny, x, y: 1 of 2 folds: fold 0: not run yet." in sheets(made(workspace))[name].notes
    notes = sheets(made(workspace))["calibration"].notes
    again = "class scores are not stored; 'nferbench run … --again resnet18' stores them."
    assert f"Tiny, none: none of 2 folds: {again}" in notes


def test_a_precision_that_is_no_number_is_explained_where_there_is_one(workspace: Any) -> None:
    for key, answers, said in (("all", "aa ff hh", False), ("two", "aa fa hh", True)):
        lost = workspace.row("m", "gan", fer=[workspace.missing("m0")])
        known = workspace.row("none", "none", fer=[workspace.fer(key, "abc", answers)])
        workspace.record([known, lost], folds=1)
        notes = sheets(made(workspace))["recognition"].notes
        assert any("Precision has no number" in note for note in notes) == said


def test_without_scores_there_is_neither_a_table_of_bins_nor_a_figure(workspace: Any, tmp_path: Path) -> None:
    workspace.record([workspace.row("none", "none", fer=[workspace.fer("n0", "ab", "aa ff")])], folds=1)
    assert [*sheets(made(workspace))] == ["recognition", "confusion", "calibration"]
    written = {path.name for path in write_report(workspace.root, tmp_path / "out").paths}
    assert {"recognition.csv", "confusion.csv", "calibration.csv"} <= written and "reliability.csv" not in written


def test_there_is_no_section_where_nothing_was_recognised(workspace: Any) -> None:
    workspace.record([workspace.row("none", "none", quality=[workspace.quality("q", "a", [(1, 2, 3, 4, 5)])])])
    assert section(runs(workspace.root), Asked()) is None


def bins(title: str, *methods: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"dataset_title": title, "method": m, "title": f"_{m}", "confidence": x, "accuracy": x - 5.0}
            for m in methods
            for x in (30.0, 60.0, float("nan"))
        ]
    )


def test_the_figure_is_one_element_that_takes_the_colour_of_the_page(workspace: Any) -> None:
    odd = "$x_1$ <b>&\u4eba"
    svg = draw(bins(odd, "none", "m", "n"), ("none", "nfer-sde"))
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg") and svg.startswith("<svg")
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {odd, "_none", "other rows"} <= texts and "_m" not in texts
    assert "currentColor" in svg and "#010203" not in svg and "#ffffff" not in svg and "<dc:date>" not in svg
    assert svg == draw(bins(odd, "none", "m", "n"), ("none", "nfer-sde"))
