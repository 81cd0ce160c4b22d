"""The runner with workers that fail in their own ways; stages do nothing but that."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import TOY, commits, fails, hangs, leaves_a_child, loses_card_7, loses_its_device, serves_nobody

from nferbench.contract.errors import DivergedError
from nferbench.engine import runner, worker
from nferbench.engine.worker import Finished, Setup, Told
from nferbench.workspace.stages import HeldOut, PrepareFaces, ScoreTranslation, Translate, key
from nferbench.workspace.store import Store

FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)
FOLD = HeldOut(0, ("p000",))
CHAIN = (FACES, Translate(TOY.Regression(), (), FACES, "test", FOLD, 0))
CHAIN = (*CHAIN, ScoreTranslation(CHAIN[1], "none"))


class Silent:
    def started(self, stage: Any) -> None: ...

    def progress(self, stage: Any, done: int, total: int) -> None: ...

    def told(self, stage: Any, text: str) -> None: ...

    def left(self, stage: Any) -> None: ...

    def waits(self, stage: Any, holder: str) -> None: ...

    def ended(self, stage: Any, finished: Finished) -> None: ...


def setup(workspace: Path) -> Setup:
    return Setup(workspace, {}, (), "cpu", 1, 30.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Worker processes that are copies of this one: a new one would load torch for a worker that only pretends."""
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forked)
    return monkeypatch


