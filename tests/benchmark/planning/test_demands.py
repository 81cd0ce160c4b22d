"""The distinct items of a plan, and what was measured of them on a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from nferbench import FaceSpec, Learner, NetworkRecipe, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.metrics.perceptual import lpips_identity
from nferbench.planning.cards import card
from nferbench.planning.costs import cost_key, units
from nferbench.planning.demands import items, measured
from nferbench.planning.plan import Work, networks_of, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import HeldOut, TrainNetwork, Translate
from nferbench.workspace.store import Store


def work(tmp_path: Path) -> Work:
    request = Request("synthetic-hfe", ("none", "sdedit", "cond"), preset="quick", folds=2)
    settings = resolve(request, load_plugins(installed=False))
    return plan_work(settings, {}, Store(tmp_path), lpips_identity(settings.size), ())


def test_equal_work_is_one_item_with_all_its_units(tmp_path: Path) -> None:
    plan = work(tmp_path)
    found = items(plan)
    assert [(item.kind, item.name) for item in found if item.kind != "recogniser"] == [
        ("network", "u-nir"),
        ("translation", "sdedit"),
        ("network", "c-v2n"),
        ("translation", "cond"),
    ]
    network = next(item for item in found if item.kind == "network")
    trainings = [stage for stage in plan.stages if isinstance(stage, TrainNetwork) and stage.role == "u-nir"]
    assert network.stages == len(trainings) == 2
    assert network.units == sum(units(stage, plan) for stage in trainings)
    assert network.resident == len(plan.listings[plan.faces].faces) * 32 * 32 * 3
    (recogniser,) = (item for item in found if item.kind == "recogniser")
    assert recogniser.stages == 2 * len(plan.rows) * plan.settings.fer_seeds


@dataclass(frozen=True)
class Recipe(NetworkRecipe):
    """A network without a title, which nothing here builds."""

    batch_size: int = 4
    steps: int = 3
    init: str = ""
    init_sha256: str = ""

    def build(self, faces: FaceSpec) -> nn.Module:
        raise NotImplementedError

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        raise NotImplementedError

    def updates(self, pairs: int) -> int:
        return self.steps


@dataclass(frozen=True)
class Method(Translator):
    """A method that calls its network as any other does."""

    group: ClassVar = "gan"

    name: str = field(default="method", compare=False)
    title: str = field(default="Method", compare=False)
    network: Recipe = Recipe()

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"network": self.network}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        raise NotImplementedError


def test_networks_of_one_name_are_told_apart_and_given_ones_are_left_out(tmp_path: Path) -> None:
    plan = work(tmp_path)
    faces, sets = plan.faces, [HeldOut(0, ()), HeldOut(1, ())]
    given = Recipe(steps=0, init="file", init_sha256="ab")
    methods = [Method("a", "A"), Method("b", "B", Recipe(8)), Method("c", "C", Recipe(8)), Method("d", "D", given)]
    translations = [
        Translate(each, networks_of(each, faces, fold, 0), faces, "all", fold, 0) for each in methods for fold in sets
    ]
    stages = dict.fromkeys(stage for each in translations for stage in (*each.networks, each))
    found = items(replace(plan, stages=tuple(stages)))
    assert [(item.kind, item.name, item.stages) for item in found] == [
        ("network", "network of a", 2),
        ("translation", "a", 2),
        ("network", "network of b", 2),
        ("translation", "b", 2),
        ("translation", "d", 2),
    ]


def test_only_seconds_of_this_very_kind_of_card_are_measurements_of_it(tmp_path: Path) -> None:
    network = next(item for item in items(work(tmp_path)) if item.kind == "network")
    known = {cost_key(network.stage, name): i for i, name in enumerate(("cpu", "NVIDIA GeForce RTX 4090", "NVIDIA L4"))}
    assert measured(network, card("rtx-4090"), known) == 1
    assert measured(network, card("rtx-3090"), known) is None
    assert measured(network, card("24:165"), known) is None
