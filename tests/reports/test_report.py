"""The whole report."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import UsageError
from nferbench_reports import write_report


def recognised(workspace: Any, prefix: str, name: str, group: str, **more: Any) -> dict[str, Any]:
    fer = [workspace.fer(f"{prefix}{name}0", "ab", "aa fh"), workspace.fer(f"{prefix}{name}1", "cd", "aa ff")]
    row: dict[str, Any] = workspace.row(name, group, fer=fer, **more)
    return row


def both(workspace: Any) -> None:
    for dataset, title in (("large-hfe", "Large-HFE"), ("oulu-casia", "Oulu-CASIA")):
        rows = [
            recognised(workspace, dataset, "none", "none"),
            recognised(workspace, dataset, "nfer-sde", "diffusion", tables=["comparison", "ablation"]),
            recognised(workspace, dataset, "cond", "diffusion", tables=["ablation"]),
        ]
        workspace.record(rows, dataset, dataset=dataset, dataset_title=title)


def test_tables_are_numbered_as_in_the_paper(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    report = write_report(workspace.root, tmp_path / "out")
    captions = [line.split(".**")[1].split(". ")[0] for line in report.text.splitlines() if line.startswith("**Table")]
    assert captions == [
        " The compared methods on Oulu-CASIA",
        " The compared methods on Large-HFE",
        " Ablation study on Oulu-CASIA and Large-HFE",
    ]
    assert [f"**Table {i}.**" in report.text for i in (1, 2, 3, 4)] == [True, True, True, False]


def test_every_path_of_the_report_was_written_and_nothing_else(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    report = write_report(workspace.root, tmp_path / "new" / "out")
    assert {path.name for path in report.paths} == {
        "report.html",
        "report.md",
        "tables.tex",
        "table-comparison-oulu-casia.tex",
        "table-comparison-oulu-casia.csv",
        "table-comparison-large-hfe.tex",
        "table-comparison-large-hfe.csv",
        "table-ablation.tex",
        "table-ablation.csv",
        "table-significance-oulu-casia.tex",
        "table-significance-large-hfe.tex",
        "table-significance-oulu-casia-nfer-sde.tex",
        "table-significance-large-hfe-nfer-sde.tex",
        "tables.csv",
        "significance.csv",
        "report.json",
        "recognition.csv",
        "confusion.csv",
        "subjects.csv",
        "calibration.csv",
        "comparisons.csv",
    }
    assert set(report.paths) == set((tmp_path / "new" / "out").iterdir())
    assert (tmp_path / "new" / "out" / "report.md").read_text(encoding="utf-8") == report.text


def test_the_csv_has_exactly_these_columns(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    write_report(workspace.root, tmp_path)
    header, first, *_ = (tmp_path / "tables.csv").read_text().splitlines()
    assert header == "table,dataset,group,method,metric,convention,pooled,mean,std,folds,separable,trainings"
    assert first.startswith("comparison,oulu-casia,none,none,accuracy,,75.0,75.0,35.35")


def test_the_same_results_give_the_same_files(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    one, two = (write_report(workspace.root, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one.paths] == [path.read_bytes() for path in two.paths]


def test_published_values_bring_their_convention_along(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    text = write_report(workspace.root, tmp_path, paper=True).text
    assert "'paper' convention" in text and "'standard' convention" not in text
    assert "70.19 (+4.81)" in text
    assert "differences from preset quick" in text


def test_an_unknown_convention_names_the_known_ones(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    with pytest.raises(UsageError, match="unknown convention 'legacy'; known: standard, paper"):
        write_report(workspace.root, tmp_path, convention="legacy")


def test_a_damaged_record_is_named_in_the_text_and_in_the_problems(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    (workspace.root / "records" / "bad.json").write_text("{")
    report = write_report(workspace.root, tmp_path)
    (problem,) = report.problems
    assert problem.startswith("records/bad.json") and "records/bad.json" in report.text
    assert "**Table 1.**" in report.text


def test_a_target_that_is_a_file_is_refused(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written to .*--out"):
        write_report(workspace.root, tmp_path / "taken")


def test_an_older_grid_does_not_stay_beside_newer_tables(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    (tmp_path / "grid-oulu-casia.png").write_bytes(b"old")
    report = write_report(workspace.root, tmp_path)
    assert not (tmp_path / "grid-oulu-casia.png").exists()
    assert "No picture grid of Oulu-CASIA: the prepared faces: not run yet." in report.text


def test_a_report_never_imports_torch_and_the_package_alone_not_even_pandas(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    program = (
        "import sys; from pathlib import Path; import nferbench_reports\n"
        "heavy = {'pandas', 'matplotlib', 'jinja2', 'PIL', 'scipy', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "nferbench_reports.write_report(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules\n"
    )
    paths = [path for path in sys.path if path]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"]
    run = subprocess.run([*command, str(workspace.root), str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_table_of_recognition_says_how_many_trainings_are_averaged(workspace: Any, tmp_path: Path) -> None:
    groups = {"none": "none", "m": "gan", "oracle": "reference"}
    rows = [recognised(workspace, "s", name, group) for name, group in groups.items()]
    workspace.record(rows)
    assert "trainings" not in write_report(workspace.root, tmp_path / "one").text
    for row in rows:
        for fold, subjects in zip(row["folds"], ("ab", "cd"), strict=True):
            keys = [f"again-{row['name']}-{fold['fold']}-{seed}" for seed in (1, 2)]
            fold["fer_repeats"] = [workspace.fer(key, subjects, "aa ff") for key in keys]
    workspace.record(rows, fer_seeds=3)
    report = write_report(workspace.root, tmp_path / "three")
    words = "recognition averaged over 3 trainings"
    lines = [line for line in report.text.splitlines() if words in line]
    assert [re.split("[.:]", line)[0] for line in lines] == ["- Tiny", "**Table 1", "**Significance", "**Headroom"]
    assert words in (tmp_path / "three" / "table-comparison-tiny.tex").read_text()


SETS = (
    "Set A",
    "set A",
    "set-A",
    "set-a",
    "Set-A",
    "中文",
    "日本",
    "ck+",
    "ck-",
    "x",
    "x-ablation",
    "a" * 300,
    "set-a-7781d909",
)


def test_every_table_and_picture_has_a_file_of_its_own(workspace: Any, tmp_path: Path) -> None:
    for number, name in enumerate(SETS):
        row = recognised(workspace, f"s{number}", "m", "gan", tables=["comparison", "ablation"])
        workspace.record([row], f"record-{number}", dataset=name, dataset_title=f"Set {number}")
    report = write_report(workspace.root, tmp_path / "all")
    names = [path.name for path in report.paths]
    assert len({name.casefold() for name in names}) == len(names)
    assert len([name for name in names if name.startswith("table-comparison-")]) == 2 * len(SETS)
    fragments = sorted(name for name in names if re.fullmatch(r"table-comparison-.*\.tex", name))
    texts = [(tmp_path / "all" / name).read_text() for name in fragments]
    document = (tmp_path / "all" / "tables.tex").read_text()
    assert all(rf"\input{{{name}}}" in document for name in fragments)
    assert sorted(int(re.findall(r"methods on Set (\d+)\.", text)[0]) for text in texts) == list(range(len(SETS)))
    labels = [re.findall(r"\\label\{(.*)\}", text)[0] for text in texts]
    assert labels == [f"tab:nferbench-{name.removeprefix('table-').removesuffix('.tex')}" for name in fragments]


def test_the_name_of_a_file_does_not_depend_on_the_other_data_sets(workspace: Any, tmp_path: Path) -> None:
    seen: set[str] = set()
    for number, name in enumerate(SETS[:4]):
        workspace.record([recognised(workspace, f"s{number}", "m", "gan")], f"record-{number}", dataset=name)
        paths = {path.name for path in write_report(workspace.root, tmp_path / str(number)).paths}
        assert seen <= paths
        seen = paths


def test_names_of_pictures_differ_too(workspace: Any, tmp_path: Path) -> None:
    for number, name in enumerate(SETS):
        workspace.record([workspace.row("m", "gan", tables=["ablation"])], f"record-{number}", dataset=name)
    drawn: list[str] = []

    def draw(workspace: Path, record: Any, path: Path, table: str = "") -> int:
        path.write_bytes(b"")
        drawn.append(path.name)
        return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nferbench_reports.grid.write_grid", draw)
        text = write_report(workspace.root, tmp_path).text
    assert len({name.casefold() for name in drawn}) == len(drawn) == 2 * len(SETS)
    assert all(f"]({name})" in text for name in drawn)


def test_what_others_wrote_stays_text_in_every_format(workspace: Any, tmp_path: Path) -> None:
    nasty = "=HYPERLINK(x) [a](http://b.c) <b> \x1b[31m"
    fer = [workspace.fer(f"f{i}", "ab", "aa fh") for i in range(2)]
    rows = [workspace.row("none", "none", fer=fer), workspace.row("+1+1", "gan", fer=fer, title=nasty, stamps=[nasty])]
    workspace.record(rows, dataset=nasty, dataset_title=nasty)
    report = write_report(workspace.root, tmp_path)
    for path in report.paths:
        content = path.read_text(encoding="utf-8")
        assert "\x1b" not in content
        if path.suffix == ".csv":
            cells = [cell for line in csv.reader(content.splitlines()) for cell in line]
            assert not [cell for cell in cells if re.match(r"[=@\t]|[+-](?!\d)", cell)]
            assert "'=HYPERLINK(x) [a](http://b.c) <b> \\x1b[31m" in cells and "'+1+1" in cells
    assert "](http://" not in report.text and " <b>" not in report.text


def test_rows_that_are_left_out_are_told_and_the_others_reported(workspace: Any, tmp_path: Path) -> None:
    workspace.record([recognised(workspace, "s", "m", "gan"), workspace.row("odd", "classical")])
    report = write_report(workspace.root, tmp_path)
    (problem,) = report.problems
    assert "rows.1.group" in problem and f"Not readable: {problem.split(' (')[0]}" in report.text
    assert "| m " in report.text and "odd" not in report.text


def test_what_was_noted_of_a_translation_stands_below_the_table(workspace: Any, tmp_path: Path) -> None:
    translation = [workspace.stage(f"t{i}", {}, note="as if in\n0 to 1") for i in range(2)]
    workspace.record([recognised(workspace, "s", "m", "gan", translation=translation)])
    text = write_report(workspace.root, tmp_path).text
    assert "All rows: as if in 0 to 1." in text


def test_counts_are_those_of_the_prepared_faces_and_what_was_left_out_is_told(workspace: Any, tmp_path: Path) -> None:
    counts = {"faces": 10, "pairs": 5, "subjects": 3, "listed": 16, "left_out": {"not an image": 4, "truncated": 2}}
    faces = workspace.stage("faces", {}, **counts)
    rows = [
        recognised(workspace, "a", "none", "none"),
        recognised(workspace, "a", "cond", "diffusion", tables=["ablation"]),
    ]
    workspace.record(rows, faces=faces)
    report = write_report(workspace.root, tmp_path / "out")
    left_out = "Tiny: 6 of 16 faces left out (4 not an image, 2 truncated); 5 of 6 listed pairs remain."
    assert "; 3 subjects, 5 pairs, splits" in report.text
    assert report.text.count(left_out) == 3  # in the header and below both tables
    assert left_out in (tmp_path / "out" / "table-comparison-tiny.tex").read_text("utf-8")


def test_counts_of_earlier_versions_and_of_none_are_those_that_were_listed(workspace: Any, tmp_path: Path) -> None:
    workspace.record([recognised(workspace, "a", "none", "none")])
    text = write_report(workspace.root, tmp_path / "a").text
    assert "; 4 subjects, 6 pairs, splits" in text and "left out" not in text
    faces = workspace.stage("faces", {}, faces=12, pairs=6, subjects=4, dropped=7)
    workspace.record([recognised(workspace, "b", "none", "none")], faces=faces)
    assert "left out" not in write_report(workspace.root, tmp_path / "b").text


def test_several_records_of_one_data_set_have_tables_files_and_lines_of_their_own(
    workspace: Any, tmp_path: Path
) -> None:
    for name, preset in (("one", "quick"), ("two", "brief")):
        rows = [
            recognised(workspace, name, "none", "none"),
            recognised(workspace, name, "m", "gan", tables=["comparison", "ablation"]),
        ]
        workspace.record(rows, name, preset=preset)
    report = write_report(workspace.root, tmp_path, records=["one", "two"])
    assert "The compared methods on Tiny (quick)." in report.text and "on Tiny (brief)." in report.text
    assert "Ablation study on Tiny (quick) and Tiny (brief)." in report.text
    assert {f"table-comparison-tiny-{preset}.tex" for preset in ("quick", "brief")} <= {p.name for p in report.paths}
    for name in ("tables.csv", "significance.csv"):
        lines = list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        assert {line["dataset"] for line in lines} == {"tiny-quick", "tiny-brief"}
    assert "not shown" not in report.text and "shown is the newest" not in report.text


def test_side_by_side_is_one_table_with_the_columns_of_each_record(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    report = write_report(workspace.root, tmp_path, side_by_side=True)
    names = {path.name for path in report.paths}
    assert "table-comparison.tex" in names and not any(name.startswith("table-comparison-") for name in names)
    (row,) = [line for line in report.text.splitlines() if "| Method" in line and "Large-HFE LPIPS" in line]
    assert row.index("Oulu-CASIA Acc (%)") < row.index("Oulu-CASIA SSIM") < row.index("Large-HFE Acc (%)")
    assert "**Table 2.** Ablation study" in report.text and "**Table 3.**" not in report.text
    fragment = (tmp_path / "table-comparison.tex").read_text()
    assert r"\multicolumn{5}{c}{Oulu-CASIA} & \multicolumn{5}{c}{Large-HFE}" in fragment


def test_a_title_stands_above_all_as_the_text_that_it_is(workspace: Any, tmp_path: Path) -> None:
    both(workspace)
    title = "A & B_c, <b>50 %</b>\n\x1b[31m [x](y)"
    report = write_report(workspace.root, tmp_path / "titled", title=title)
    assert report.title == r"A & B_c, <b>50 %</b> \x1b[31m [x](y)"
    assert report.text.splitlines()[0] == r"# A & B_c, \<b>50 %\</b> \\x1b[31m [x\](y)"
    document = (tmp_path / "titled" / "tables.tex").read_text()
    assert r"\section*{A \& B\_c, \textless{}b\textgreater{}50 \%" in document and "\x1b" not in document
    plain = write_report(workspace.root, tmp_path / "plain")
    assert plain.title == "Results" and plain.text.startswith("# Results\n")
    assert "section" not in (tmp_path / "plain" / "tables.tex").read_text()
    with pytest.raises(UsageError, match="title of a report is empty"):
        write_report(workspace.root, tmp_path / "none", title=" \n")
