"""Runs that a signal asks to stop: what they leave, and how they go on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import TOY, is_deaf, starts_slowly, stops, stops_unasked
from program import Program, program
from torch import Tensor, nn

from nferbench.contract.errors import StoppedError
from nferbench.contract.learning import GradientLearner
from nferbench.engine import runner, stopping
from nferbench.engine.checkpoints import read_checkpoint
from nferbench.engine.context import Context
from nferbench.engine.stopping import requests_to_stop
from nferbench.engine.training import sample_order, train
from nferbench.engine.worker import Finished, Setup, attempt
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store
from nferbench.workspace.unfinished import Unfinished

PLUGINS = Path(__file__).parents[2] / "plugins"
FACES = tuple(PrepareFaces(TOY.Blobs(first=first), "content", 32, "given", 0) for first in (0, 10))


def arguments(workspace: Path) -> list[str]:
    words = ["run", "--plugin", str(PLUGINS / "toy.py"), "--plugin", str(PLUGINS / "slow.py"), "--methods", "slow"]
    words += ["--dataset", "toy", "--extra", "none", "--folds", "2", "--fold", "0", "--jobs", "1"]
    words += ["--set", "fer-models.smallcnn.epochs=1", "--workspace", str(workspace)]
    return words


def mark(workspace: Path) -> int:
    """How far the unfinished stage of a workspace is."""
    (file,) = workspace.glob("partial/*/checkpoint.json")
    return int(json.loads(file.read_text("utf-8"))["done"])


def trains(workspace: Path) -> bool:
    """Whether an update was begun after the faces were prepared; the look ahead does some before."""
    sign, prepared = workspace.with_suffix(".sign"), list(workspace.glob("faces/*/stage.json"))
    return bool(prepared) and sign.exists() and sign.stat().st_mtime > prepared[0].stat().st_mtime + 0.5


def weights(workspace: Path) -> bytes:
    (file,) = workspace.glob("networks/network-*/weights.safetensors")
    return file.read_bytes()


def test_sigterm_costs_no_update_and_the_next_run_ends_alike(tmp_path: Path) -> None:
    """No checkpoint is due before 30 s, so that one that is there was written for the signal."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    begun = Program(*arguments(stopped), SLOW_SIGN=str(stopped.with_suffix(".sign")), SLOW_TRAIN="0.05")
    deadline = time.monotonic() + 120
    while not trains(stopped) and time.monotonic() < deadline and begun.goes_on():
        time.sleep(0.05)
    os.killpg(begun.pid, signal.SIGTERM)  # to all processes, as Slurm does
    done = begun.ended()
    text = done.stdout + done.stderr
    assert done.returncode == 143, text
    assert "network-toy-fold0  stopped: stopped by SIGTERM; the same command goes on from its checkpoint" in text
    assert text.endswith("error: stopped by SIGTERM; what is done stays, start the same command again to go on\n")
    reached = mark(stopped)
    assert 0 < reached < 200
    assert not list(stopped.glob("locks/*")) and not list(stopped.glob("failures/*"))

    for workspace in (stopped, whole):
        assert program(*arguments(workspace)).returncode == 0
    (description,) = stopped.glob("networks/*/stage.json")
    said = json.loads(description.read_text("utf-8"))
    assert said["cost"]["resumed"] is True and said["cost"]["seconds_before"] > 0
    assert said["result"]["resumed_at"] == [reached]
    assert weights(stopped) == weights(whole)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGUSR1, 143, "stopped by SIGUSR1"), (2, 130, "interrupted")],
)
def test_a_signal_before_any_stage_ends_the_command_too(tmp_path: Path, number: int, code: int, said: str) -> None:
    """Also where it interrupts Python code that is made from text: after a bare KeyboardInterrupt there, Python would
    end by SIGINT."""
    plugin, sign = tmp_path / "slow_to_load.py", tmp_path / "sign"
    text = f"import pathlib, time\npathlib.Path({str(sign)!r}).touch()\ntime.sleep(60)"
    plugin.write_text(f"exec({text!r})\n")
    words = ["methods", "--plugin", str(plugin)]
    process = subprocess.Popen(
        [sys.executable, "-m", "nferbench", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 60
    while not sign.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == code, text
    assert text.strip() == f"error: {said}; what is done stays, start the same command again to go on"


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_request_is_noted_once_and_another_ends_the_process(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stopping, "ECHO", 60.0)
    before = signal.signal(number, end)
    with requests_to_stop(then_at_once=True) as asked:
        assert asked() == ""
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # the same request, passed on
        assert asked() == signal.Signals(number).name
        monkeypatch.setattr(stopping, "ECHO", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.signal(number, before) is end


def test_a_worker_is_never_ended_by_another_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "ECHO", 0.0)
    with requests_to_stop(then_at_once=False) as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == "SIGTERM"


class Silent:
    def send(self, message: Any, /) -> None: ...


class Listening:
    """A reporter that asks the run to stop once a stage is at work."""

    def __init__(self, word: str = "begun") -> None:
        self.word = word
        self.asked = ""
        self.ends: dict[PrepareFaces, Finished] = {}

    def started(self, stage: Any) -> None:
        if self.word == "started":
            self.asked = "SIGUSR1"

    def progress(self, stage: Any, done: int, total: int) -> None: ...

    def told(self, stage: Any, text: str) -> None:
        if text == self.word:
            self.asked = "SIGUSR1"

    def left(self, stage: Any) -> None: ...

    def waits(self, stage: Any, holder: str) -> None: ...

    def ended(self, stage: Any, finished: Finished) -> None:
        self.ends[stage] = finished


def stopped_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Any, show: Listening) -> None:
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forked)
    monkeypatch.setattr(runner, "serve", serve)
    setup = Setup(tmp_path, {}, (), "cpu", 1, 30.0)
    with pytest.raises(StoppedError, match="stopped by SIGUSR1; what is done stays") as end:
        runner.run_stages(FACES, setup, Store(tmp_path), show, jobs=1, stopping=lambda: show.asked)
    assert end.value.exit_code == 143
    assert set(show.ends) == {FACES[0]}, "the other is not begun"
    assert not list(tmp_path.glob("failures/*"))


