"""The weights in the package that preset `quick` starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from nferbench import FaceSpec
from nferbench.planning.initial import origin
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve


def test_they_are_small_fit_and_saw_equally_many_pairs_of_other_people() -> None:
    plugins = load_plugins(installed=False)
    rows = resolve(Request(preset="quick", methods=("all", "ablation")), plugins).rows
    recipes = {recipe for row in rows for recipe in row.translator.networks().values()}
    files = {Path(recipe.init) for recipe in recipes}  # type: ignore[attr-defined]
    assert len(files) == len(recipes) == 8  # one each; a path that is empty or shared would make it fewer
    assert sum(file.stat().st_size for file in files) < 8_000_000
    assert files == {*next(iter(files)).parent.iterdir()}, "a file that nothing starts from"
    people = plugins.datasets["synthetic-others"]
    told = [origin(file) for file in files]
    assert {(each["trained_on"], each["pairs"]) for each in told} == {(people.title, 120_000)}
    for recipe in recipes:
        network = recipe.build(FaceSpec(32, 68))
        before = next(network.parameters()).clone()
        recipe.learner(network, FaceSpec(32, 68), 96)
        assert not torch.equal(next(network.parameters()), before)