def test_what_needs_what_failed_waits_along_the_whole_chain(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", fails)
    outcome = runner.run_stages(CHAIN, setup(tmp_path), Store(tmp_path), Silent(), jobs=2)
    assert [outcome.failed[stage].status for stage in CHAIN] == ["failed", "waiting", "waiting"]
    assert all("faces toy-32px: failed, on purpose" in outcome.failed[stage].reason for stage in CHAIN[1:])


def test_a_worker_whose_child_lives_on_is_noticed_when_it_dies(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", leaves_a_child)
    began = time.monotonic()
    outcome = runner.run_stages(CHAIN[:1], setup(tmp_path), Store(tmp_path), Silent(), jobs=1)
    assert outcome.failed[FACES].status == "killed" and "signal 9" in outcome.failed[FACES].reason
    assert time.monotonic() - began < 20  # the child sleeps for 30


def faces(first: int) -> PrepareFaces:
    return PrepareFaces(TOY.Blobs(first=first), "content", 32, "given", 0)


def translations(count: int) -> tuple[Translate, ...]:
    return tuple(Translate(TOY.Regression(), (), FACES, "test", HeldOut(fold, ("p000",)), 0) for fold in range(count))


def test_a_lost_device_costs_its_stage_and_its_worker(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    lost, *later = translations(1)[0], faces(1), faces(2)
    outcome = runner.run_stages((FACES, lost, *later), setup(tmp_path), Store(tmp_path), Silent(), jobs=1)
    assert outcome.done == (FACES, *later)
    assert outcome.failed[lost].status == "failed"
    assert outcome.failed[lost].reason.endswith("; the worker was replaced")
    (noted,) = tmp_path.glob("failures/*.json")
    assert "the worker was replaced" in noted.read_text()


def test_without_cards_no_number_of_losses_ends_a_run(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    stages = (FACES, *translations(4))
    outcome = runner.run_stages(stages, setup(tmp_path), Store(tmp_path), Silent(), jobs=2)
    assert all(finished.status == "failed" for finished in outcome.failed.values()) and len(outcome.failed) == 4


def test_a_card_that_is_lost_three_times_in_a_row_is_left(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    one_card = replace(setup(tmp_path), cards=("GPU-5d2c",))
    stages = (FACES, *translations(4), faces(1))
    outcome = runner.run_stages(stages, one_card, Store(tmp_path), Silent(), jobs=1)
    statuses = [outcome.failed[stage].status for stage in stages[1:]]
    assert statuses == ["failed", "failed", "failed", "waiting", "waiting"]
    assert "GPU-5d2c was lost 3 times in a row and is not used any more" in outcome.failed[stages[3]].reason
    assert outcome.failed[stages[5]].reason.startswith("no GPU is left, 3 workers in a row lost GPU-5d2c; see")
    assert len(list(tmp_path.glob("failures/*.json"))) == 5


ON_THE_CARD = translations(10)[9]


@pytest.mark.parametrize(
    ("between", "statuses"),
    [
        (ON_THE_CARD, ["failed", "failed", "failed", "failed"]),
        (faces(1), ["failed", "failed", "failed", "waiting"]),  # which has used no card
        (replace(ON_THE_CARD, seed=1), ["failed", "failed", "failed", "waiting"]),  # another run did it
    ],
    ids=["on the card", "beside it", "elsewhere"],
)
def test_what_was_computed_on_a_card_breaks_the_row(
    tmp_path: Path, quick: pytest.MonkeyPatch, between: Any, statuses: list[str]
) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    first, second, *more = translations(4)
    stages = (FACES, first, second, between, *more)
    outcome = runner.run_stages(stages, replace(setup(tmp_path), cards=("0",)), Store(tmp_path), Silent(), jobs=1)
    assert [outcome.failed[stage].status for stage in (first, second, *more)] == statuses
    assert between in outcome.done


def test_the_other_cards_do_the_rest(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", loses_card_7)
    stages = tuple(map(faces, range(8)))
    cards = replace(setup(tmp_path), cards=("7", "2"))
    outcome = runner.run_stages(stages, cards, Store(tmp_path), Silent(), jobs=1)
    assert len(outcome.failed) == 3 and len(outcome.done) == 5  # one worker alone, and not a second on card 2


@pytest.mark.parametrize(
    ("cards", "jobs", "told"),
    [
        (("2", "GPU-5d2c"), 2, {"2 shared by 1", "GPU-5d2c shared by 1"}),
        (("2", "GPU-5d2c"), 3, {"2 shared by 2", "GPU-5d2c shared by 1"}),
        (("MIG-1", "MIG-2"), 1, {"MIG-1 shared by 1"}),
        (("3",), 3, {"3 shared by 3"}),
    ],
)
def test_each_worker_is_given_one_visible_device_and_knows_who_shares_it(
    tmp_path: Path, quick: pytest.MonkeyPatch, cards: tuple[str, ...], jobs: int, told: set[str]
) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    quick.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5d2c")
    outcome = runner.run_stages(
        (FACES, *translations(jobs)), replace(setup(tmp_path), cards=cards), Store(tmp_path), Silent(), jobs=jobs
    )
    reasons = [finished.reason.split(";")[0].removeprefix("lost ") for finished in outcome.failed.values()]
    assert set(reasons) == told and len(reasons) == jobs
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,GPU-5d2c"


class Events(Silent):
    """What happens, in order; when the run waits, the other one moves."""

    def __init__(self, other: Callable[[], None]) -> None:
        self._other = other
        self.seen: list[tuple[str, Any, str]] = []

    def started(self, stage: Any) -> None:
        self.seen.append(("started", stage, ""))

    def left(self, stage: Any) -> None:
        self.seen.append(("left", stage, ""))

    def waits(self, stage: Any, holder: str) -> None:
        self.seen.append(("waits", stage, holder))
        self._other()

    def ended(self, stage: Any, finished: Finished) -> None:
        self.seen.append(("ended", stage, finished.reason))


@pytest.fixture
def quickly(quick: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    quick.setattr("nferbench.engine.others.LOOK", 0.01)
    quick.setattr("nferbench.engine.others.JUDGE", 0.02)
    quick.setattr(runner, "IDLE", 0.01)
    quick.setattr(runner, "serve", commits)
    return quick


def test_what_another_run_is_at_work_on_is_waited_for_after_all_else_is_done(
    tmp_path: Path, quickly: pytest.MonkeyPatch
) -> None:
    theirs, *mine = stages = [faces(first) for first in range(4)]
    needing = replace(translations(1)[0], source=theirs)
    other = Store(tmp_path)
    with ExitStack() as held:
        held.enter_context(other.claim(theirs))

        def finish() -> None:
            other.commit(theirs, {"result": {}})
            held.close()

        events = Events(finish)
        outcome = runner.run_stages([*stages, needing], setup(tmp_path), Store(tmp_path), events, jobs=1)
    assert set(outcome.done) == {*stages, needing} and not outcome.failed
    assert [stage for what, stage, _ in events.seen if what == "started"] == [*mine, needing]
    (waits,) = [at for at, (what, _, _) in enumerate(events.seen) if what == "waits"]
    assert [stage for what, stage, _ in events.seen[:waits] if what == "ended"] == mine
    assert f"process {os.getpid()} on" in events.seen[waits][2] and " since " in events.seen[waits][2]
    assert ("ended", theirs, "done by another run") in events.seen


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_stage_that_another_run_gave_up_is_taken_up(tmp_path: Path, quickly: pytest.MonkeyPatch, jobs: int) -> None:
    other = Store(tmp_path)
    with ExitStack() as held:
        held.enter_context(other.claim(FACES))

        def killed() -> None:
            other.fail(FACES, "killed", "its process ended with signal 9")
            held.close()

        outcome = runner.run_stages(CHAIN, setup(tmp_path), Store(tmp_path), Events(killed), jobs=jobs)
    assert outcome.done == CHAIN


def test_a_stage_on_which_another_run_failed_is_not_tried_in_turn(tmp_path: Path, quickly: pytest.MonkeyPatch) -> None:
    other = Store(tmp_path)
    with ExitStack() as held:
        held.enter_context(other.claim(FACES))

        def fail() -> None:
            other.fail(FACES, "diverged", "NaN")
            held.close()

        events = Events(fail)
        outcome = runner.run_stages(CHAIN, setup(tmp_path), Store(tmp_path), events, jobs=1)
    assert [outcome.failed[stage].status for stage in CHAIN] == ["diverged", "waiting", "waiting"]
    assert outcome.failed[FACES].reason.startswith("NaN (in another run, process ")
    assert not any(what == "started" for what, _, _ in events.seen)
    assert runner.run_stages(CHAIN, setup(tmp_path), other, Silent(), jobs=1).done == CHAIN  # the next run tries


def test_a_stage_that_another_run_takes_first_is_left_to_it(tmp_path: Path, quickly: pytest.MonkeyPatch) -> None:
    """It was free when it was looked at and held when it was tried: not looked at means free here."""
    quickly.setattr("nferbench.engine.others.Others.at_work", lambda *_: None)
    other = Store(tmp_path)
    with ExitStack() as held:
        held.enter_context(other.claim(faces(0)))

        class Counting(Silent):
            left_to_it = 0

            def left(self, stage: Any) -> None:
                self.left_to_it += 1
                if self.left_to_it == 2:
                    other.commit(stage, {"result": {}})
                    held.close()

        reporter = Counting()
        outcome = runner.run_stages([faces(0), faces(1)], setup(tmp_path), Store(tmp_path), reporter, jobs=1)
    assert outcome.done == (faces(1), faces(0)) and reporter.left_to_it >= 2


def test_without_waiting_a_stage_of_another_run_ends_as_held(tmp_path: Path, quickly: pytest.MonkeyPatch) -> None:
    with Store(tmp_path).claim(FACES):
        outcome = runner.run_stages(CHAIN, setup(tmp_path), Store(tmp_path), Silent(), jobs=1, wait_for_others=False)
    assert [outcome.failed[stage].status for stage in CHAIN] == ["held", "waiting", "waiting"]
    assert f"faces toy-32px is held by process {os.getpid()} on" in outcome.failed[FACES].reason


def test_the_gate_opens_when_another_run_prepared_the_faces(tmp_path: Path, quickly: pytest.MonkeyPatch) -> None:
    other, seen = Store(tmp_path), []
    with ExitStack() as held:
        held.enter_context(other.claim(FACES))

        def finish() -> None:
            other.commit(FACES, {"result": {}})
            held.close()

        outcome = runner.run_stages(
            CHAIN,
            setup(tmp_path),
            Store(tmp_path),
            Events(finish),
            jobs=1,
            gate=lambda: seen.append(other.find(FACES)),
        )
    assert outcome.done == CHAIN and len(seen) == 1 and seen[0] is not None


def test_why_a_stage_was_stopped_is_noted_before_its_lock_is_free(tmp_path: Path, quickly: pytest.MonkeyPatch) -> None:
    quickly.setattr(runner, "serve", hangs)
    noted: list[bool] = []
    stop = runner._stop

    def stopped(*arguments: Any, **named: Any) -> None:
        noted.append(Store(tmp_path).failure(FACES) is not None)
        stop(*arguments, **named)

    quickly.setattr(runner, "_stop", stopped)
    runner.run_stages(CHAIN[:1], setup(tmp_path), Store(tmp_path), Silent(), jobs=1, timeout=0.1)
    assert noted and all(noted)


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), DivergedError("NaN")])
def test_an_attempt_that_lost_its_lock_is_held_and_throws_nothing_of_the_next_owner_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    other = Store(tmp_path)
    with ExitStack() as held:

        def overtaken(*_: object) -> None:
            (sign,) = (tmp_path / "locks" / key(FACES)).iterdir()
            sign.unlink()
            held.enter_context(other.claim(FACES))
            (other.partial(FACES) / "checkpoint.pt").write_text("state")
            raise error

        monkeypatch.setattr("nferbench.engine.execute.execute", overtaken)
        mine, theirs = multiprocessing.Pipe()
        finished = worker.attempt(FACES, setup(tmp_path), mine, torch.device("cpu"), {})
        assert finished.status == "held"
        assert finished.reason.startswith(f"the lock of faces toy-32px was lost to process {os.getpid()} on")
        assert theirs.recv() == Told(finished.reason)
        assert (other.partial(FACES) / "checkpoint.pt").exists() and not list(tmp_path.glob("failures/*"))


def test_why_a_stage_failed_is_noted_before_its_lock_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []
    fail = Store.fail

    def noting(self: Store, *arguments: Any) -> None:
        locked.append(self.is_locked(FACES))
        fail(self, *arguments)

    def raising(*_: object) -> None:
        raise DivergedError("NaN")

    monkeypatch.setattr(Store, "fail", noting)
    monkeypatch.setattr("nferbench.engine.execute.execute", raising)
    mine, _ = multiprocessing.Pipe()
    assert worker.attempt(FACES, setup(tmp_path), mine, torch.device("cpu"), {}).status == "diverged"
    assert locked == [True] and not Store(tmp_path).is_locked(FACES)


@pytest.mark.parametrize("late", [False, True], ids=["then", "before it looks"])
def test_a_process_of_ours_ends_with_the_one_that_started_it(late: bool) -> None:
    code = (
        "import os, sys, time, multiprocessing as m\n"
        "from nferbench.engine.worker import die_with_parent\n"
        "def child(parent):\n"
        f"    print(os.getpid(), flush=True) if {late} else None\n"
        f"    while {late} and os.getppid() == parent: time.sleep(0.01)\n"
        "    die_with_parent()\n"
        f"    print(os.getpid(), flush=True) if not {late} else None\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    m.get_context('fork').Process(target=child, args=(os.getpid(),)).start()\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.1)
    pytest.fail("it lives on")


def test_a_worker_whose_runner_is_gone_ends_and_notes_no_failure(tmp_path: Path) -> None:
    mine, theirs = multiprocessing.Pipe()
    mine.send(FACES)
    process = multiprocessing.get_context("fork").Process(target=serves_nobody, args=(theirs, mine, setup(tmp_path)))
    process.start()
    mine.close()
    process.join(timeout=60)
    assert process.exitcode == 1
    assert Store(tmp_path).is_locked(FACES) and not list(tmp_path.glob("failures/*"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            "out",
        ),
        (MemoryError(), "out"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out"),
        (RuntimeError("shapes differ"), "failed"),
    ],
)
def test_a_lack_of_memory_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    def raising(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("nferbench.engine.execute.execute", raising)
    mine, _ = multiprocessing.Pipe()
    finished = worker.attempt(FACES, setup(tmp_path), mine, torch.device("cpu"), {})
    assert finished.status.startswith(status) and "\n" not in finished.reason
    assert ("lower --jobs" in finished.reason) is (status == "out")
    assert bool(finished.trace) is (status == "failed")


@pytest.mark.parametrize(
    ("error", "whose"), [(MemoryError(), "cpu"), (RuntimeError("CUDA error: out of memory"), "cuda")]
)
def test_a_lack_of_memory_names_the_memory_that_lacks(tmp_path: Path, error: Exception, whose: str) -> None:
    finished = worker._ended_by(error, replace(setup(tmp_path), device="cuda"), FACES)
    assert finished.reason.startswith(f"out of memory on {whose}: ")


def test_a_worker_leaves_when_its_device_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the device died of: by the error itself, or by the device that does not answer any more."""

    def raising(error: Exception) -> Callable[..., None]:
        def execute(*arguments: object) -> None:
            raise error

        return execute

    mine, _ = multiprocessing.Pipe()
    cpu = torch.device("cpu")
    sticky = torch.AcceleratorError("CUDA error: device-side assert triggered\nCUDA kernel errors might be ...")
    monkeypatch.setattr("nferbench.engine.execute.execute", raising(sticky))
    finished = worker.attempt(FACES, setup(tmp_path), mine, cpu, {})
    assert finished.device_lost and finished.status == "failed"
    assert "AcceleratorError: CUDA error: device-side assert triggered" in finished.reason
    monkeypatch.setattr("nferbench.engine.execute.execute", raising(DivergedError("NaN")))
    assert worker.attempt(FACES, setup(tmp_path), mine, cpu, {}) == Finished("diverged", "NaN")
    monkeypatch.setattr("nferbench.engine.lost.answers", lambda _: False)
    finished = worker.attempt(FACES, setup(tmp_path), mine, cpu, {})
    assert finished.device_lost and finished.status == "failed"


def test_of_a_face_that_does_not_fit_alone_is_told_what_would_help(tmp_path: Path) -> None:
    told = worker._ended_by(
        torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), replace(setup(tmp_path), device="cuda"), CHAIN[1]
    )
    assert told.status == "out-of-memory"
    assert told.reason == (
        "out of memory on cuda: CUDA out of memory. Tried; not even one face fits; "
        "lower --jobs, free memory, or take a smaller size or --preset"
    )
