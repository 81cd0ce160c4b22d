"""The curves of studies: from records and results to numbers, text, CSV and a picture."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nferbench_reports import write_report
from nferbench_reports.columns import Convention
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.studies import COLUMNS, Studies, caption, read_studies, told


def place(value: object, **more: Any) -> dict[str, Any]:
    own = {
        "name": "m-weight",
        "method": "m",
        "field": "weight",
        "value": value,
        "default": 1.0,
        "held": [],
        "rest": "r",
    }
    return {"tables": ["study"], "title": f"M, weight = {value}", "study": own | more}


def tried(workspace: Any, value: object, psnr: float = 20, folds: int = 2, **more: Any) -> dict[str, Any]:
    """A row of a study with six images of four people; of `folds` folds there are results."""
    name = f"m{value}{more.get('name', '')}".replace(".", "_")
    fer = [workspace.fer(f"{name}f0", "aab", "aa ff fh"), workspace.fer(f"{name}f1", "ccd", "aa fa ff")]
    quality = [
        workspace.quality(f"{name}q{i}", people, [(0.1, psnr + i, 0.5, psnr + 42, 0.9)] * 3)
        for i, people in enumerate(("aab", "ccd"))
    ]
    gone = [workspace.missing(f"{name}x{i}") for i in range(2)]
    row: dict[str, Any] = workspace.row(
        f"m-weight-{value}",
        "diffusion",
        fer=[*fer[:folds], *gone[folds:]],
        quality=[*quality[:folds], *gone[folds:]],
        **place(value, **more),
    )
    return row


def reference(workspace: Any, name: str, group: str, title: str, psnr: float) -> dict[str, Any]:
    quality = [
        workspace.quality(f"{name}{i}", p, [(0.2, psnr, 0.4, 60, 0.9)] * 3) for i, p in enumerate(("aab", "ccd"))
    ]
    row: dict[str, Any] = workspace.row(name, group, quality=quality, title=title)
    return row


def read(workspace: Any, convention: Convention = "standard") -> Studies:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    found = read_studies(record, results, convention)
    assert found is not None
    return found


def test_points_are_what_the_rows_reached_in_order_of_their_values(workspace: Any) -> None:
    workspace.record([tried(workspace, 10, 22), tried(workspace, 0.5, 18), tried(workspace, 2, 20)])
    (study,) = read(workspace).studies
    lpips, psnr, ssim, accuracy = study.curves
    assert [point.value for point in psnr] == [0.5, 2, 10]
    assert [point.height for point in psnr] == [18.5, 20.5, 22.5]
    assert [point.height for point in lpips] == pytest.approx([0.1] * 3)
    assert [point.height for point in ssim] == [0.5] * 3
    assert [point.height for point in accuracy] == pytest.approx([100 * 4 / 6] * 3)
    assert {(point.subjects, point.images, len(point.cell.folds)) for point in psnr} == {(4, 6, 2)}
    low, high = psnr[0].interval or (math.nan, math.nan)
    assert 18 <= low < 18.5 < high <= 19


def test_intervals_draw_people_with_all_their_images(workspace: Any) -> None:
    # Of a's one image and b's three: aa, ab, ba, bb are equally likely, and their means 0, 6, 6, 8.
    quality = [workspace.quality("q0", "abbb", [(value / 10, value, 0.5, 60, 0.9) for value in (0, 8, 8, 8)])]
    workspace.record([workspace.row("m-weight-1", "diffusion", quality=quality, **place(1))])
    (study,) = read(workspace).studies
    assert (study.curves[1][0].height, study.curves[1][0].interval) == (6, (0, 8))
    assert study.curves[2][0].interval == (0.5, 0.5)


def test_one_person_has_no_interval(workspace: Any) -> None:
    quality = [workspace.quality("q0", "aa", [(0.1, 3, 0.5, 60, 0.9), (0.1, 5, 0.5, 60, 0.9)])]
    workspace.record([workspace.row("m-weight-1", "diffusion", quality=quality, **place(1))])
    (study,) = read(workspace).studies
    assert study.curves[1][0].height == 4 and study.curves[1][0].interval is None


def test_recognition_of_several_trainings_is_averaged_and_images_are_counted_once(workspace: Any) -> None:
    fer = [workspace.fer("s0", "aabb", "aa ff fh ff"), workspace.fer("s1", "aabb", "aa fa fh ff")]
    row = workspace.row("m-weight-1", "diffusion", fer=fer[:1], **place(1))
    row["folds"][0]["fer_repeats"] = [fer[1]]
    workspace.record([row], fer_seeds=2, folds=1)
    found = read(workspace)
    (point,) = found.studies[0].curves[3]
    assert (point.height, point.subjects, point.images) == (pytest.approx(62.5), 2, 4)
    assert point.interval == pytest.approx((50, 75))
    assert "recognition averaged over 2 trainings." in caption(found)


def test_the_convention_is_that_of_the_tables(workspace: Any) -> None:
    workspace.record([tried(workspace, 1, 20)])
    (study,) = read(workspace, "paper").studies
    assert [curve[0].height for curve in study.curves[:3]] == [pytest.approx(0.1), 62, pytest.approx(0.9)]
    assert study.curves[2][0].interval == pytest.approx((0.9, 0.9))
    assert "'paper' convention" in caption(read(workspace, "paper"))


def test_values_that_are_no_numbers_follow_as_they_were_listed(workspace: Any) -> None:
    workspace.record([tried(workspace, value) for value in (None, 50, "linear", 5, True)])
    (study,) = read(workspace).studies
    assert [point.value for point in study.curves[0]] == [5, 50, None, "linear", True]


def test_rows_without_results_are_gaps_with_their_reason(workspace: Any) -> None:
    workspace.record([tried(workspace, 1), tried(workspace, 2, folds=0), tried(workspace, 3, folds=1)])
    found = read(workspace)
    _, psnr, *_ = found.studies[0].curves
    assert [point.height for point in psnr] == [20.5, None, 20] and psnr[1].interval is None
    assert [found.lacks(1, point.cell) for point in psnr] == [False, True, True]
    lines = told(found.studies[0])
    assert "m-weight, weight = 2: none of 2 folds: not run yet." in lines
    assert "m-weight, weight = 3: 1 of 2 folds: fold 1: not run yet." in lines


def test_where_all_rows_lack_a_fold_none_is_marked(workspace: Any) -> None:
    workspace.record([tried(workspace, 1, folds=1), tried(workspace, 2, folds=1)])
    found = read(workspace)
    assert not any(found.lacks(i, point.cell) for i in range(4) for point in found.studies[0].curves[i])


def test_an_endless_value_is_told_and_not_drawn(workspace: Any) -> None:
    workspace.record([tried(workspace, 1, math.inf), tried(workspace, 2)])
    found = read(workspace)
    assert [point.height for point in found.studies[0].curves[1]] == [None, 20.5]
    assert "m-weight, weight = 1 (PSNR): infinite, so not drawn." in told(found.studies[0])


def test_rows_of_other_settings_are_no_part_of_a_curve(workspace: Any) -> None:
    workspace.record([tried(workspace, 1), tried(workspace, 2, rest="other"), tried(workspace, 3)])
    (study,) = read(workspace).studies
    assert [point.value for point in study.curves[0]] == [1, 3]
    assert "m-weight: m-weight-2 left out, of a run with other settings than the newest" in told(study)[-1]


def test_the_text_says_what_is_varied_what_is_held_and_how_many_stand_behind_it(workspace: Any) -> None:
    rows = [tried(workspace, 1, held=["cells = 4"]), tried(workspace, 2.5, held=["cells = 4"])]
    workspace.record([*rows, reference(workspace, "cond", "diffusion", "Cond", 19)])
    found = read(workspace)
    (line,) = told(found.studies[0])
    assert line == "m-weight: varied: weight of m, 1, 2.5, where it has 1; held: cells = 4, and all else as m has it."
    text = caption(found)
    assert "4 subjects (LPIPS, PSNR, SSIM, accuracy: 6 images)" in text
    assert "95 % interval over subjects" in text and "level lines: Cond." in text


def test_what_must_be_known_of_rows_is_told_with_the_values_that_it_is_of(workspace: Any) -> None:
    rows = [tried(workspace, 1), tried(workspace, 2)]
    workspace.record([{**rows[0], "stamps": ["pre-trained", "clamped"]}, {**rows[1], "stamps": ["pre-trained"]}])
    assert told(read(workspace).studies[0])[1:] == ["m-weight: pre-trained.", "m-weight, weight = 1: clamped."]


def test_the_csv_has_a_line_for_each_value_and_metric_and_gaps_stay_empty(workspace: Any, tmp_path: Path) -> None:
    workspace.record([tried(workspace, 1), tried(workspace, None, folds=0)])
    write_report(workspace.root, tmp_path)
    lines = list(csv.DictReader((tmp_path / "studies.csv").read_text().splitlines()))
    assert tuple(lines[0]) == COLUMNS and len(lines) == 8
    psnr = {line["value"]: line for line in lines if line["metric"] == "psnr"}
    assert (psnr["1"]["pooled"], psnr["1"]["folds"], psnr["1"]["subjects"]) == ("20.5", "2", "4")
    assert (psnr["null"]["pooled"], psnr["null"]["low"], psnr["null"]["folds"]) == ("", "", "0")


def test_rows_of_studies_stand_in_no_table_and_change_no_test(workspace: Any, tmp_path: Path) -> None:
    others = [
        reference(workspace, "none", "none", "Without translation", 9),
        reference(workspace, "m", "diffusion", "M", 19),
    ]
    path = workspace.record(others)
    before = write_report(workspace.root, tmp_path / "before")
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "rows": [*kept["rows"], tried(workspace, 1), tried(workspace, 5)]}))
    after = write_report(workspace.root, tmp_path / "after")
    assert {path.name for path in after.paths} - {path.name for path in before.paths} == {
        "studies.csv",
        "study-tiny.png",
    }
    for one in before.paths:
        if one.name not in ("report.md", "report.html", "report.json"):
            assert (tmp_path / "after" / one.name).read_bytes() == one.read_bytes()
    assert after.text.startswith(before.text) and "![Studies on Tiny](study-tiny.png)" in after.text


def test_where_no_row_is_finished_nothing_is_drawn_and_the_text_says_why(workspace: Any, tmp_path: Path) -> None:
    workspace.record([tried(workspace, 1, folds=0)])
    (tmp_path / "study-tiny.png").write_bytes(b"old")
    report = write_report(workspace.root, tmp_path)
    assert not (tmp_path / "study-tiny.png").exists()
    assert "No figure of the studies on Tiny: no row of them is finished." in report.text
    assert "m-weight, weight = 1: none of 2 folds: not run yet." in report.text


def test_nothing_older_stays_where_there_is_no_study(workspace: Any, tmp_path: Path) -> None:
    workspace.record([reference(workspace, "none", "none", "Without translation", 9)])
    for name in ("studies.csv", "study-tiny.png"):
        (tmp_path / name).write_bytes(b"old")
    report = write_report(workspace.root, tmp_path)
    assert "Studies" not in report.text and not list(tmp_path.glob("stud*"))


AXES: dict[str, list[object]] = {
    "decades": [0.001, 1, 1000],
    "small": [2, 4, 8, 16],
    "with a zero": [0, 1, 100],
    "below zero": [-3, 5],
    "many": list(range(1, 21)),
    "alone": [3],
    "null": [5, 50, None],
    "words": ["linear", "bi$cubic_{", "x" * 60],
    "truth": [False, True],
    "huge": [1.0, 1e308],
    "whole": [1, 2**62],
}


@pytest.mark.parametrize("values", AXES.values(), ids=AXES)
def test_every_kind_of_values_can_be_drawn(workspace: Any, tmp_path: Path, values: list[object]) -> None:
    rows = [tried(workspace, i, 15 + i) for i in range(len(values))]
    for row, value in zip(rows, values, strict=True):
        row["study"] |= {"value": value, "default": values[0], "held": ["$x = 3", "_" * 50]}
    workspace.record([*rows, reference(workspace, "none", "none", "Without $translation_", math.inf)])
    assert write_report(workspace.root, tmp_path).problems == ()
    with Image.open(tmp_path / "study-tiny.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[0] > pixels.shape[1] > 300 and (pixels < 60).mean() > 0.002


def test_the_same_results_give_the_same_picture_whatever_is_configured(workspace: Any, tmp_path: Path) -> None:
    import matplotlib

    workspace.record([tried(workspace, 1), tried(workspace, 2), reference(workspace, "none", "none", "None", 9)])
    write_report(workspace.root, tmp_path / "one")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30, "text.parse_math": True}):
        write_report(workspace.root, tmp_path / "two")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "one/study-tiny.png").read_bytes() == (tmp_path / "two/study-tiny.png").read_bytes()


def test_more_studies_than_fit_side_by_side_go_below(workspace: Any, tmp_path: Path) -> None:
    sizes = []
    for count in (5, 6):
        rows = [tried(workspace, 1, name=f"s{count}-{i}") | {"name": f"row{i}"} for i in range(count)]
        workspace.record(rows)
        write_report(workspace.root, tmp_path)
        with Image.open(tmp_path / "study-tiny.png") as picture:
            sizes.append(picture.size)
    assert sizes[1][0] == sizes[0][0] and sizes[1][1] > 1.5 * sizes[0][1]


@pytest.mark.parametrize(
    "change", [{"value": [1]}, {"value": math.nan}, {"value": 10**400}, {"name": None}, {"rest": 3}, {"held": "x"}]
)
def test_a_row_whose_place_cannot_be_read_is_named(workspace: Any, change: dict[str, Any]) -> None:
    bad = tried(workspace, 2)
    workspace.record([tried(workspace, 1), {**bad, "study": bad["study"] | change}])
    records = read_records(workspace.root)
    (problem,) = records.problems
    assert "rows.1.study" in problem
    assert [row.name for row in records.chosen[0].record.rows] == ["m-weight-1"]
