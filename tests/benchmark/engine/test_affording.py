"""An update starts with the largest piece that the free memory affords."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from nferbench import FaceSpec, GradientLearner, NetworkRecipe
from nferbench.engine import fitting
from nferbench.engine.affording import afforded, means_within, room_on
from nferbench.engine.context import Context
from nferbench.engine.how import How
from nferbench.engine.means import Means
from nferbench.engine.rehearsing import Training
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import TrainNetwork
from nferbench.workspace.store import Store
from nferbench_methods.diffusion.score import ScoreRecipe

SPEC = FaceSpec(32)
RECIPE = ScoreRecipe(width=8, multipliers=(1,), res_blocks=1, attention=(), head_channels=8, batch_size=4)


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    means_within.cache_clear()
    yield
    means_within.cache_clear()


def test_the_piece_follows_from_the_room_and_fits_it() -> None:
    training = Training(RECIPE, SPEC)
    whole, took = afforded(training, 4, 1e12)
    assert whole == Means(4)
    less, smaller = afforded(training, 4, took.peak - 1)
    assert less == Means(2) and smaller.peak < took.peak
    least, _ = afforded(training, 4, 1)
    assert least == Means(1, recompute=True)


def test_a_training_is_given_what_its_card_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request("synthetic-hfe", ("t2v-ddpm",), "none", "quick-cold", folds=2)
    store = Store(tmp_path)
    work = plan_work(resolve(request, load_plugins(installed=False)), {}, store, "")
    stage = replace(next(each for each in work.stages if isinstance(each, TrainNetwork)), recipe=RECIPE)
    batch = stage.recipe.batch_size
    room = {"bytes": 1 << 40}
    monkeypatch.setattr(fitting, "room_on", lambda device, sharing: room["bytes"] // sharing)
    on_card = Context(store, {}, torch.device("cuda"), 8)
    assert fitting._means(stage, on_card) == Means(batch)
    room["bytes"] = 0
    assert fitting._means(stage, on_card) == Means(1, recompute=True)
    room["bytes"] = 1 << 40
    assert fitting._means(stage, replace(on_card, sharing=1 << 20)).piece < batch
    in_twos = replace(on_card, how=How(piece=2))
    assert fitting._means(stage, in_twos) == Means(2)
    room["bytes"] = 0
    assert fitting._means(stage, in_twos) == Means(2, recompute=True)  # as a plan says of it
    assert fitting._means(stage, replace(on_card, device=torch.device("cpu"))) == Means(batch)


@dataclass(frozen=True)
class Reading(NetworkRecipe):
    """Reads a number in its update, which device `meta` has none of."""

    batch_size: int = 4

    def build(self, faces: FaceSpec) -> torch.nn.Module:
        return torch.nn.Linear(2, 2)

    def learner(self, network: torch.nn.Module, faces: FaceSpec, pairs: int) -> GradientLearner:
        optimiser = torch.optim.SGD(network.parameters(), 0.1)
        return GradientLearner(network, optimiser, lambda batch, rng: {"x": batch.nir.mean() * batch.nir.sum().item()})

    def updates(self, pairs: int) -> int:
        return 1


def test_what_cannot_be_rehearsed_starts_whole_or_as_asked() -> None:
    assert means_within(Reading(), SPEC, 1) == Means(4)
    assert means_within(Reading(), SPEC, 1, 3) == Means(3) and means_within(Reading(), SPEC, 1, 9) == Means(4)


def test_faces_on_the_card_are_part_of_a_workers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a plan counts them: where they lie, an update has that much less, and as much stays free beside it."""
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 250)
    assert room_on(torch.device("cuda"), 1) == 920 - 250
    assert room_on(torch.device("cuda"), 2) == 460 - 250
