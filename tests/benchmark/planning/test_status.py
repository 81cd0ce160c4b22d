"""Why a stage runs, from what is stored beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes import TOY, one_row

from nferbench.planning import status
from nferbench.planning.status import statuses
from nferbench.workspace.stages import HeldOut, PrepareFaces, Stage, TrainNetwork
from nferbench.workspace.store import Store

FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


def training(number: int, fold: int = 0) -> TrainNetwork:
    return TrainNetwork(TOY.RegressionRecipe(lr=0.5, steps=number), FACES, HeldOut(fold, ("p000",)), 0)


def stored(workspace: Path, *stages: Stage) -> Store:
    store = Store(workspace)
    for stage in stages:
        store.partial(stage)
        store.commit(stage, {"result": {}})
    return store


def reasons(store: Store, *stages: Stage) -> list[tuple[str, str]]:
    work = replace(one_row(store.workspace, "none"), stages=stages)
    return [(state.state, state.reason) for state in statuses(work, store)]


def test_the_reason_is_how_it_differs_from_the_nearest_of_the_same_fold(tmp_path: Path) -> None:
    far = replace(training(7), seed=3)
    store = stored(tmp_path, far, training(2), training(9, fold=1))
    assert reasons(store, training(2), training(3), training(4, fold=2)) == [
        ("done", ""),
        ("to run", "recipe.steps 2 -> 3"),
        ("to run", "new"),
    ]


def test_a_stage_whose_needs_alone_have_changed_says_so(tmp_path: Path) -> None:
    store = stored(tmp_path, training(2))
    other = replace(training(2), faces=replace(FACES, content="other"))
    assert reasons(store, other) == [("to run", "something it needs has changed")]


def test_what_is_stored_is_taken_apart_once_however_many_stages_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 12
    store = stored(tmp_path, *(training(number) for number in range(count)))
    taken = 0
    flatten = status.flatten

    def counted(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        return flatten(*arguments)

    monkeypatch.setattr(status, "flatten", counted)
    reasons(store, *(training(100 + number) for number in range(count)))
    assert taken == 2 * count
