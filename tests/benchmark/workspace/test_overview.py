"""What a workspace is seen to hold."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from workspaces import Made, content, gone, two_rows

from nferbench.workspace.holders import RUN, at_work, holders
from nferbench.workspace.overview import overview
from nferbench.workspace.owners import this_process


def test_everything_is_seen_and_nothing_is_changed(tmp_path: Path) -> None:
    made = Made(tmp_path / "w")
    stages = two_rows(made)
    later = made.named("networks", "later", stages["faces"])
    made.fail(made.named("quality", "broken"), reason="it\nfell over")
    made.fail(made.named("quality", "behind"), status="waiting")
    made.fail(stages["quality-none0"])
    made.begin(later, "checkpoint.json")
    made.lock(made.named("networks", "now")["key"])
    made.lock(made.named("networks", "then")["key"], gone())
    (made.root / stages["fer-none1"]["path"] / "predictions.csv").write_text("other")
    before = content(made.root)
    seen = overview(made.root)
    assert content(made.root) == before
    assert seen.done == 14 and len(seen.damaged) == 1 and "predictions.csv" in seen.damaged[0]
    assert [(each.status, each.reason) for each in seen.failed] == [("failed", "it fell over")] and seen.waiting == 1
    assert [(each.process, each.live) for each in holders(made.root, time.time()) if each.live] == [(os.getpid(), True)]
    assert len(seen.running) == 1 and seen.running[0].process == os.getpid()
    (unfinished,) = seen.unfinished
    assert unfinished.resumable and unfinished.done == 7
    rows = {each.row: each for each in seen.rows}
    assert (rows["none"].done, rows["none"].stages) == (6, 7) and (rows["alpha"].done, rows["alpha"].stages) == (9, 9)
    assert rows["alpha"].alone < rows["alpha"].bytes
    assert {each.name: each.items for each in seen.folders}["networks"] == 2


def test_a_stage_at_work_is_called_by_its_name_and_not_unfinished(tmp_path: Path) -> None:
    made = Made(tmp_path)
    stages = two_rows(made)
    network = made.named("networks", "alpha-new0", stages["faces"])
    cell = {"translation": made.named("translations", "new0", network), "needs": [network]}
    made.record([made.row("new", [cell])], stages["faces"], "second")
    made.begin(network, "checkpoint.json")
    made.lock(network["key"])
    seen = overview(tmp_path)
    assert [(each.what, each.since is not None) for each in seen.running] == [("networks alpha-new0", True)]
    assert not seen.unfinished


def test_a_lock_of_another_machine_is_live_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    made = Made(tmp_path)
    (sign,) = made.lock("a" * 64).iterdir()
    sign.write_text(replace(this_process(), host="elsewhere", since="2025-01-01 00:00:00 UTC").written())
    (here,) = holders(tmp_path, sign.stat().st_mtime + 30)
    assert here.live and here.since is not None and here.since.year == 2025
    (later,) = holders(tmp_path, sign.stat().st_mtime + 90)
    assert not later.live


@pytest.mark.parametrize("said", ["", "[", "[1]", '{"process": "x", "since": 1e99}', '{"since": []}', "[" * 100_000])
def test_a_lock_that_says_nothing_is_no_error(tmp_path: Path, said: str) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / ("a" * 64)).write_text(said)
    (tmp_path / "locks" / "run-x").write_text(said)
    assert len(overview(tmp_path).running) == 2


def test_a_run_is_seen_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    with at_work(tmp_path):
        (lock,) = (tmp_path / "locks").iterdir()
        assert lock.name.startswith(RUN)
        (run,) = overview(tmp_path).running
        assert run.key == "" and run.since is not None and run.process == os.getpid()
    assert not list((tmp_path / "locks").iterdir())


def test_what_cannot_be_read_is_told_beside_the_rest(tmp_path: Path) -> None:
    made = Made(tmp_path)
    two_rows(made)
    for name, text in (("odd", "{"), ("none", "[]"), ("past", '{"version": 1, "rows": [{"name": "x", "folds": 3}]}')):
        (tmp_path / "records" / f"{name}.json").write_text(text)
    leads_out = {"key": "a" * 64, "path": "../../x"}
    made.record([made.row("bad", [{"fer": leads_out}])], leads_out, "out")
    seen = overview(tmp_path)
    assert len(seen.unreadable) == 4 and {each.row for each in seen.rows} == {"none", "alpha"}
