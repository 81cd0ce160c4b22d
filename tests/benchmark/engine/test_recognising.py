"""Which seed a training of a recogniser has, and what is written of its answers."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nferbench.contract.noise import derive_seed
from nferbench.contract.printable import from_cell
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


def recognitions(root: Path, *changes: str) -> tuple[list[Recognise], Context]:
    """The recognisers of the first fold, a row each, and all that they need done."""
    request = Request("toy", ("none",), "toy-extra", "quick", folds=2, seed=7, changes=("size=16", *changes))
    store = Store(root)
    work = plan_work(resolve(request, PLUGINS), {}, store, "")
    context = Context(store, {}, torch.device("cpu"), 8)
    found = [stage for row in work.rows for stage in row.folds[0].recognition]
    for stage in work.stages:
        if not isinstance(stage, Recognise) and any(stage in each.needs() for each in found):
            execute(stage, context)
    return found, context


def predictions(stage: Recognise, context: Context) -> list[dict[str, str]]:
    execute(stage, context)
    entry = context.store.find(stage)
    assert entry is not None
    with (entry.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shares(row: dict[str, str]) -> dict[str, float]:
    """By class, in the order of the columns."""
    return {name.removeprefix("score:"): float(value) for name, value in row.items() if name.startswith("score:")}


def test_each_answer_has_a_probability_of_each_class_and_is_the_likeliest(tmp_path: Path) -> None:
    (stage, *_), context = recognitions(tmp_path, "fer-models.smallcnn.epochs=1")
    rows = predictions(stage, context)
    assert list(rows[0]) == ["id", "subject", "expression", "predicted", "score:happiness", "score:sadness"]
    for row in rows:
        found = shares(row)
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert max(found, key=found.__getitem__) == row["predicted"]


SCORES = {
    "any scale": (torch.tensor([[-1e30, 1e30], [3.0, 2.0]]), ("sadness", "happiness"), ((0, 1), (0.731059, 0.268941))),
    "whole range of doubles": (torch.tensor([[1.7e308, -1.7e308]] * 2, dtype=torch.float64), ("happiness",) * 2, None),
    "half precision": (torch.tensor([[1.0, 2.0]] * 2, dtype=torch.bfloat16), ("sadness",) * 2, ((0.268941, 0.731059),)),
    "ties": (torch.zeros(2, 2), ("happiness",) * 2, ((0.5, 0.5),) * 2),
    "almost ties": (torch.tensor([[0.0, 1e-7]] * 2), ("sadness",) * 2, ((0.5, 0.5),) * 2),
    "hardly likely": (torch.tensor([[0.0, 46.0517]] * 2), ("sadness",) * 2, ((1e-20, 1),) * 2),
}


@pytest.mark.parametrize("kind", SCORES)
def test_probabilities_are_the_softmax_of_whatever_scores_a_recogniser_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (stage, *_), context = recognitions(tmp_path)
    scores, answers, expected = SCORES[kind]
    monkeypatch.setattr(recognising, "train", lambda make, *rest, **more: Trained(make(), Means(8), (), 0.0))

    def logits(fer: Any, network: Any, images: Tensor) -> Tensor:
        return scores.repeat(len(images), 1)[: len(images)]

    monkeypatch.setattr(type(stage.fer), "logits", logits)
    rows = predictions(stage, context)
    assert [row["predicted"] for row in rows[:2]] == [*answers]
    for row, values in zip(rows, expected or (), strict=False):
        assert tuple(shares(row).values()) == pytest.approx(values, rel=1e-5)
    assert all(sum(shares(row).values()) == pytest.approx(1, abs=1e-5) for row in rows)
    assert all(shares(row)[row["predicted"]] == max(shares(row).values()) for row in rows)


def test_class_names_of_any_letters_come_back_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage, *_), context = recognitions(tmp_path)
    names = {"happiness": "=cmd, \"a'", "sadness": "score:x"}
    prepared = recognising.prepared_faces(stage.faces, context)
    faces = tuple(replace(face, expression=names[face.expression]) for face in prepared.faces)
    monkeypatch.setattr(recognising, "prepared_faces", lambda *_: replace(prepared, faces=faces))
    monkeypatch.setattr(recognising, "classes_of", lambda _: tuple(names.values()))
    monkeypatch.setattr(recognising, "train", lambda make, *rest, **more: Trained(make(), Means(8), (), 0.0))
    rows = predictions(replace(stage, extra=None), context)
    assert [*shares(rows[0])] == [*names.values()]
    assert {from_cell(row["expression"]) for row in rows} == {*names.values()}
    assert {from_cell(row["predicted"]) for row in rows} <= {*names.values()}


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


def test_a_test_that_runs_out_of_memory_gives_the_same_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage, *_), context = recognitions(tmp_path / "one", "fer-models.smallcnn.epochs=1")
    expected = predictions(stage, context)
    plain = type(stage.fer).logits

    def scarce(self: Any, network: nn.Module, images: Tensor) -> Tensor:
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plain(self, network, images)

    monkeypatch.setattr(type(stage.fer), "logits", scarce)
    (stage, *_), context = recognitions(tmp_path / "other", "fer-models.smallcnn.epochs=1")
    found = predictions(stage, context)
    assert [row["predicted"] for row in found] == [row["predicted"] for row in expected]