def test_a_run_waits_for_its_workers_and_begins_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = Listening()
    stopped_run(tmp_path, monkeypatch, stops, show)
    assert show.ends[FACES[0]] == Finished("stopped", "stopped by SIGTERM")


def test_a_worker_that_does_not_stop_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE", 0.2)
    show = Listening()
    stopped_run(tmp_path, monkeypatch, is_deaf, show)
    assert show.ends[FACES[0]].status == "killed" and "s after SIGUSR1" in show.ends[FACES[0]].reason


def test_a_worker_that_is_not_ready_yet_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = Listening("started")
    stopped_run(tmp_path, monkeypatch, starts_slowly, show)
    assert show.ends[FACES[0]] == Finished("stopped", "stopped by SIGUSR1 before it began")


def test_a_worker_that_alone_is_asked_costs_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forked)
    monkeypatch.setattr(runner, "serve", stops_unasked)
    setup = Setup(tmp_path, {}, (), "cpu", 1, 30.0)
    stages = (FACES[1], FACES[0])
    outcome = runner.run_stages(stages, setup, Store(tmp_path), Listening(), jobs=1)
    assert outcome.done == (FACES[0],) and outcome.failed[FACES[1]].status == "stopped"
    assert not list(tmp_path.glob("failures/*"))


def test_a_training_writes_the_update_that_it_stops_after(tmp_path: Path) -> None:
    updates = 0

    def loss(batch: Any, rng: Any) -> dict[str, Tensor]:
        nonlocal updates
        updates += 1
        return {"l2": network(batch).square().mean()}

    network = nn.Linear(4, 1)
    learner = GradientLearner(network, torch.optim.Adam(network.parameters()), loss)
    (tmp_path / "partial").mkdir()
    left = Unfinished(tmp_path / "partial", "key", "", tmp_path / "damaged")
    data, device = torch.ones(10, 4), torch.device("cpu")
    order = sample_order(10, 4, 5)
    asked = lambda: "SIGTERM" if updates == 7 else ""  # noqa: E731
    with pytest.raises(StoppedError, match=r"stopped by SIGTERM; .* checkpoint, update 7"):
        train(lambda: learner, lambda rows: data[rows], order, 20, 5, device, left, batch_size=4, stopping=asked)
    found = read_checkpoint(left, device)
    assert found is not None and found[0] == 7


def test_what_else_lies_on_disk_stops_between_its_parts(tmp_path: Path) -> None:
    shown: list[int] = []
    context = Context(
        Store(tmp_path),
        {},
        torch.device("cpu"),
        1,
        progress=lambda done, total: shown.append(done),
        stopping=lambda: "SIGTERM",
    )
    with pytest.raises(StoppedError, match="stopped by SIGTERM; the same command goes on from its checkpoint"):
        context.reached(3, 9)
    context.reached(9, 9)  # what is whole is committed
    assert shown == [3, 9]


def test_a_stopped_attempt_at_faces_is_no_failure_and_is_gone_on_with(tmp_path: Path) -> None:
    stage = PrepareFaces(TOY.Blobs(subjects=40), "content", 32, "given", 0)  # 160 faces: three blocks
    setup = Setup(tmp_path, {}, (), "cpu", 1, 30.0)
    store = Store(tmp_path)
    line = Silent()
    finished = attempt(stage, setup, line, torch.device("cpu"), {}, lambda: "SIGTERM")
    assert finished.status == "stopped"
    assert not list(tmp_path.glob("failures/*")) and not store.is_locked(stage)
    assert list(tmp_path.glob("partial/*/blocks/*.npz"))
    assert attempt(stage, setup, line, torch.device("cpu"), {}).status == "done"
    (description,) = tmp_path.glob("faces/*/stage.json")
    assert json.loads(description.read_text("utf-8"))["cost"]["resumed"] is True
