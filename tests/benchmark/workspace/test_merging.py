"""Workspaces that become one."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from workspaces import Made, content, rows_of, two_rows

from nferbench.contract.errors import UsageError
from nferbench.workspace import merging
from nferbench.workspace.merging import Taken, merge_records, merge_stages, other_workspace


def merged(other: Path, mine: Path) -> list[Taken]:
    return [*merge_stages(other, mine), *merge_records(other, mine)]


def outcomes(taken: list[Taken]) -> dict[str, int]:
    said = [each.outcome for each in taken]
    return {each: said.count(each) for each in said}


def halves(tmp_path: Path) -> tuple[Made, Made, Made]:
    """A whole workspace, and two that have a row each."""
    whole = Made(tmp_path / "whole")
    stages = two_rows(whole)
    parts = []
    for row, other in (("none", "alpha"), ("alpha", "none")):
        shutil.copytree(whole.root, tmp_path / row)
        part = Made(tmp_path / row)
        for label, stage in stages.items():
            if other in label:
                shutil.rmtree(part.root / stage["path"])
        record = part.root / "records" / "run.json"
        said = json.loads(record.read_text())
        record.write_text(json.dumps({**said, "rows": [each for each in said["rows"] if each["name"] == row]}))
        parts.append(part)
    return whole, parts[0], parts[1]


def test_two_halves_make_the_whole(tmp_path: Path) -> None:
    whole, one, two = halves(tmp_path)
    assert outcomes(merged(two.root, one.root)) == {"linked": 8, "same": 1, "joined": 1}
    found, expected = content(one.root), content(whole.root)
    assert {name for name in found if name not in expected} == set()
    assert all(found[name] == data for name, data in expected.items() if not name.startswith("records/"))
    assert rows_of(one.root / "records" / "run.json") == ["none", "alpha"]
    assert outcomes(merged(two.root, one.root)) == {"same": 10}
    assert not list((one.root / "locks").iterdir()) and not list((one.root / "partial").iterdir())


def test_a_new_workspace_is_filled_by_copies_where_links_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, *_ = halves(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(merging, "os", SimpleNamespace(link=refuse))
    assert outcomes(merged(whole.root, tmp_path / "new")) == {"copied": 15, "joined": 1}
    assert content(tmp_path / "new") == content(whole.root)


def test_a_stage_with_other_content_stays_as_it_is_here(tmp_path: Path) -> None:
    whole, one, _ = halves(tmp_path)
    shutil.rmtree(one.root / "faces")
    one.stage("faces", "tiny", files={"images.npy": "rounded otherwise"}, made_with={"device": "H100"})
    taken = merged(whole.root, one.root)
    (other,) = [each for each in taken if each.outcome == "differs"]
    assert "faces tiny" in other.text and "H100" in other.text and "cpu" in other.text
    assert next(one.root.glob("faces/*/images.npy")).read_text() == "rounded otherwise"


def test_what_is_not_what_its_key_and_checksums_say_is_left_out(tmp_path: Path) -> None:
    whole, one, two = halves(tmp_path)
    weights, images = next(two.root.glob("networks/*0-*")), next(two.root.glob("translations/*0-*"))
    (weights / "weights.safetensors").write_text("HEAVY")
    said = json.loads((images / "stage.json").read_text())
    said["description"]["label"] = "another"
    (images / "stage.json").write_text(json.dumps(said))
    next(two.root.glob("quality/*0-*")).rename(two.root / "recognition" / next(two.root.glob("quality/*0-*")).name)
    (next(two.root.glob("recognition/alpha1-*")) / "stage.json").write_text("{")
    taken = merged(two.root, one.root)
    refused = [each.text for each in taken if each.outcome == "refused"]
    assert len(refused) == 4 and all("\n" not in each and str(two.root) in each for each in refused)
    assert len(list(one.root.glob("networks/*"))) == 1 and not list((one.root / "partial").iterdir())
    assert not list(one.root.glob("translations/alpha0*")) and len(content(one.root)) < len(content(whole.root))


PLAIN = "id,subject,expression,predicted\r\na,Cleo,fear,anger\r\n"
SCORED = (
    'id,subject,expression,predicted,score:anger,"score:a,b"\r\na,Cleo,fear,anger,0.75,0.25\r\n',
    'id,subject,expression,predicted,score:anger,"score:a,b"\r\na,Cleo,fear,anger,0.74,0.26\r\n',
)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (PLAIN, SCORED[0], "same"),
        (SCORED[0], PLAIN, "same"),
        (PLAIN, SCORED[0].replace(",anger,0", ",fear,0"), "differs"),
        (PLAIN, PLAIN.replace(",anger", ",fear"), "differs"),
        (PLAIN, "\0", "differs"),
        (SCORED[0], SCORED[1], "differs"),
    ],
)
def test_predictions_without_class_scores_are_the_same_as_those_with_them(
    tmp_path: Path, ours: str, theirs: str, outcome: str
) -> None:
    mine, other = Made(tmp_path / "mine"), Made(tmp_path / "other")
    for made, text in ((mine, ours), (other, theirs)):
        made.stage("recognition", "none0", files={"predictions.csv": text})
    assert outcomes(merged(other.root, mine.root)) == {outcome: 1}
    assert next(mine.root.glob("recognition/*/predictions.csv")).read_bytes() == ours.encode()


@pytest.mark.parametrize("name", ["../../../escaped", "/tmp/escaped"])
def test_no_file_of_another_workspace_leads_out_of_this_one(tmp_path: Path, name: str) -> None:
    other = Made(tmp_path / "other")
    stage = other.stage("faces", "tiny")
    path = other.root / stage["path"] / "stage.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "files": {name: {"bytes": 1, "sha256": "0" * 64}}}))
    assert outcomes(merged(other.root, tmp_path / "mine")) == {"refused": 1}
    assert not (tmp_path / "mine" / "faces").exists()


def test_a_link_in_another_workspace_becomes_a_file(tmp_path: Path) -> None:
    other = Made(tmp_path / "other")
    data = tmp_path / "other" / other.stage("faces", "tiny")["path"] / "data.bin"
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    assert outcomes(merged(other.root, tmp_path / "mine")) == {"copied": 1}
    (taken,) = (tmp_path / "mine").glob("faces/*/data.bin")
    assert taken.read_text() == "tiny" and not taken.is_symlink()


def test_merges_at_once_take_each_stage_once(tmp_path: Path) -> None:
    whole, one, two = halves(tmp_path)
    mine = tmp_path / "mine"
    with ThreadPoolExecutor(3) as pool:
        taken = [each for found in pool.map(lambda o: merged(o.root, mine), (whole, one, two)) for each in found]
    assert outcomes(taken).get("refused", 0) == 0 and outcomes(taken)["linked"] == 15
    names = set(content(mine))
    assert names == set(content(whole.root)) and sorted(rows_of(mine / "records" / "run.json")) == ["alpha", "none"]


def test_a_merge_that_is_broken_off_leaves_whole_stages_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, *_ = halves(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "os", SimpleNamespace(link=full))
    monkeypatch.setattr(merging, "shutil", SimpleNamespace(copyfile=full, rmtree=shutil.rmtree))
    with pytest.raises(OSError, match="No space left"):
        merged(whole.root, tmp_path / "mine")
    assert not list((tmp_path / "mine").glob("*/*"))
    monkeypatch.undo()
    assert outcomes(merged(whole.root, tmp_path / "mine")) == {"linked": 15, "joined": 1}


def test_of_a_row_in_both_the_finished_one_is_taken(tmp_path: Path) -> None:
    mine, other = Made(tmp_path / "mine"), Made(tmp_path / "other")
    faces = mine.stage("faces", "tiny")
    mine.record([mine.row("a", [{"fer": mine.named("recognition", "old0")}]), mine.row("b", [{}])], faces)
    shutil.copytree(mine.root / "faces", other.root / "faces")
    done = other.stage("recognition", "new0", faces)
    other.record([other.row("a", [{"fer": done}]), other.row("b", [{"fer": other.named("recognition", "x0")}])], faces)
    merged(other.root, mine.root)
    rows = json.loads((mine.root / "records" / "run.json").read_text())["rows"]
    assert rows[0]["folds"][0]["fer"] == done and rows[1]["folds"][0]["fer"] is None


def test_records_of_other_protocols_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    whole, one, _ = halves(tmp_path)
    before = (one.root / "records" / "run.json").read_bytes()
    record = whole.root / "records" / "run.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps({**said, "protocol": {**said["protocol"], "seed": 1}}))
    (whole.root / "records" / "odd.json").write_text("[")
    refused = [each.text for each in merged(whole.root, one.root) if each.outcome == "refused"]
    assert len(refused) == 2 and (one.root / "records" / "run.json").read_bytes() == before
    (one.root / "records" / "run.json").write_text("{")
    assert [each.outcome for each in merge_records(whole.root, one.root)].count("refused") == 2
    assert (one.root / "records" / "run.json").read_text() == "{"


def test_a_stage_that_a_run_is_at_work_on_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PATIENCE", 0.0)
    whole, *_ = halves(tmp_path)
    mine = Made(tmp_path / "mine")
    mine.lock(json.loads(next(whole.root.glob("faces/*/stage.json")).read_text())["key"])
    taken = outcomes(list(merge_stages(whole.root, mine.root)))
    assert taken == {"refused": 1, "linked": 14} and not (mine.root / "faces").exists()


def test_what_is_no_other_workspace_is_told_in_a_line(tmp_path: Path) -> None:
    whole, *_ = halves(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for path in ("empty", "file", "absent"):
        with pytest.raises(UsageError, match=r"no workspace at|is a file") as told:
            other_workspace(tmp_path / path, whole.root)
        assert "\n" not in str(told.value)
    (tmp_path / "link").symlink_to(whole.root)
    with pytest.raises(UsageError, match="is the workspace that is merged into"):
        other_workspace(tmp_path / "link", whole.root)
