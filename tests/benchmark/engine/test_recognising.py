"""Which seed a training of a recogniser has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nferbench.contract.noise import derive_seed
from nferbench.engine import recognising
from nferbench.engine.context import Context
from nferbench.engine.execute import execute
from nferbench.engine.means import Means
from nferbench.engine.training import Trained
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import Recognise
from nferbench.workspace.store import Store

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")], installed=False)


def test_each_training_has_a_seed_of_its_own_and_the_first_has_that_of_earlier_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def train(make: Any, batch_of: Any, order: Any, updates: int, seed: int, *rest: Any, **more: Any) -> Any:
        told.append(seed)
        return Trained(make(), Means(8), (), 0.0)

    monkeypatch.setattr(recognising, "train", train)
    request = Request("toy", ("none",), "toy-extra", "quick", folds=2, seed=7, fer_seeds=3, changes=("size=16",))
    store = Store(tmp_path)
    work = plan_work(resolve(request, PLUGINS), {}, store, "")
    context = Context(store, {}, torch.device("cpu"), 8)
    cells = [row.folds[1].recognition for row in work.rows]
    for stage in work.stages:
        if not isinstance(stage, Recognise) and any(stage in each.needs() for cell in cells for each in cell):
            execute(stage, context)
    by_row = []
    for cell in cells:
        told.clear()
        for stage in cell:
            execute(stage, context)
        by_row.append(list(told))
    first, *others = by_row[0]
    assert first == derive_seed("recognise", 7, 1) and len({first, *others}) == 3
    assert by_row == [by_row[0]] * 2  # rows differ in their extra set alone
