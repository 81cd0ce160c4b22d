"""Every network of ours starts from weights as they were when a training ended, its opponents too."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from nferbench import Batch, FaceSpec, Learner, NetworkRecipe
from nferbench.contract.initial import APART
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

FACES = FaceSpec(32, 68)


def recipes() -> dict[str, NetworkRecipe]:
    plugins = load_plugins(())
    rows = resolve(Request(methods=("all",), preset="quick-cold"), plugins).rows
    return {recipe.title or role: recipe for row in rows for role, recipe in row.translator.networks().items()}


RECIPES = recipes()


def trained(recipe: NetworkRecipe, updates: int) -> tuple[torch.nn.Module, Learner]:
    torch.manual_seed(0)
    network = recipe.build(FACES)
    learner = recipe.learner(network, FACES, pairs=10)
    rng = torch.Generator().manual_seed(1)
    for k in range(updates):
        learner.step(batch(recipe, rng), rng, k)
    return network, learner


def batch(recipe: NetworkRecipe, rng: Generator) -> Batch:
    def faces() -> Tensor:
        return torch.rand(recipe.batch_size, 1, 32, 32, generator=rng).expand(-1, 3, -1, -1) * 2 - 1

    points = torch.rand(recipe.batch_size, 68, 2, generator=rng) * 32
    return Batch(faces(), faces(), points, points)


def all_weights(network: torch.nn.Module, learner: Learner) -> dict[str, Tensor]:
    others = {name: each for name, each in learner.networks().items() if each is not network}
    tensors = {
        f"{name}{APART}{key}": value for name, each in others.items() for key, value in each.state_dict().items()
    }
    return {name: value.clone().contiguous() for name, value in {**learner.weights(), **tensors}.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_starts_where_another_ended(name: str, tmp_path: Path) -> None:
    recipe: Any = RECIPES[name]
    ended = all_weights(*trained(recipe, 2))
    path = tmp_path / "w.safetensors"
    save_file(ended, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    start = all_weights(*trained(replace(recipe, init=str(path), init_sha256=digest), 0))
    nothing = all_weights(*trained(recipe, 0))
    assert start.keys() == ended.keys()
    assert all(torch.equal(start[key], ended[key]) for key in ended)
    assert not all(torch.equal(nothing[key], ended[key]) for key in ended)


@pytest.mark.parametrize("name", RECIPES)
def test_without_updates_the_result_is_the_given_weights(name: str, tmp_path: Path) -> None:
    recipe: Any = RECIPES[name]
    ended = {key: value for key, value in all_weights(*trained(recipe, 1)).items() if APART not in key}
    path = tmp_path / "w.safetensors"
    save_file(ended, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    length = "steps" if hasattr(recipe, "steps") else "epochs"
    frozen = replace(recipe, init=str(path), init_sha256=digest, **{length: 0})
    assert frozen.updates(10) == 0
    _, learner = trained(frozen, 0)
    result = learner.weights()
    assert result.keys() == ended.keys() and all(torch.equal(result[key], ended[key]) for key in ended)
