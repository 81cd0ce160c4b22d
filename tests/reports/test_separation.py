"""What cannot be told from the best of a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from nferbench_reports import latex, markdown, write_report
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.separation import marked
from nferbench_reports.significance import compare
from nferbench_reports.table import Table
from nferbench_reports.tables import comparison

TWELVE = "abcdefghijkl"


def table(workspace: Any) -> Table:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return marked(comparison(record, results, 1, "standard", False), compare(record, results, "standard"))


def rows(workspace: Any, subjects: str, **answers: str) -> None:
    groups = {"none": "none", "oracle": "reference"}
    workspace.record(
        [
            workspace.row(name, groups.get(name, "gan"), fer=[workspace.fer(name, subjects, text)])
            for name, text in answers.items()
        ],
        folds=1,
    )


def separable(made: Table) -> dict[str, bool | None]:
    return {row.name: cell.separable for row in made.rows if (cell := row.cells[0]) is not None}


def test_rows_near_the_best_are_marked_and_the_best_and_references_are_not(workspace: Any) -> None:
    good, near, far = "aa " * 12, "aa " * 10 + "af af", "af " * 12
    rows(workspace, TWELVE, none=far, oracle=near, near=near, good=good)
    made = table(workspace)
    assert separable(made) == {"none": True, "oracle": None, "near": False, "good": None}
    text, tex = markdown.write_table(made), latex.write_table(made)
    assert "83.33 ≈ |" in text and text.count("≈") == 2 and "≈ not separable from the best" in text
    assert r"83.33$^{\approx}$" in tex and tex.count(r"\approx") == 2
    assert all(row.cells[1] is None or row.cells[1].separable is None for row in made.rows)  # macro F1


def test_rows_that_are_equal_to_the_best_as_printed_stay_bold_and_bare(workspace: Any) -> None:
    rows(workspace, TWELVE, none="af " * 12, m="aa " * 11 + "af", n="af " + "aa " * 11)
    made = table(workspace)
    assert separable(made) == {"none": True, "m": None, "n": False}
    assert markdown.write_table(made).count("**91.67** |") == 2


def test_too_few_subjects_have_no_marks_but_a_note_of_how_many_are_needed(workspace: Any) -> None:
    rows(workspace, "abcdef", none="af " * 6, m="aa " * 6, n="aa " * 5 + "af")
    made = table(workspace)
    assert set(separable(made).values()) == {None} and "≈" not in markdown.write_table(made)
    (remark,) = [one for one in made.remarks if "subjects" in one]
    assert remark.startswith("6 subjects cannot show that any of 2 other rows differs from the best")
    assert remark.endswith("at least 7 are needed.")  # 2 * 2 / 2**7 < 0.05


def test_one_subject_and_no_second_row_are_no_errors(workspace: Any) -> None:
    rows(workspace, "a", none="af", m="aa")
    assert any(one.startswith("1 subject cannot") for one in table(workspace).remarks)
    rows(workspace, "b", only="aa")
    assert separable(table(workspace)) == {"only": None}


def test_a_row_that_is_best_in_fewer_folds_is_not_what_others_are_held_against(workspace: Any) -> None:
    def fer(name: str, first: str) -> list[dict[str, str]]:
        return [workspace.fer(f"{name}0", TWELVE, first), workspace.fer(f"{name}1", TWELVE.upper(), first)]

    whole = [("none", "af " * 12), ("m", "aa " * 9 + "af " * 3)]
    made = [workspace.row(name, "gan", fer=fer(name, text)) for name, text in whole]
    partial = [fer("n", "aa " * 12)[0], workspace.missing("gone")]
    workspace.record([*made, workspace.row("n", "gan", fer=partial)])
    assert separable(table(workspace)) == {"none": True, "m": None, "n": False}  # n: three of twelve, all to its gain


def test_the_csv_says_which_rows_are_separable_of_tables_and_ablation(workspace: Any, tmp_path: Path) -> None:
    answers = {"none": "af " * 12, "m": "aa " * 12, "cond": "aa " * 11 + "af"}
    workspace.record(
        [
            workspace.row(name, "gan", fer=[workspace.fer(name, TWELVE, text)], tables=["comparison", "ablation"])
            for name, text in answers.items()
        ],
        folds=1,
    )
    write_report(workspace.root, tmp_path)
    frame = pd.read_csv(tmp_path / "tables.csv", keep_default_na=False)
    accuracy = frame[frame["metric"] == "accuracy"]
    for kind in ("comparison", "ablation"):
        found = accuracy[accuracy["table"] == kind].set_index("method")["separable"]
        assert found.to_dict() == {"none": "yes", "m": "", "cond": "no"}
