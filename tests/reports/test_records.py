"""Reading what the runner left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import DataError, UsageError
from nferbench_reports.records import Entry, missing_reason, read_records


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
