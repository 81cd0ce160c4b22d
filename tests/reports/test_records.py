"""Reading what the runner left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import DataError, UsageError
from nferbench_reports.record import Entry
from nferbench_reports.records import read_records
from nferbench_reports.stage_files import folder_of, missing_reason


def test_a_missing_workspace_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no workspace at .*nferbench run --methods all"):
        read_records(tmp_path / "runs")


def test_a_workspace_without_records_names_the_command_that_makes_some(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no stored results .*nferbench run"):
        read_records(tmp_path)


def test_a_damaged_record_is_told_in_one_line_and_the_others_are_read(workspace: Any) -> None:
    workspace.record([], "good")
    (workspace.root / "records" / "bad.json").write_text('{"version": 1, "rows": [')
    records = read_records(workspace.root)
    assert [stored.file for stored in records.chosen] == ["records/good.json"]
    (problem,) = records.problems
    assert problem.startswith("records/bad.json: not readable as JSON") and "\n" not in problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "record version 2, this nferbench reads 1"),
        ({"protocol": {}}, r"protocol\.dataset"),
        ({"rows": [{"name": "a"}]}, r"rows\.0\.title"),
        ({"created": "yesterday"}, "created"),
    ],
)
def test_a_record_of_another_form_is_told_with_the_field(workspace: Any, change: dict[str, Any], message: str) -> None:
    path = workspace.record([])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=rf"records/run\.json: .*{message}"):
        read_records(workspace.root)


def test_bytes_that_are_no_text_are_a_damaged_record_too(workspace: Any) -> None:
    workspace.record([]).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"records/run\.json: not readable"):
        read_records(workspace.root)


def test_the_newest_record_of_a_dataset_is_shown_and_the_others_are_named(workspace: Any) -> None:
    workspace.record([], "old", created="2025-01-02T00:00:00+00:00", preset="small")
    workspace.record([], "new", created="2025-01-03T00:00:00+02:00")
    records = read_records(workspace.root)
    assert [stored.file for stored in records.chosen] == ["records/new.json"]
    (note,) = records.notes
    assert "records/old.json" in note and "preset small" in note


def test_two_datasets_of_one_name_are_both_shown_and_told_apart(workspace: Any) -> None:
    for name, place in (("a", "11111111"), ("b", "22222222"), ("older", "22222222")):
        workspace.record([], name=name, place=place, created=f"2025-01-0{1 + (name != 'older')}T00:00:00")
    workspace.record([], name="c", dataset="other", dataset_title="Other", place="33333333")
    found = read_records(workspace.root)
    shown = [(stored.record.protocol.dataset, stored.record.protocol.dataset_title) for stored in found.chosen]
    assert shown == [("other", "Other"), ("tiny-11111111", "Tiny (11111111)"), ("tiny-22222222", "Tiny (22222222)")]
    assert len(found.notes) == 1 and "records/older.json" in found.notes[0]


def test_records_are_chosen_by_name_or_beginning_in_the_order_that_was_asked(workspace: Any) -> None:
    for name, preset in (("tiny-quick-aa", "quick"), ("tiny-quick-ab", "brief"), ("tiny", "study")):
        workspace.record([], name, preset=preset)
    found = read_records(workspace.root, names=("tiny-quick-ab", "tiny", "tiny-quick-ab"))
    assert [stored.name for stored in found.chosen] == ["tiny-quick-ab", "tiny"] and found.notes == ()
    workspace.record([], "other-quick-aa", dataset="other")
    (one,) = read_records(workspace.root, names=["other"]).chosen
    assert one.file == "records/other-quick-aa.json"


@pytest.mark.parametrize(
    ("names", "preset", "message"),
    [
        (["tiny-q"], None, r"'tiny-q' is the beginning of several records, tiny-quick-aa, tiny-quick-ab; .*--list"),
        (["absent"], None, r"no record 'absent'; there are tiny-quick-aa, tiny-quick-ab .*--list"),
        ([""], None, r"no record ''"),
        (["../records/tiny"], None, "no record"),
        (["tiny-quick-aa"], "brief", "record tiny-quick-aa is of preset quick, not brief; leave --preset out"),
    ],
)
def test_a_name_that_chooses_no_record_is_refused_in_one_line(
    workspace: Any, names: list[str], preset: str | None, message: str
) -> None:
    for name in ("tiny-quick-aa", "tiny-quick-ab"):
        workspace.record([], name)
    with pytest.raises(UsageError, match=message) as caught:
        read_records(workspace.root, preset=preset, names=names)
    assert "\n" not in str(caught.value)


def test_of_records_that_cannot_be_read_only_those_that_are_named_matter(workspace: Any) -> None:
    workspace.record([workspace.row("m", "gan"), workspace.row("odd", "classical")], "half")
    workspace.record([], "good")
    (workspace.root / "records" / "bad.json").write_text("{")
    assert read_records(workspace.root, names=["good"]).problems == ()
    (problem,) = read_records(workspace.root, names=["good", "half"]).problems
    assert problem.startswith("records/half.json: a row is left out")
    with pytest.raises(DataError, match=r"records/bad\.json: not readable as JSON"):
        read_records(workspace.root, names=["bad"])


def labels(workspace: Any, *protocols: dict[str, Any]) -> list[tuple[str, str]]:
    names = [f"record-{i}" for i in range(len(protocols))]
    for name, protocol in zip(names, protocols, strict=True):
        workspace.record([], name, **protocol)
    found = [stored.record.protocol for stored in read_records(workspace.root, names=names).chosen]
    assert all(protocol.own_name() == "tiny" for protocol in found)
    return [(protocol.dataset, protocol.dataset_title) for protocol in found]


@pytest.mark.parametrize(
    ("one", "other", "marks"),
    [
        ({"preset": "brief"}, {}, ["brief", "quick"]),
        ({"preset": "brief", "fer_title": "Small CNN"}, {}, ["brief, Small CNN", "quick, ResNet-18"]),
        ({"crop": "eyes"}, {"crop": "box68, found by X"}, ["crop eyes", "crop box68, found by X"]),
        ({"crop": "eyes"}, {}, ["crop eyes", "crop not known"]),
        ({"extra": None, "extra_title": None}, {}, ["no extra set", "extra set More"]),
        ({"fer_seeds": 3}, {}, ["3 trainings", "1 training"]),
        ({"folds": 5, "size": 64}, {}, ["64 px, 5 folds", "8 px, 2 folds"]),
        ({"division": "repeats"}, {}, ["2 random draws", "2 folds"]),
        ({"seed": 1, "splits": "99"}, {}, ["seed 1", "seed 0"]),
        ({"place": "11111111"}, {"place": "22222222"}, ["11111111", "22222222"]),
        ({"place": "11111111"}, {"preset": "brief"}, ["quick, 11111111", "brief, drawn"]),
        ({"subjects": 9, "splits": "99"}, {}, ["9 subjects, splits 99", "4 subjects, splits 0123abcd"]),
        ({}, {}, ["record-0", "record-1"]),
        ({"fer": "a"}, {"fer": "b"}, ["record-0", "record-1"]),  # of one title
        ({"preset": "Quick"}, {}, ["record-0", "record-1"]),  # one name on a disk that knows no case
    ],
)
def test_records_of_one_data_set_are_told_apart_by_what_differs_in_their_protocols(
    workspace: Any, one: dict[str, Any], other: dict[str, Any], marks: list[str]
) -> None:
    found = labels(workspace, one, other)
    assert [title for _, title in found] == [f"Tiny ({mark})" for mark in marks]
    assert [name for name, _ in found] == [
        f"tiny-{mark.casefold().replace(', ', '-').replace(' ', '-')}" for mark in marks
    ]


def test_what_one_of_three_differs_in_is_said_of_all(workspace: Any) -> None:
    found = labels(workspace, {}, {"preset": "brief"}, {"preset": "brief", "size": 64})
    assert [title for _, title in found] == ["Tiny (quick, 8 px)", "Tiny (brief, 8 px)", "Tiny (brief, 64 px)"]


def test_no_mark_makes_the_name_of_another_data_set(workspace: Any) -> None:
    workspace.record([], "a", preset="brief")
    workspace.record([], "b")
    workspace.record([], "c", dataset="tiny-brief", dataset_title="Another")
    found = [stored.record.protocol.dataset for stored in read_records(workspace.root, names=["a", "b", "c"]).chosen]
    assert found == ["tiny-a", "tiny-quick", "tiny-brief-c"]


def test_times_with_and_without_a_zone_can_be_compared(workspace: Any) -> None:
    workspace.record([], "naive", created="2025-01-02T12:00:00")
    workspace.record([], "aware", created="2025-01-02T12:30:00+01:00")  # 11:30 UTC
    assert read_records(workspace.root).chosen[0].file == "records/naive.json"


def test_a_preset_filters_and_an_unknown_one_names_those_stored(workspace: Any) -> None:
    workspace.record([], "old", created="2025-01-02T00:00:00+00:00", preset="small")
    workspace.record([], "new", created="2025-01-03T00:00:00+00:00", preset="quick")
    records = read_records(workspace.root, preset="small")
    assert [stored.file for stored in records.chosen] == ["records/old.json"]
    assert records.notes == ()
    with pytest.raises(UsageError, match=r"'paper'; stored: quick, small"):
        read_records(workspace.root, preset="paper")


def test_datasets_of_the_paper_come_first_in_its_order(workspace: Any) -> None:
    for dataset in ("zebra", "large-hfe", "ant", "oulu-casia"):
        workspace.record([], dataset, dataset=dataset)
    chosen = read_records(workspace.root, ("oulu-casia", "large-hfe")).chosen
    assert [stored.record.protocol.dataset for stored in chosen] == ["oulu-casia", "large-hfe", "ant", "zebra"]


def test_a_stage_is_complete_with_its_description_and_has_a_reason_without(workspace: Any) -> None:
    done = workspace.stage("done", {})
    failed = workspace.missing("failed", "diverged", "loss is NaN\nat step 12.", "networks pix2pix-fold0")
    fresh = workspace.missing("fresh")
    assert missing_reason(workspace.root, Entry(**done)) is None
    told = missing_reason(workspace.root, Entry(**failed))
    assert told == "diverged: loss is NaN at step 12 (networks pix2pix-fold0)"
    assert missing_reason(workspace.root, Entry(**fresh)) == "not run yet"


@pytest.mark.parametrize("content", ["", "[]", "null", '{"reason": "x"}'])
def test_a_damaged_failure_note_is_told_as_such(workspace: Any, content: str) -> None:
    entry = Entry(**workspace.missing("k", "failed", "x"))
    (workspace.root / "failures" / "k.json").write_text(content)
    assert missing_reason(workspace.root, entry) == "failed; failures/k.json is damaged"


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({}, "8 px, 2 folds, seed"),
        ({"division": "repeats", "crop": "box68, found by X"}, "8 px, crop box68, found by X, 2 random draws, seed"),
        ({"division": "fixed", "folds": 1}, "8 px, 1 fixed split, seed"),
    ],
)
def test_the_protocol_says_how_people_were_divided_and_faces_cropped(
    workspace: Any, protocol: dict[str, Any], words: str
) -> None:
    workspace.record([], **protocol)
    assert words in read_records(workspace.root).chosen[0].record.protocol.summary()


def test_the_protocol_says_over_how_many_trainings_recognition_is_averaged(workspace: Any) -> None:
    for seeds, words in ((1, "FER ResNet-18"), (3, "FER ResNet-18, recognition averaged over 3 trainings")):
        workspace.record([], fer_seeds=seeds)
        assert read_records(workspace.root).chosen[0].record.protocol.summary().endswith(words)


@pytest.mark.parametrize(("trainings", "seeds"), [("a", 3), ("abc", 1), ("abb", 3), ("abb", 2), ("abcc", 3)])
def test_a_row_with_another_number_of_trainings_than_its_protocol_is_left_out(
    workspace: Any, trainings: str, seeds: int
) -> None:
    first, *more = [workspace.missing(each) for each in trainings]
    odd = {**workspace.row("odd", "gan"), "folds": [{"fold": 0, "fer": first, "fer_repeats": more}]}
    workspace.record([odd, workspace.row("good", "gan", quality=[workspace.missing("q")])], fer_seeds=seeds)
    records = read_records(workspace.root)
    assert [row.name for row in records.chosen[0].record.rows] == ["good"]
    (problem,) = records.problems
    assert f"(rows.0.folds: not {seeds} trainings of the recogniser behind each)" in problem


@pytest.mark.parametrize(
    "content",
    [
        "[1,2]",
        "3",
        "null",
        "[" * 100_000,
        '{"version": 1, "rows": 3}',
        '{"version": [1]}',
        '{"version": "\\u001b[31m"}',
    ],
)
def test_odd_json_costs_its_own_record_only(workspace: Any, content: str) -> None:
    workspace.record([], "good")
    (workspace.root / "records" / "odd.json").write_text(content)
    records = read_records(workspace.root)
    assert [stored.file for stored in records.chosen] == ["records/good.json"]
    (problem,) = records.problems
    assert problem.startswith("records/odd.json: ") and problem.isprintable() and len(problem) < 300


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "large"])
def test_what_is_no_file_costs_its_own_record_only(workspace: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    workspace.record([], "good")
    odd = workspace.root / "records" / "odd.json"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link to nothing":
        odd.symlink_to("nowhere")
    else:
        odd.write_text(" " * 5000)
        monkeypatch.setattr("nferbench_reports.records.LARGEST", 4000)
    records = read_records(workspace.root)
    assert [stored.file for stored in records.chosen] == ["records/good.json"]
    assert [problem.split(":")[0] for problem in records.problems] == ["records/odd.json"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"group": "classical"}, "rows.1.group"),
        ({"title": None}, "rows.1.title"),
        ({"name": "good"}, "rows.1.name"),
        ({"tables": "comparison"}, "rows.1.tables"),
        ({"folds": 3}, "rows.1.folds"),
        ({"folds": [{"fold": 0}, {"fold": 0}]}, "rows.1.folds"),
        ({"folds": [{"fold": -1}]}, "rows.1.folds.0.fold"),
        ({"folds": [{"fold": 0, "fer": {"key": "k", "path": "../outside/k"}}]}, "rows.1.folds.0.fer.path"),
        ({"folds": [{"fold": 0, "fer": {"key": "k", "path": "/etc"}}]}, "rows.1.folds.0.fer.path"),
        ({"folds": [{"fold": 0, "fer": {"key": "k", "path": "."}}]}, "rows.1.folds.0.fer.path"),
        ({"folds": [{"fold": 0, "fer": {"key": "../k", "path": "a/b"}}]}, "rows.1.folds.0.fer.key"),
        ({"folds": [{"fold": 0, "fer": {"key": "*", "path": "a/b"}}]}, "rows.1.folds.0.fer.key"),
    ],
)
def test_a_row_that_cannot_be_read_costs_itself_only(workspace: Any, change: dict[str, Any], where: str) -> None:
    workspace.record([workspace.row("good", "gan"), {**workspace.row("bad", "gan"), **change}])
    records = read_records(workspace.root)
    assert [row.name for row in records.chosen[0].record.rows] == ["good"]
    (problem,) = records.problems
    assert problem.startswith(f"records/run.json: a row is left out ({where}")


@pytest.mark.parametrize(
    "protocol",
    [
        {"folds": 10**12},
        {"folds": 0},
        {"size": -1},
        {"classes": "anger"},
        {"dataset": 3},
        {"division": "sideways"},
        {"fer_seeds": 0},
    ],
)
def test_a_protocol_that_no_run_has_costs_its_own_record_only(workspace: Any, protocol: dict[str, Any]) -> None:
    workspace.record([], "good")
    workspace.record([], "odd", **protocol)
    records = read_records(workspace.root)
    assert [stored.file for stored in records.chosen] == ["records/good.json"] and len(records.problems) == 1


def test_texts_of_a_record_are_one_printable_line(workspace: Any) -> None:
    row = workspace.row("a\x1b[1mb", "gan", title="two\nlines", stamps=["bell\x07"])
    workspace.record([row], dataset_title="\u202egnp")
    record = read_records(workspace.root).chosen[0].record
    (read,) = record.rows
    assert (read.name, read.title, read.stamps) == ("a\\x1b[1mb", "two lines", ("bell\\x07",))
    assert record.protocol.dataset_title == "\\u202egnp"


def test_json_without_end_in_a_stage_or_a_failure_is_damage(workspace: Any) -> None:
    done, failed = workspace.stage("done", {}), workspace.missing("failed", "failed", "x")
    for path in (workspace.root / done["path"] / "stage.json", workspace.root / "failures" / "failed.json"):
        path.write_text("[" * 100_000)
    assert missing_reason(workspace.root, Entry(**done)) == "done is damaged; run the same 'nferbench run' again"
    assert missing_reason(workspace.root, Entry(**failed)) == "failed; failures/failed.json is damaged"


def test_a_stage_is_looked_for_only_where_it_is_not_where_its_record_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry(key="0123456789ab" + "f" * 52, path="faces/mine-0123456789ab")
    renamed = tmp_path / "faces" / "yours-0123456789ab"
    renamed.mkdir(parents=True)
    assert folder_of(tmp_path, entry) == renamed
    renamed.rename(tmp_path / entry.path)
    monkeypatch.setattr(Path, "glob", None)
    assert folder_of(tmp_path, entry) == tmp_path / entry.path
