from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from nferbench.contract.errors import DivergedError
from nferbench.contract.learning import GradientLearner
from nferbench.engine.training import sample_order, train

DATA = torch.randn(10, 4, generator=torch.Generator().manual_seed(1))


class Interrupted(Exception):
    pass


class Stopping:
    """A learner that is cut off before update `at`."""

    def __init__(self, learner: GradientLearner, at: int) -> None:
        self.learner, self.at = learner, at

    def step(self, batch: Any, rng: Generator, k: int) -> Mapping[str, Tensor]:
        if k == self.at:
            raise Interrupted
        return self.learner.step(batch, rng, k)

    def state_dict(self) -> dict[str, Any]:
        return self.learner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state)


def learner(ema: float = 0.9) -> GradientLearner:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)

    def loss(batch: Any, rng: Generator) -> Mapping[str, Tensor]:
        noise = torch.randn(len(batch), 1, generator=rng)
        return {"l2": (network(batch) - noise).square().mean()}

    return GradientLearner(network, optimiser, loss, rate=lambda k: 1 / (1 + k), ema=ema, clip=1.0)


def run(one: Any, folder: Path, **options: Any) -> None:
    train(one, lambda rows: DATA[rows], sample_order(10, 4, 5), 20, 5, torch.device("cpu"), folder, **options)


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_an_interrupted_training_ends_bit_for_bit_like_an_undisturbed_one(tmp_path: Path) -> None:
    whole = learner()
    run(whole, tmp_path)
    (tmp_path / "other").mkdir()
    for at in (3, 3, 11):
        with pytest.raises(Interrupted):
            run(Stopping(learner(), at), tmp_path / "other", checkpoint_seconds=0)
    rest = learner()
    run(rest, tmp_path / "other", checkpoint_seconds=0)
    assert same(whole.weights(), rest.weights())
    assert (tmp_path / "losses.csv").read_text() == (tmp_path / "other" / "losses.csv").read_text()


def test_a_damaged_checkpoint_starts_the_training_anew(tmp_path: Path) -> None:
    whole = learner()
    run(whole, tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    rest = learner()
    run(rest, tmp_path / "other")
    assert same(whole.weights(), rest.weights())


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    averaged, raw = learner(0.9), learner(0.0)
    run(averaged, tmp_path)
    run(raw, tmp_path)
    assert not same(averaged.weights(), raw.weights())
    assert same(averaged.state_dict()["network"], raw.state_dict()["network"])


def test_a_loss_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    network = nn.Linear(4, 1)
    bad = GradientLearner(
        network, torch.optim.SGD(network.parameters(), 1e30), lambda b, rng: {"l2": network(b).square().mean()}
    )
    with pytest.raises(DivergedError, match="is not finite"):
        run(bad, tmp_path)


def test_every_sample_is_used_once_an_epoch() -> None:
    order = sample_order(10, 4, 0)
    rows = np.concatenate([order(k) for k in range(10)])
    for epoch in rows.reshape(4, 10):
        assert sorted(epoch) == list(range(10))
    assert not np.array_equal(rows[:10], rows[10:20])


def test_the_order_is_a_function_of_the_update_alone() -> None:
    forwards, backwards = sample_order(7, 16, 3), sample_order(7, 16, 3)
    expected = [forwards(k) for k in range(6)]
    for k in reversed(range(6)):
        assert np.array_equal(backwards(k), expected[k])


def test_losses_are_logged(tmp_path: Path) -> None:
    run(learner(), tmp_path)
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == list(range(1, 21))
    assert all(float(row["l2"]) > 0 for row in rows)
