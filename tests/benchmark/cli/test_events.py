"""The log of events, line by line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nferbench.cli.events import EventLog, both, event_log
from nferbench.contract.errors import UsageError
from nferbench.engine.worker import Finished
from nferbench.planning.plugins import import_file
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import Store

TOY = import_file(str(Path(__file__).parents[2] / "plugins" / "toy.py"))
STAGE = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_there_as_soon_as_it_is_told_and_earlier_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "older"}\n')
    log = event_log(path, Store(tmp_path / "w"), "cuda")
    log.started(STAGE)
    assert [each["event"] for each in lines(path)] == ["older", "begun", "started"]
    assert lines(path)[-1]["key"] == key(STAGE) and lines(path)[-1]["kind"] == "faces"
    log.progress(STAGE, 1, 9)
    assert len(lines(path)) == 3  # not every moment


def test_device_and_memory_are_those_that_the_result_was_made_with(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "w"), tmp_path / "log.jsonl"
    (store.partial(STAGE) / "data").write_text("x")
    store.commit(STAGE, {"result": {}, "made_with": {"device": "H100", "peak_bytes": 123}})
    log = event_log(path, store, "cuda")
    log.started(STAGE)
    log.ended(STAGE, Finished("done", seconds=2.5))
    end = lines(path)[-1]
    assert (end["status"], end["seconds"], end["device"], end["peak_bytes"]) == ("done", 2.5, "H100", 123)


def test_reasons_are_lines_without_names_of_images(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = event_log(path, Store(tmp_path / "w"), "cpu")
    log.told(STAGE, "see /data/Ann.png")
    log.ended(STAGE, Finished("waiting", "needs faces\nwhich: Ann/01.jpg is black"))
    told, end = lines(path)[1:]
    assert told["reason"] == "see …" and end["reason"].endswith(": … is black") and "\n" not in end["reason"]
    assert end["device"] is None and end["seconds"] == 0


def test_a_log_that_fails_later_is_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = EventLog(os.open("/dev/full", os.O_WRONLY), Path("log"), Store(tmp_path), "cpu")
    for _ in range(3):
        log.started(STAGE)
        log.ended(STAGE, Finished("failed", "x"))
    assert capsys.readouterr().err.count("\n") == 1


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "log", Path("/dev/full")):
        with pytest.raises(UsageError, match="cannot be written"):
            event_log(path, Store(tmp_path), "cpu")


def test_two_reporters_hear_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    one, two = (event_log(path, Store(tmp_path / "w"), "cpu") for path in paths)
    heard = both(one, two)
    heard.started(STAGE)
    heard.told(STAGE, "x")
    heard.progress(STAGE, 1, 2)
    heard.ended(STAGE, Finished("failed", "y"))
    told = [[(each["event"], each.get("reason")) for each in lines(path)] for path in paths]
    assert told[0] == told[1] and len(told[0]) == 4
