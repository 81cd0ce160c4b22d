"""A report in the place of an earlier one: never emptier in silence, never half of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import DataError, UsageError
from nferbench_reports import folder, report, write_report
from nferbench_reports.results import Missing


def recorded(workspace: Any, name: str = "run", rows: str = "mn", lacking: str = "", **protocol: Any) -> None:
    made = []
    count = len(list(workspace.root.glob("stages/*")))  # each record has stages of its own
    for row in rows:
        fer = [workspace.fer(f"{name}{row}{fold}-{count}", "ab", "aa fh") for fold in range(2)]
        if row == lacking:
            fer[1] = workspace.missing("gone")
        made.append(workspace.row(row, "gan", fer=fer))
    workspace.record(made, name, **protocol)


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def drawn(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    def draw(workspace: Path, record: Any, path: Path, table: str = "") -> int | Missing:
        if there:
            path.write_bytes(b"picture")
        return 1 if there else Missing("bundles have no faces in them")

    monkeypatch.setattr("nferbench_reports.grid.write_grid", draw)


def test_the_manifest_says_what_the_report_is_made_of(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace, lacking="n")
    written = write_report(workspace.root, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(manifest["files"]) == names(tmp_path / "out") - {"report.json"}
    assert {path.name for path in written.paths} == names(tmp_path / "out")
    assert manifest["records"] == {"run": {"dataset": "tiny", "rows": {"m": 2, "n": 1}, "pictures": []}}


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"lacking": "n"}, r"1 of 2 results of n in record run \(not run yet\)"),
        ({"rows": "m"}, r"2 of 2 results of n in record run \(not in the record\)"),
        ({"name": "other"}, r"record run \(4 results of 2 rows\)"),
    ],
)
def test_a_report_that_shows_less_is_refused_and_changes_nothing(
    workspace: Any, tmp_path: Path, later: dict[str, Any], said: str
) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    write_report(workspace.root, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    recorded(workspace, **{"name": "run"} | later, created="2026-01-01T00:00:00")
    with pytest.raises(
        UsageError, match=rf"^the report in '.*out' shows more .*: {said}; .*--out.*--replace"
    ) as caught:
        write_report(workspace.root, out)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    write_report(workspace.root, out, replace=True)
    assert (out / "report.md").read_bytes() != before[out / "report.md"]


def test_a_report_that_shows_as_much_or_more_takes_the_place(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace, rows="m", lacking="m")
    write_report(workspace.root, tmp_path / "out")
    recorded(workspace, rows="mn")
    recorded(workspace, "another", dataset="ant")
    write_report(workspace.root, tmp_path / "out")
    assert write_report(workspace.root, tmp_path / "out").left == ()


def test_a_record_without_any_result_is_no_loss(workspace: Any, tmp_path: Path) -> None:
    workspace.record([workspace.row("m", "gan", fer=[workspace.missing("x")])], "empty", dataset="ant")
    recorded(workspace)
    write_report(workspace.root, tmp_path / "out")
    write_report(workspace.root, tmp_path / "out", records=["run"])
    assert "table-comparison-ant.tex" not in names(tmp_path / "out")


def test_a_record_that_became_unreadable_is_named_in_the_refusal(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace)
    recorded(workspace, "another", dataset="ant")
    write_report(workspace.root, tmp_path / "out")
    (workspace.root / "records" / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"record run .*not readable: records/run\.json"):
        write_report(workspace.root, tmp_path / "out")


def test_pictures_that_would_be_lost_are_told(workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    drawn(monkeypatch, there=True)
    write_report(workspace.root, out)
    drawn(monkeypatch, there=False)
    with pytest.raises(UsageError, match=r"a picture of record run \(comparison\)"):
        write_report(workspace.root, out)
    assert "grid-tiny.png" in names(out)
    write_report(workspace.root, out, replace=True)
    assert "grid-tiny.png" not in names(out)


def test_only_files_of_the_earlier_report_go_and_none_that_was_changed(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace)
    recorded(workspace, "another", dataset="ant")
    recorded(workspace, "third", dataset="bee")
    out = tmp_path / "out"
    write_report(workspace.root, out)
    mine = {"notes.txt": "mine", "headroom.csv": "mine too", "table-comparison-bee.tex": "edited"}
    for name, text in mine.items():
        (out / name).write_text(text)
    written = write_report(workspace.root, out, records=["run"], replace=True)
    assert written.left == (out / "table-comparison-bee.tex",)
    assert "table-comparison-ant.tex" not in names(out)
    assert {name: (out / name).read_text() for name in mine} == mine


def test_a_report_that_is_interrupted_leaves_the_earlier_one(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    write_report(workspace.root, out)
    before = {path: path.read_bytes() for path in out.iterdir()}

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report.latex, "write_table", stop)
    with pytest.raises(KeyboardInterrupt):
        write_report(workspace.root, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("moves", [0, 1, 2, 4])
def test_one_that_is_interrupted_while_it_is_put_in_place_does_not_look_whole(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    write_report(workspace.root, out)
    recorded(workspace, rows="mno")
    done = []
    move = Path.replace

    def stop(self: Path, target: Path) -> Path:
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(target)
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            write_report(workspace.root, out)
    assert "report.md" not in names(out)
    assert write_report(workspace.root, out).left == ()
    fresh = write_report(workspace.root, tmp_path / "fresh")
    assert names(out) == names(tmp_path / "fresh")
    assert all((out / path.name).read_bytes() == path.read_bytes() for path in fresh.paths)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"version": 2, "files": {}, "records": {}}',
        '{"version": 1, "files": {"../out.txt": "' + "0" * 64 + '"}, "records": {}}',
        '{"version": 1, "files": {"a": 1}, "records": {}}',
        '{"name": "of something else"}',
    ],
)
def test_a_manifest_of_another_form_is_not_written_over(workspace: Any, tmp_path: Path, content: str) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text(content)
    with pytest.raises(DataError, match=r"report\.json' does not tell .*--out.*--replace") as caught:
        write_report(workspace.root, out)
    assert str(caught.value).isprintable() and names(out) == {"report.json"}
    write_report(workspace.root, out, replace=True)
    assert folder.read_manifest(out) is not None


def test_a_folder_in_the_place_of_a_file_is_told_before_anything_goes(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace)
    out = tmp_path / "out"
    write_report(workspace.root, out)
    (out / "tables.csv").unlink()
    (out / "tables.csv").mkdir()
    with pytest.raises(UsageError, match=r"tables\.csv is a folder.*--out"):
        write_report(workspace.root, out)
    assert "report.md" in names(out)
