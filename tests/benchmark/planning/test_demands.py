"""The distinct items of a plan, and what was measured of them on a card."""

from __future__ import annotations

from pathlib import Path

from nferbench.metrics.perceptual import lpips_identity
from nferbench.planning.cards import card
from nferbench.planning.costs import cost_key, units
from nferbench.planning.demands import items, measured
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import TrainNetwork
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


def test_only_seconds_of_this_very_kind_of_card_are_measurements_of_it(tmp_path: Path) -> None:
    network = next(item for item in items(work(tmp_path)) if item.kind == "network")
    known = {cost_key(network.stage, name): i for i, name in enumerate(("cpu", "NVIDIA GeForce RTX 4090", "NVIDIA L4"))}
    assert measured(network, card("rtx-4090"), known) == 1
    assert measured(network, card("rtx-3090"), known) is None
    assert measured(network, card("24:165"), known) is None
