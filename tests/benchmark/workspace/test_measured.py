"""What was measured beside LPIPS, PSNR and SSIM is looked after like all else: merged, kept, bundled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from workspaces import SUBJECTS, Made, Reference, two_rows

from nferbench.workspace.bundling import bundle, write_bundle
from nferbench.workspace.measured import with_measured
from nferbench.workspace.merging import merge_records, merge_stages
from nferbench.workspace.overview import overview
from nferbench.workspace.pruning import Named, pruning, remove
from nferbench.workspace.recorded import all_recorded
from nferbench.workspace.unbundling import unpacked
from nferbench_reports import write_report

GAP = {"name": "gap", "title": "Gap", "better": "lower", "decimals": 3, "lacking": "", "note": "", "identity": "g1"}


def measure(made: Made, stages: dict[str, Reference], name: str = "gap", identity: str = "g1") -> None:
    """Measure row alpha on both folds."""
    path = made.root / "records" / "run.json"
    said = json.loads(path.read_text())
    row = next(each for each in said["rows"] if each["name"] == "alpha")
    row["metrics"] = [*row.get("metrics", []), {**GAP, "name": name, "identity": identity}]
    for fold in row["folds"]:
        number = fold["fold"]
        rows = "".join(f"{who}-fear.png,{who},fear,{i / 7}\r\n" for i, who in enumerate(SUBJECTS[number::2]))
        table = f"id,subject,expression,value\r\n{rows}"
        translation = stages[f"translation-alpha{number}"]
        stage = made.stage("quality", f"alpha-{name}{number}", translation, files={"scores.csv": table})
        fold["metrics"] = [*fold.get("metrics", []), {"name": name, **stage}]
    path.write_text(json.dumps(said))


def alpha(root: Path) -> dict[str, Any]:
    (row,) = [row for row in json.loads((root / "records" / "run.json").read_text())["rows"] if row["name"] == "alpha"]
    found: dict[str, Any] = row
    return found


def test_what_a_record_measures_is_not_pruned_and_goes_with_its_row(tmp_path: Path) -> None:
    made = Made(tmp_path / "w")
    measure(made, two_rows(made))
    (recorded,), _ = all_recorded(made.root)
    assert len(recorded.rows[1].results) == 8
    assert not pruning(made.root, Named()).removals
    assert len(list(made.root.glob("quality/alpha-gap*"))) == 2
    found = pruning(made.root, Named(rows=("alpha",)))
    remove(made.root, found)
    assert not list(made.root.glob("quality/alpha*")) and len(list(made.root.glob("quality/*"))) == 2
    assert overview(made.root)


def test_measures_of_two_workspaces_become_one_row(tmp_path: Path) -> None:
    made = Made(tmp_path / "one")
    stages = two_rows(made)
    shutil.copytree(made.root, tmp_path / "two")
    other = Made(tmp_path / "two")
    measure(made, stages, "gap")
    measure(other, stages, "lit")
    taken = [*merge_stages(other.root, made.root), *merge_records(other.root, made.root)]
    assert [each.outcome for each in taken].count("linked") == 2
    assert (taken[-1].outcome, taken[-1].rows) == ("joined", 1)
    assert [each["name"] for each in alpha(made.root)["metrics"]] == ["gap", "lit"]
    assert [[each["name"] for each in fold["metrics"]] for fold in alpha(made.root)["folds"]] == [["gap", "lit"]] * 2
    again = [*merge_records(other.root, made.root)]
    assert [each.outcome for each in again] == ["same"]


def test_a_measure_stays_with_its_translation_alone() -> None:
    here = {
        "name": "m",
        "folds": [{"fold": 0, "translation": {"key": "t0"}}, {"fold": 1, "translation": {"key": "t1"}}],
    }
    gap = [{"name": "gap", "key": "k"}]
    there = {
        "metrics": [GAP],
        "folds": [
            {"fold": 0, "translation": {"key": "t0"}, "metrics": gap},
            {"fold": 1, "translation": {"key": "x"}, "metrics": gap},
        ],
    }
    joined = with_measured(here, there)
    assert joined["metrics"] == [GAP] and joined["folds"] == [{**here["folds"][0], "metrics": gap}, here["folds"][1]]  # type: ignore[index]
    none = {**there, "folds": [{**fold, "translation": {"key": "y"}} for fold in there["folds"]]}
    for odd in ({}, none, {"folds": 3}, {"metrics": [None], "folds": [{}]}, {"metrics": 7, **there, "folds": None}):
        assert with_measured(here, odd) == here


def test_tables_of_a_bundle_have_the_added_columns(tmp_path: Path) -> None:
    made = Made(tmp_path / "w")
    measure(made, two_rows(made))
    write_bundle(bundle(made.root, "run"), tmp_path / "b.zip")
    write_report(made.root, tmp_path / "here")
    with unpacked(tmp_path / "b.zip") as inside:
        report = write_report(inside, tmp_path / "there")
    assert not report.problems and "Gap ↓" in report.text
    for name in ("tables.csv", "significance.csv"):
        assert (tmp_path / "there" / name).read_text() == (tmp_path / "here" / name).read_text()
    assert ",gap," in (tmp_path / "here" / "tables.csv").read_text()
    assert not any(subject in report.text for subject in SUBJECTS)
