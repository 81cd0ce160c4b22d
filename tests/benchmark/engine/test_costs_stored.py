"""What a stage says of its cost: the memory that it took, how often networks were asked, what was done before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nferbench.contract.errors import StoppedError
from nferbench.engine import translating
from nferbench.engine.context import Context
from nferbench.engine.execute import execute
from nferbench.machine import resident
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import Translate
from nferbench.workspace.store import Store

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")], installed=False)
CPU = torch.device("cpu")


def made(workspace: Path, batch: int = 8) -> tuple[Context, Translate]:
    """A workspace with a trained network, and the translation of four test faces that needs it."""
    request = Request("toy", ("toy-regression",), "none", "quick", folds=3, changes=("size=16",))
    store = Store(workspace)
    stages = plan_work(resolve(request, PLUGINS), {}, store, "").stages
    translation = next(stage for stage in stages if isinstance(stage, Translate))
    context = Context(store, {}, CPU, batch)
    for need in (*translation.networks[0].needs(), *translation.networks):
        execute(need, context)
    return context, translation


def info(context: Context, stage: Any) -> dict[str, Any]:
    entry = context.store.find(stage)
    assert entry is not None
    return dict(entry.info)


def test_a_stage_notes_the_memory_that_it_took_and_a_training_what_it_trained(tmp_path: Path) -> None:
    context, translation = made(tmp_path)
    said = info(context, translation.networks[0])
    assert said["result"]["parameters"] == 84 and "resumed_at" not in said["result"]
    assert set(said["cost"]) == {"key", "seconds", "units", "resumed"}
    if resident.forget_peak():
        assert said["made_with"]["peak_resident_bytes"] > 1_000_000


@pytest.mark.parametrize("file", ["clear_refs", "status"])
def test_where_no_peak_is_told_none_is_noted_and_the_stage_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """A peak that is not that of the stage alone is none."""
    own = tmp_path / "own"
    own.mkdir()
    (own / file).write_text("VmHWM: 5 kB\n")
    if file == "status":
        (own / "clear_refs").mkdir()
    monkeypatch.setattr(resident, "_OWN", own)
    context, translation = made(tmp_path / "runs")
    assert "peak_resident_bytes" not in info(context, translation.networks[0])["made_with"]


def test_evaluations_of_a_face_do_not_depend_on_batches_that_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, translation = made(tmp_path)
    translate = translating.translate

    def greedy(translator: Any, vis: Any, *rest: Any) -> Any:
        images = translate(translator, vis, *rest)
        if len(vis) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images

    monkeypatch.setattr(translating, "translate", greedy)
    execute(translation, context)
    assert info(context, translation)["result"]["evaluations"] == {"network": 1.0}


def test_a_translation_that_was_gone_on_with_tells_what_was_done_before(tmp_path: Path) -> None:
    context, translation = made(tmp_path, batch=1)
    whole, _ = made(tmp_path / "whole", batch=1)
    execute(translation, whole)
    asked: list[int] = []

    def stopping() -> str:
        asked.append(1)
        return "SIGTERM" if len(asked) == 3 else ""

    stopped = Context(context.store, {}, CPU, 1, stopping=stopping)
    with pytest.raises(StoppedError):
        execute(translation, stopped)
    execute(translation, context)
    said, undisturbed = info(context, translation), info(whole, translation)
    assert said["cost"]["resumed"] and said["cost"]["units_before"] == 3 < said["cost"]["units"]
    assert said["result"]["evaluations"] == undisturbed["result"]["evaluations"] == {"network": 1.0}
    assert "units_before" not in undisturbed["cost"]
    images = [np.load(each.store.path(translation) / "images.npy") for each in (context, whole)]
    assert np.array_equal(*images)
