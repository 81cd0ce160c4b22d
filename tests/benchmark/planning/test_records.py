"""Records that several runs write, at once and one after another."""

from __future__ import annotations

import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes import one_row, write_as

from nferbench.contract.errors import UsageError
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.locks import HeldError, claim, turn
from nferbench.workspace.stages import key
from nferbench.workspace.store import Store


def names_in(workspace: Path, record: str) -> list[str]:
    rows = json.loads((workspace / "records" / f"{record}.json").read_text())["rows"]
    return [row["name"] for row in rows]


def test_runs_of_one_process_that_write_at_once_keep_all_rows(tmp_path: Path) -> None:
    work, start = one_row(tmp_path, "none"), threading.Barrier(20)

    def write(number: int) -> str:
        mine = replace(work, rows=(replace(work.rows[0], name=f"row-{number}"),))
        start.wait()
        return write_record(mine, Store(tmp_path), "nferbench run")

    with ThreadPoolExecutor(20) as pool:
        (record,) = set(pool.map(write, range(20)))
    assert sorted(names_in(tmp_path, record)) == sorted(f"row-{number}" for number in range(20))


def test_processes_that_write_at_once_keep_all_rows(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    processes = [context.Process(target=write_as, args=(f"row-{i}", str(tmp_path), start)) for i in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    (record,) = (tmp_path / "records").glob("*.json")
    assert sorted(names_in(tmp_path, record.stem)) == ["row-0", "row-1", "row-2"]
    assert not list((tmp_path / "locks").iterdir())


def test_a_turn_waits_for_others_and_not_forever(tmp_path: Path) -> None:
    lock, entered = tmp_path / "lock", threading.Event()

    def second() -> None:
        with turn(lock, "the record"):
            entered.set()

    with claim(lock, "the record"):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.1)
        with pytest.raises(HeldError, match="the record is held by process"), turn(lock, "the record", patience=0.05):
            pass
    thread.join(10)
    assert entered.is_set()


@pytest.mark.parametrize("content", ["[1,2]", "[" * 100_000, '{"rows": 3}', '{"rows": [null, {"name": "kept"}]}', ""])
def test_a_record_that_is_none_is_written_anew(tmp_path: Path, content: str) -> None:
    work = one_row(tmp_path, "mine")
    record = write_record(work, Store(tmp_path), "nferbench run")
    (tmp_path / "records" / f"{record}.json").write_text(content)
    assert write_record(work, Store(tmp_path), "nferbench run") == record
    assert names_in(tmp_path, record) == ["mine", *(["kept"] if "kept" in content else [])]


def test_a_folder_in_the_place_of_a_record_is_told_in_one_line(tmp_path: Path) -> None:
    work = one_row(tmp_path, "mine")
    record = write_record(work, Store(tmp_path), "nferbench run")
    path = tmp_path / "records" / f"{record}.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=rf"{record}\.json is in its place; move it away"):
        write_record(work, Store(tmp_path), "nferbench run")
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("")
    with pytest.raises(UsageError, match="records is in its place"):
        write_record(work, Store(tmp_path), "nferbench run")


def test_a_row_names_all_stages_that_it_needs_though_none_is_done(tmp_path: Path) -> None:
    request = Request("synthetic-hfe", ("cond",), preset="quick", changes=("datasets.synthetic-hfe.subjects=6",))
    work = plan_work(resolve(request, load_plugins(installed=False)), {}, Store(tmp_path), "")
    name = write_record(work, Store(tmp_path), "nferbench run")
    rows = json.loads((tmp_path / "records" / f"{name}.json").read_text())["rows"]
    named = {work_key for row in rows for work_key in _named(row)}
    assert {key(stage) for stage in work.stages} <= named
    networks = [each["path"] for row in rows if row["name"] == "cond" for each in row["folds"][0]["needs"]]
    assert any(path.startswith("networks/") for path in networks)


def _named(row: dict[str, Any]) -> set[str]:
    shown = [fold[role]["key"] for fold in row["folds"] for role in ("translation", "quality", "fer") if fold[role]]
    listed = [each["key"] for fold in row["folds"] for each in (*fold["needs"], *fold.get("fer_repeats", []))]
    return {*shown, *listed}
