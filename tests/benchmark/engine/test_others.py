"""What a run knows of the others on its workspace, and how little it looks to know it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import TOY

from nferbench.engine import others as module
from nferbench.engine.others import Others
from nferbench.engine.worker import Finished
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import Store

STAGE = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("nferbench.engine.others.time.monotonic", lambda: now[0])
    return now


def test_who_is_waited_for_is_judged_seldom_and_a_wait_is_one_look_a_second(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: dict[str, int] = {"is_locked": 0, "holder": 0, "find": 0, "failure": 0}

    def counted(name: str) -> None:
        real = getattr(Store, name)

        def call(*arguments: object) -> object:
            looks[name] += 1
            return real(*arguments)

        monkeypatch.setattr(Store, name, call)

    for name in looks:
        counted(name)
    with Store(tmp_path).claim(STAGE):
        others = Others(Store(tmp_path))
        for _ in range(1000):  # ten seconds
            assert others.at_work(STAGE) is not None
            clock[0] += 0.01
    assert looks["is_locked"] <= 11 and looks["holder"] <= 3 and looks["find"] == looks["failure"] == 0
    clock[0] += module.LOOK
    assert others.at_work(STAGE) is None


def test_a_result_that_another_run_made_is_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    others = Others(store)
    with ExitStack() as run:
        run.enter_context(store.claim(STAGE))
        assert others.at_work(STAGE) is not None
        store.commit(STAGE, {"result": {}})
    fresh = Others(store)
    fresh.meet(STAGE)
    assert fresh.ended(STAGE) == Finished("done", "done by another run")


def test_a_stage_that_nobody_is_at_work_on_is_ours(tmp_path: Path) -> None:
    others = Others(Store(tmp_path))
    others.meet(STAGE)
    assert others.at_work(STAGE) is None and others.ended(STAGE) is None


@pytest.mark.parametrize(
    ("status", "counts"),
    [("failed", True), ("diverged", True), ("timeout", True), ("killed", False), ("waiting", False), ("held", False)],
)
def test_a_failure_of_another_run_counts_if_it_came_after_the_start(tmp_path: Path, status: str, counts: bool) -> None:
    store = Store(tmp_path)
    store.fail(STAGE, status, "on purpose")
    others = Others(store)
    assert others.ended(STAGE) is None  # that was before
    path = tmp_path / "failures" / f"{key(STAGE)}.json"
    path.write_text(path.read_text().replace("on purpose", "on\\npurpose"))
    finished = others.ended(STAGE)
    assert (finished is not None) is counts
    if finished is not None:
        assert finished.status == status
        assert finished.reason.startswith("on\\npurpose (in another run, process ")


def test_what_is_damaged_or_no_lock_is_left_to_whoever_tries(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.partial(STAGE) / "data.txt").write_text("twelve bytes")
    (store.commit(STAGE, {"result": {}}).path / "data.txt").write_text("other bytes!")
    lock = tmp_path / "locks" / key(STAGE)
    lock.mkdir(parents=True)
    (lock / "note.txt").write_text("")
    others = Others(store)
    assert others.at_work(STAGE) is None and others.ended(STAGE) is None
