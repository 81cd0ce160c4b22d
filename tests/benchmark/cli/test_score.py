"""`nferbench score`: rows of images by others in a record, and two folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given import WORDS, do, exported, planned, scored
from PIL import Image
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.engine.agenda import Outcome
from nferbench.planning.records import write_record
from nferbench.workspace.bundling import bundle
from nferbench.workspace.store import Store


def call(*words: str) -> Any:
    return CliRunner().invoke(app, words)


def refused(*words: str) -> str:
    result = call(*words)
    assert isinstance(result.exception, NferbenchError), result.output
    return str(result.exception)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workspace whose run, and whose images by others, are done; the folder of these images."""
    root = tmp_path_factory.mktemp("score")
    work = planned(root / "w")
    do(work.stages, root / "w")
    write_record(work, Store(root / "w"), "nferbench run")
    do(scored(work, root / "w", exported(work, root / "w", root / "files")).stages, root / "w")
    return root / "w", root / "files"


def test_a_row_stands_in_the_tables_with_the_numbers_of_the_method(finished: tuple[Path, Path], tmp_path: Path) -> None:
    workspace, files = finished
    words = [*WORDS, "--extra", "toy-extra", "--workspace", str(workspace)]
    done = call("score", "--pred", f"mine={files / 'test'}", "--pred-extra", f"mine={files / 'extra'}", *words)
    assert done.exit_code == 0, done.output
    assert "images by others in 1 row" in done.output and ", 0 to run" in done.output
    assert len(list((workspace / "records").iterdir())) == 1
    done = call("report", "--workspace", str(workspace), "--out", str(tmp_path / "report"))
    assert done.exit_code == 0, done.output
    with (tmp_path / "report" / "tables.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers: dict[str, list[str]] = {}
    for row in rows:
        numbers.setdefault(row["method"], []).append(
            ",".join(row[name] for name in ("metric", "pooled", "mean", "std"))
        )
    assert numbers["mine"] == numbers["toy-regression"] and len(numbers["mine"]) == 5
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| Images by others | mine [" in text and "images by others, SHA-256 " in text
    members = bundle(workspace, "all").members
    assert any(name.startswith("translations/mine-") for name in members)
    assert not [name for name, data in members.items() if str(files).encode() in data]


def test_a_row_without_the_extra_set_says_why_it_has_no_accuracy(finished: tuple[Path, Path], tmp_path: Path) -> None:
    workspace, files = finished
    words = [*WORDS, "--extra", "toy-extra", "--workspace", str(workspace)]
    done = call("score", "--pred", f"half={files / 'test'}", *words)
    assert done.exit_code == 0 and ", 0 to run" in done.output, done.output
    call("report", "--workspace", str(workspace), "--out", str(tmp_path))
    assert (
        "no images of the extra set were given; nferbench score --pred-extra adds"
        in (tmp_path / "report.md").read_text()
    )


def test_what_is_refused_changes_no_record(finished: tuple[Path, Path], tmp_path: Path) -> None:
    workspace, files = finished
    before = [path.read_bytes() for path in (workspace / "records").iterdir()]
    words = [*WORDS, "--extra", "toy-extra", "--workspace", str(workspace)]
    assert "12 of 12 faces have no image" in refused("score", "--pred", f"a={tmp_path}", *words)
    assert "the name 'toy-regression' means" in refused("score", "--pred", f"toy-regression={files / 'test'}", *words)
    assert "there is no fold 7" in refused("score", "--pred", f"a={files / 'test'}", *words, "--fold", "7")
    assert before == [path.read_bytes() for path in (workspace / "records").iterdir()]


def test_faces_are_prepared_before_images_are_asked_for_and_the_record_is_written_before_the_work(
    finished: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[tuple[set[str], bool]] = []

    def here(states: Any, setup: object, store: Store, *_: object, **__: object) -> Outcome:
        to_do = [state.stage for state in states if state.state != "done"]
        began.append(({stage.kind for stage in to_do}, (store.workspace / "records").exists()))
        do(to_do, store.workspace)
        return Outcome(tuple(to_do), {})

    monkeypatch.setattr("nferbench.cli.score.work_off", here)
    monkeypatch.setattr("nferbench.cli.score.accept_cost", lambda *_: None)
    words = [*WORDS, "--extra", "toy-extra", "--workspace", str(tmp_path)]
    assert "12 of 12 faces have no image" in refused("score", "--pred", f"mine={tmp_path}", *words)
    assert began == [({"faces"}, False)] and not (tmp_path / "records").exists()
    done = call("score", "--pred", f"mine={finished[1] / 'test'}", *words)
    assert done.exit_code == 0 and "4 stages done, 0 not. Record: toy-quick-" in done.output, done.output
    assert began[1:] == [({"translations", "quality"}, True)]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8), 90).save(tmp_path / name / "same.png")
        Image.new("L", (8, 8), ord(name)).save(tmp_path / name / "=other.png")
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_two_folders_are_told_as_a_table_as_csv_and_as_json(folders: tuple[str, str], tmp_path: Path) -> None:
    done = call("score", *folders, "--out", str(tmp_path / "scores.csv"), "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert " 2 " in done.output and "∞" in done.output and "note: no LPIPS: its network needs faces of" in done.output
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["'=other", "same"]
    assert (
        rows[1]["psnr"] == "inf" and rows[0]["lpips"] == "" and float(rows[0]["psnr"]) == pytest.approx(48.13, abs=0.01)
    )

    said = json.loads(call("score", *folders, "--json", "--device", "cpu").stdout)
    assert [image["image"] for image in said["images"]] == ["=other", "same"]
    assert (
        said["images"][0]["psnr"] == float(rows[0]["psnr"])
        and said["images"][1]["psnr"] == said["mean"]["psnr"] == "inf"
    )
    assert (
        np.isfinite(said["mean"]["ssim"]) and said["mean"]["lpips"] is None and "at least 31 px" in said["lpips_reason"]
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing to score; name translated test faces by --pred NAME=DIR, or two folders A B"),
        (("A",), "1 folders are named; two are compared"),
        (("A", "B", "C"), "3 folders are named; two are compared"),
        (
            ("A", "B", "--dataset", "toy", "--resize"),
            "--dataset, --resize: two folders are compared without a data set",
        ),
        (("A", "B", "--set", "size=64", "--fer-seeds", "2"), "--fer-seeds, --set: two folders are compared"),
        (("A", "--pred", "a=."), "A: a folder of a row is named by --pred NAME=DIR"),
        (("--pred", "a=.", "--json"), "--out and --json are for two folders A B"),
        (("A", "B", "--out", "."), "--out . is there already"),
        (("A", "B", "--out", "no/where.csv"), "--out no/where.csv lies in no folder"),
        (("--pred-extra", "a=."), "nothing to score"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...], told: str) -> None:
    result = call("score", *words)
    assert isinstance(result.exception, UsageError) and told in str(result.exception)
