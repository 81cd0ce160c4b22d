"""The look ahead before a run."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nferbench import FaceSpec, Learner, NetworkRecipe, UsageError
from nferbench.engine import preflight, timing
from nferbench.engine.timing import build_all
from nferbench.engine.worker import Setup
from nferbench.planning.costs import Preflight
from nferbench.planning.plugins import load_plugins
from nferbench.workspace.stages import HeldOut, PrepareFaces, Recognise, TrainNetwork


@dataclass(frozen=True)
class Needy(NetworkRecipe):
    """Its network can be built, and its training cannot start."""

    batch_size: int = 1
    buildable: bool = True
    bug: bool = False

    def ready(self) -> None:
        raise KeyError("a bug") if self.bug else UsageError("its weights are missing")

    def build(self, faces: FaceSpec) -> nn.Module:
        if not self.buildable:
            raise UsageError("too small")
        return nn.Linear(2, 3)

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        raise NotImplementedError

    def updates(self, pairs: int) -> int:
        return 1


def test_what_trainings_lack_is_told_apart_from_what_cannot_be_built(tmp_path: Path) -> None:
    faces = PrepareFaces(load_plugins(installed=False).datasets["synthetic-hfe"], "content", 32, "given", 68)
    recipes = (Needy(), Needy(buildable=False), Needy(bug=True))
    stages: Any = [TrainNetwork(recipe, faces, HeldOut(0, ("s000",)), 0, "needy") for recipe in recipes]
    threads = torch.get_num_threads()
    found = build_all(stages, Setup(tmp_path, {}, (), "cpu", 1, 1.0), {})
    torch.set_num_threads(threads)
    assert found.problems == ("too small",)
    missing, bug = found.lacking
    assert missing == "its weights are missing" and bug.endswith("is not ready: KeyError: 'a bug'")
    assert found.parameters == {recipes[0]: 9, recipes[2]: 9}


def test_what_ends_the_look_ahead_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: unknown error\nCUDA kernel errors might be asynchronously reported")

    monkeypatch.setattr(preflight, "_begin", lambda setup: None)
    monkeypatch.setattr(timing, "build_all", lost)
    mine, theirs = Pipe()
    mine.send(())
    preflight._look(theirs, Setup(tmp_path, {}, (), "cuda", 1, 1.0), {}, timed=True)
    assert mine.recv() == "the networks could not be built: RuntimeError: CUDA error: unknown error"


@pytest.mark.parametrize(("error", "tried"), [(KeyError("a bug"), 3), (RuntimeError("No CUDA GPUs are available"), 1)])
def test_timing_ends_with_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, tried: int
) -> None:
    calls = []

    def failing(stage: Any, *_: Any) -> float:
        calls.append(stage)
        raise error

    monkeypatch.setattr(timing, "_seconds_per_unit", failing)
    stages: Any = ("a", "b", "c")
    found = Preflight(keys={stage: stage for stage in stages})
    assert list(timing.time_all(stages, Setup(tmp_path, {}, (), "cpu", 1, 1.0), found)) == []
    assert len(calls) == tried


def test_a_recogniser_is_built_once_however_many_stages_fit_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = load_plugins(installed=False)
    fer = plugins.fer_models["smallcnn"]
    sizes: list[int] = []
    monkeypatch.setattr(type(fer), "build", lambda self, size, classes: sizes.append(size))
    stages = [
        Recognise(fer, PrepareFaces(plugins.datasets["synthetic-hfe"], "content", size, "given", 68), fold, 0, None)
        for size in (32, 64)
        for fold in (HeldOut(0, ("s000",)), HeldOut(1, ("s001",)))
    ]
    build_all(stages, Setup(tmp_path, {}, (), "cpu", 1, 1.0), {})
    assert sizes == [32, 64]
