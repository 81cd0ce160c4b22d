"""The runner with workers that fail in their own ways; stages do nothing but that."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import TOY, fails, leaves_a_child, loses_card_7, loses_its_device

from nferbench.contract.errors import DivergedError
from nferbench.engine import runner, worker
from nferbench.engine.worker import Finished, Setup
from nferbench.workspace.stages import HeldOut, PrepareFaces, ScoreTranslation, Translate
from nferbench.workspace.store import Store

FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)
FOLD = HeldOut(0, ("p000",))
CHAIN = (FACES, Translate(TOY.Regression(), (), FACES, "test", FOLD, 0))
CHAIN = (*CHAIN, ScoreTranslation(CHAIN[1], "none"))


class Silent:
    def started(self, stage: Any) -> None: ...

    def progress(self, stage: Any, done: int, total: int) -> None: ...

    def told(self, stage: Any, text: str) -> None: ...

    def ended(self, stage: Any, finished: Finished) -> None: ...


def setup(workspace: Path) -> Setup:
    return Setup(workspace, {}, (), "cpu", 1, 30.0)


def test_what_needs_what_failed_waits_along_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "serve", fails)
    outcome = runner.run_stages(CHAIN, setup(tmp_path), Store(tmp_path), Silent(), jobs=2)
    assert [outcome.failed[stage].status for stage in CHAIN] == ["failed", "waiting", "waiting"]
    assert all("faces toy-32px: failed, on purpose" in outcome.failed[stage].reason for stage in CHAIN[1:])


def test_a_worker_whose_child_lives_on_is_noticed_when_it_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "serve", leaves_a_child)
    began = time.monotonic()
    outcome = runner.run_stages(CHAIN[:1], setup(tmp_path), Store(tmp_path), Silent(), jobs=1)
    assert outcome.failed[FACES].status == "killed" and "signal 9" in outcome.failed[FACES].reason
    assert time.monotonic() - began < 20  # the child sleeps for 30


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Worker processes that are copies of this one: a new one would load torch for a worker that only pretends."""
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forked)
    return monkeypatch


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


def test_a_stage_that_is_finished_breaks_the_row(tmp_path: Path, quick: pytest.MonkeyPatch) -> None:
    quick.setattr(runner, "serve", loses_its_device)
    first, second, third, fourth = translations(4)
    stages = (FACES, first, second, faces(1), third, fourth)
    outcome = runner.run_stages(stages, replace(setup(tmp_path), cards=("0",)), Store(tmp_path), Silent(), jobs=1)
    assert {finished.status for finished in outcome.failed.values()} == {"failed"} and len(outcome.failed) == 4


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


def test_a_process_of_ours_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, time, multiprocessing as m\n"
        "from nferbench.engine.worker import die_with\n"
        "def child(parent):\n"
        "    die_with(parent)\n"
        "    print(os.getpid(), flush=True)\n"
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
    finished = worker._attempt(FACES, setup(tmp_path), mine, torch.device("cpu"), {})
    assert finished.status.startswith(status) and "\n" not in finished.reason
    assert ("lower --batch" in finished.reason) is (status == "out")
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
    finished = worker._attempt(FACES, setup(tmp_path), mine, cpu, {})
    assert finished.device_lost and finished.status == "failed"
    assert "AcceleratorError: CUDA error: device-side assert triggered" in finished.reason
    monkeypatch.setattr("nferbench.engine.execute.execute", raising(DivergedError("NaN")))
    assert worker._attempt(FACES, setup(tmp_path), mine, cpu, {}) == Finished("diverged", "NaN")
    monkeypatch.setattr("nferbench.engine.lost.answers", lambda _: False)
    finished = worker._attempt(FACES, setup(tmp_path), mine, cpu, {})
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
