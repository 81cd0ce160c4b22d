"""All pairs of rows, as the page has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.contract.errors import UsageError
from nferbench_reports import write_report
from nferbench_reports.comparisons import COLUMNS, compared_with, pairs, row_titles, section, too_few
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Sheet
from nferbench_reports.significance import compare

SUBJECTS = "abcdefghijklmnop"
USUAL = Asked()


def runs(workspace: Any) -> list[Run]:
    return [
        Run(
            workspace.root,
            stored.file,
            stored.record,
            tuple(load_results(workspace.root, row, stored.record.protocol.classes) for row in stored.record.rows),
        )
        for stored in read_records(workspace.root).chosen
    ]


def drawn(workspace: Any, names: Sequence[str], dataset: str = "tiny", **more: Any) -> None:
    """Rows with two images of each of 16 subjects, recognised better and better and measured in LPIPS and PSNR."""
    rng = np.random.default_rng(0)
    rows = []
    for place, name in enumerate(names):
        right = rng.random(32) < 0.3 + 0.15 * place
        scores = [(0.5 - 0.1 * place + 0.05 * rng.random(), 20 + place + rng.normal(), 0.5, 60, 0.9) for _ in right]
        rows.append(
            workspace.row(
                name,
                {"none": "none", "oracle": "reference"}.get(name, "gan"),
                fer=[
                    workspace.fer(f"{dataset}-{name}", SUBJECTS * 2, " ".join("aa" if hit else "af" for hit in right))
                ],
                quality=[workspace.quality(f"{dataset}-{name}-q", SUBJECTS * 2, scores)],
                title=name.upper(),
            )
        )
    workspace.record(rows, dataset, dataset=dataset, dataset_title=dataset.title(), folds=1, **more)


def compared(found: Sequence[Run], asked: Asked = USUAL) -> tuple[Any, ...]:
    """What a section of comparisons is made from."""
    return found, asked, [compare(run.record, run.tabled(), asked.convention) for run in found]


def test_every_row_is_compared_with_every_other_in_every_metric(workspace: Any) -> None:
    drawn(workspace, ["none", "oracle", "m", "nfer-sde"])
    frame = pairs(*compared(runs(workspace)))
    assert tuple(frame.columns) == COLUMNS and len(frame) == 4 * 3 * 4
    assert not frame.duplicated(["dataset", "metric", "against", "method"]).any()
    assert list(dict.fromkeys(frame["against_name"])) == ["none", "nfer-sde", "oracle", "m"]
    assert frame["p_holm"].isna().equals(frame["method_name"] == "oracle")
    assert list(dict.fromkeys(frame["metric"])) == ["Acc (points)", "PSNR (dB)", "LPIPS", "SSIM"]


def test_the_numbers_are_those_that_other_code_finds_in_the_stored_tables(workspace: Any) -> None:
    drawn(workspace, ["none", "m", "nfer-sde"])
    frame = pairs(*compared(runs(workspace))).set_index(["metric", "against_name", "method_name"])
    people = {
        name: pd.read_csv(workspace.root / "stages" / f"tiny-{name}-q" / "scores.csv").groupby("subject")["psnr"].mean()
        for name in ("m", "nfer-sde")
    }
    mine = frame.loc["PSNR (dB)", "nfer-sde", "m"]
    apart = people["m"] - people["nfer-sde"]
    assert mine["difference"] == pytest.approx(apart.mean()) and mine["spread"] == pytest.approx(apart.std())
    assert mine["effect"] == pytest.approx(apart.mean() / apart.std() * (1 - 3 / (4 * 15 - 1)), rel=1e-3)
    test = ttest_rel(people["m"], people["nfer-sde"])
    assert mine["p"] == pytest.approx(test.pvalue, abs=0.02)
    assert (mine["low"], mine["high"]) == pytest.approx(tuple(test.confidence_interval()), abs=0.2)
    assert math.isnan(frame.loc["SSIM", "none", "m"]["effect"])  # both are 0.5 everywhere


def test_readers_choose_data_set_metric_and_row_and_see_what_is_too_few(workspace: Any) -> None:
    drawn(workspace, ["none", "m", "nfer-sde"])
    made = section(*compared(runs(workspace)))
    assert made is not None
    (sheet,) = made.parts
    assert isinstance(sheet, Sheet) and sheet.pick == ("dataset", "metric", "against")
    assert {column.name for column in sheet.columns} | set(sheet.pick) <= set(sheet.frame.columns)
    few = sheet.frame[(sheet.frame["subjects"] < sheet.frame["subjects_needed"])]
    said = " ".join(sheet.notes)
    for line in few[few["against_name"] != "m"].itertuples():
        assert f"{line.method} (16 of {line.subjects_needed:,.0f})" in said
    assert "against M:" not in said  # nobody asked for it


def test_one_subject_is_told_and_is_no_error(workspace: Any) -> None:
    fer = [workspace.fer("n", "a", "af"), workspace.fer("m", "a", "aa")]
    rows = [workspace.row(name, "gan", fer=[stage]) for name, stage in zip(("none", "m"), fer, strict=True)]
    workspace.record(rows, folds=1)
    frame = pairs(*compared(runs(workspace)))
    assert frame["difference"].tolist() == [100, -100] and frame[["low", "high", "p", "effect"]].isna().all().all()
    assert "m (one subject)" in too_few(frame)[0]


def test_a_missing_fold_is_told_with_the_subjects_that_are_left(workspace: Any) -> None:
    def fer(name: str) -> list[dict[str, str]]:
        return [workspace.fer(f"{name}0", "ab", "aa ff"), workspace.fer(f"{name}1", "cd", "af ff")]

    rows = [workspace.row("none", "none", fer=fer("none")), workspace.row("m", "gan", fer=fer("m"))]
    rows.append(workspace.row("n", "gan", fer=[fer("n")[0], workspace.missing("gone")]))
    workspace.record(rows)
    made = section(*compared(runs(workspace), Asked(against=("none",))))
    assert made is not None and isinstance(sheet := made.parts[0], Sheet)
    assert sorted(sheet.frame["subjects"]) == [2, 2, 2, 2, 4, 4]
    assert "Tiny: 2 of 3 pairs are over fewer than 4 subjects" in sheet.notes[0]


def test_where_nothing_can_be_compared_there_is_no_section(workspace: Any) -> None:
    workspace.record([workspace.row("none", "none", fer=[workspace.missing("gone")])], folds=1)
    assert section(*compared(runs(workspace))) is None


def test_two_runs_of_one_data_set_and_two_rows_of_one_title_are_told_apart(workspace: Any) -> None:
    drawn(workspace, ["none", "m"])
    (one,) = runs(workspace)
    frame = pairs(*compared([one, Run(one.workspace, "records/other.json", one.record, one.results)]))
    assert set(frame["dataset"]) == {"Tiny (records/tiny.json)", "Tiny (records/other.json)"}
    assert row_titles({"a": "One", "b": "One", "c": "Two"}) == {"a": "One (a)", "b": "One (b)", "c": "Two"}


def test_rows_to_compare_with_are_those_named_or_the_usual_ones(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace, ["none", "m", "n"])
    found = runs(workspace)
    assert compared_with(None, found) == ("none",) and compared_with(["n", "m", "n"], found) == ("n", "m")
    with pytest.raises(UsageError, match="--against: the report has no row 'M'; it has: none, m, n"):
        compared_with(["n", "M"], found)
    with pytest.raises(UsageError, match="compared with no row; it has: none, m, n"):
        compared_with([], found)
    report = write_report(workspace.root, tmp_path, against=("n", "m"))
    assert "against N, " in report.text and "against M, " in report.text and "against NONE" not in report.text
    table = pd.read_csv(tmp_path / "significance.csv", keep_default_na=False)
    assert list(dict.fromkeys(table["against"])) == ["n", "m"] and len(table) == 2 * 2 * 4


def test_the_command_line_takes_names_and_ends_in_one_line_on_an_unknown_one(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace, ["none", "m"])
    words = ["report", "--workspace", str(workspace.root), "--out", str(tmp_path / "out"), "--against"]
    done = CliRunner().invoke(app, [*words, "m, none"])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "out" / "significance.csv")
    assert list(dict.fromkeys(table["against"])) == ["m", "none"]
    for unknown, said in (("m,x", "has no row 'x'; it has: none, m"), (",", "compared with no row; it has: none, m")):
        failed = CliRunner().invoke(app, [*words, unknown])
        assert isinstance(failed.exception, UsageError) and said in str(failed.exception)


def test_a_row_that_one_of_two_data_sets_lacks_is_told(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace, ["none", "m"])
    drawn(workspace, ["none", "n"], "other")
    found = runs(workspace)
    made = section(*compared(found, Asked(against=compared_with(["n"], found))))
    assert made is not None and isinstance(sheet := made.parts[0], Sheet)
    assert "Tiny has no row n to compare with." in sheet.notes
    assert set(sheet.frame["dataset"]) == {"Tiny", "Other"}
