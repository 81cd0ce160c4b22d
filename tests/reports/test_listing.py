"""The list of records to choose from."""

from __future__ import annotations

from typing import Any

from program import program

from nferbench_reports.listing import list_records


def finished(workspace: Any, name: str) -> dict[str, Any]:
    fer = [workspace.fer(f"{name}0", "ab", "aa fh"), workspace.missing(f"{name}1", "failed", "why")]
    quality = [workspace.quality(f"{name}q", "a", [(0.2, 10, 0.5, 52, 0.9)])] * 2
    row: dict[str, Any] = workspace.row(name, "gan", fer=fer, quality=quality)
    return row


def test_every_record_is_listed_with_what_is_done_of_it(workspace: Any) -> None:
    workspace.record([finished(workspace, "m"), workspace.row("n", "gan", fer=[workspace.missing("x")])], "old")
    workspace.record([], "new", created="2026-01-01T00:00:00", preset="brief")
    workspace.record([], "other", dataset="ant", dataset_title="Ant")
    found, problems = list_records(workspace.root)
    assert problems == ()
    assert [(each.name, each.dataset, each.done, each.planned, each.newest) for each in found] == [
        ("other", "Ant", 0, 0, True),
        ("new", "Tiny", 0, 0, True),
        ("old", "Tiny", 1, 3, False),
    ]


def test_data_sets_of_one_name_are_told_apart_by_their_places(workspace: Any) -> None:
    for name, place in (("a", "11111111"), ("b", "")):
        workspace.record([], name, place=place)
    found, _ = list_records(workspace.root)
    assert {(each.name, each.dataset, each.newest) for each in found} == {
        ("a", "Tiny (11111111)", True),
        ("b", "Tiny (drawn)", True),
    }


def test_the_command_prints_one_unbroken_line_a_record_and_writes_nothing(workspace: Any) -> None:
    name = "a-name-that-is-much-longer-than-a-column-of-a-table-would-be"
    workspace.record([finished(workspace, "m")], name)
    (workspace.root / "records" / "bad.json").write_text("{")
    words = ["report", "--list", "--workspace", str(workspace.root)]
    done = program(*words)
    assert done.returncode == 1 and "not in the list: records/bad.json: not readable" in done.stderr
    heads, line = done.stdout.splitlines()
    assert heads.split()[:3] == ["record", "data", "set"]
    assert line.split("  ")[0] == name
    for word in ("Tiny", "quick", "More", "ResNet-18, 1 training", "2 folds, seed 0", "1 of 2 folds", "(newest)"):
        assert word in line
    assert not (workspace.root / "report").exists()
