"""The runner with workers that fail in their own ways; stages do nothing but that."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import TOY, fails, leaves_a_child

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


def test_of_a_face_that_does_not_fit_alone_is_told_what_would_help() -> None:
    told = worker._out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), "cuda", CHAIN[1])
    assert told.status == "out-of-memory"
    assert told.reason == (
        "out of memory on cuda: CUDA out of memory. Tried; not even one face fits; "
        "lower --jobs, free memory, or take a smaller size or --preset"
    )
