"""A training that runs out of memory goes on with less of it, and ends where it would have ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from nferbench import GradientLearner, Learner, PiecewiseLoss
from nferbench.contract.errors import ExhaustedError, StoppedError
from nferbench.contract.translator import Batch
from nferbench.engine.checkpoints import read_checkpoint, write_checkpoint
from nferbench.engine.means import Means, given, less
from nferbench.engine.training import Trained, computed, sample_order, train
from nferbench.workspace.unfinished import Unfinished

FACES = torch.randn(12, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
UPDATES = 12


class Card:
    """A device that holds `rows` rows of a batch with all activations, and four times as many without."""

    def __init__(self, rows: float) -> None:
        self.rows = rows
        self.lost = 0

    def hold(self, rows: int, recomputes: bool) -> None:
        if rows > self.rows * (4 if recomputes else 1):
            self.lost += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. More words")


class Network(nn.Module):
    def __init__(self, able: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(12, 1).double()
        self.recomputes = False
        if able:
            self.enable_gradient_checkpointing = lambda: setattr(self, "recomputes", True)
            self.disable_gradient_checkpointing = lambda: setattr(self, "recomputes", False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))  # type: ignore[no-any-return]


def learner(card: Card, able: bool = False, whole: bool = False) -> GradientLearner:
    network = Network(able)

    def terms(x: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
        card.hold(len(x), network.recomputes)
        return {"l2": (network(x) - noise).square().mean()}

    def draw(batch: Batch, rng: Generator) -> tuple[Tensor, ...]:
        return batch.nir, torch.randn(len(batch.nir), 1, generator=rng, dtype=torch.float64)

    loss: Any = PiecewiseLoss(draw, terms)
    if whole:
        loss = lambda batch, rng: terms(*draw(batch, rng))  # noqa: E731
    return GradientLearner(network, torch.optim.AdamW(network.parameters(), 1e-2), loss, ema=0.9)


def faces(rows: np.ndarray) -> Batch:
    return Batch(FACES[rows], FACES[rows])


def ended(
    fresh: Any, folder: Path, piece: int = 8, batch_of: Callable[[np.ndarray], Batch] = faces, **options: Any
) -> Trained[Any]:
    folder.mkdir(exist_ok=True)
    left = Unfinished(folder, "key", "", folder.with_name("damaged"))
    return train(
        fresh,
        batch_of,
        sample_order(12, 8, 5),
        UPDATES,
        5,
        torch.device("cpu"),
        left,
        batch_size=8,
        means=Means(piece),
        **options,
    )


def run(fresh: Any, folder: Path, **options: Any) -> tuple[Learner, Means, list[str]]:
    told: list[str] = []
    done = ended(fresh, folder, tell=told.append, **options)
    return done.learner, done.means, told


def same(a: Learner, b: Learner) -> bool:
    return all(torch.allclose(value, b.weights()[name], rtol=1e-9) for name, value in a.weights().items())


def test_the_update_that_ran_out_is_done_again_in_smaller_pieces(tmp_path: Path) -> None:
    whole, means, told = run(lambda: learner(Card(8)), tmp_path / "whole")
    assert (means, told) == (Means(8), [])
    card = Card(2)
    pieces, means, told = run(lambda: learner(card), tmp_path / "pieces")
    assert same(whole, pieces)
    assert means == Means(2)
    assert card.lost == 2  # with 8 rows, then with 4; nothing later
    assert told[-1] == "memory ran out; going on at update 1 with 2 rows of the batch at a time"


def test_activations_are_computed_anew_at_last(tmp_path: Path) -> None:
    whole, _, _ = run(lambda: learner(Card(8)), tmp_path / "whole")
    pieces, means, told = run(lambda: learner(Card(0.3), able=True), tmp_path / "pieces")
    assert same(whole, pieces)
    assert means == Means(1, recompute=True)
    assert told[-1].endswith("with 1 row of the batch at a time, activations computed anew")


def test_a_loss_that_cannot_be_divided_keeps_its_batch_and_computes_anew(tmp_path: Path) -> None:
    whole, _, _ = run(lambda: learner(Card(8)), tmp_path / "whole")
    anew, means, _ = run(lambda: learner(Card(2), able=True, whole=True), tmp_path / "anew")
    assert same(whole, anew)
    assert means == Means(8, recompute=True)


@pytest.mark.parametrize("whole", [False, True])
def test_memory_that_does_not_suffice_is_told_with_what_was_tried(tmp_path: Path, whole: bool) -> None:
    with pytest.raises(ExhaustedError) as caught:
        run(lambda: learner(Card(0.1), whole=whole), tmp_path / "none")
    text = str(caught.value)
    assert text.startswith("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert f"at update 1 of {UPDATES}" in text and f"{8 if whole else 1} row" in text and "--jobs" in text
    assert "\n" not in text


class Halfway(Learner):
    """Runs out of memory once, when weights have moved already."""

    def __init__(self, inner: GradientLearner, lost: list[int]) -> None:
        self.inner, self.lost = inner, lost

    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        losses = self.inner.step(batch, rng, k)
        if k == 7 and not self.lost:
            self.lost.append(k)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return losses

    def divide(self, piece: int) -> bool:
        return self.inner.divide(piece)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state)

    def networks(self) -> Mapping[str, nn.Module]:
        return self.inner.networks()

    def weights(self) -> dict[str, Tensor]:
        return self.inner.weights()


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 60.0])
def test_weights_that_had_moved_come_back_from_the_last_checkpoint(tmp_path: Path, checkpoint_seconds: float) -> None:
    whole, _, _ = run(lambda: learner(Card(8)), tmp_path / "whole")
    lost: list[int] = []
    other, means, _ = run(
        lambda: Halfway(learner(Card(8)), lost), tmp_path / "other", checkpoint_seconds=checkpoint_seconds
    )
    assert lost == [7]
    assert same(whole, other)
    assert means == Means(4)


def test_an_update_whose_batch_did_not_fit_is_done_again_from_where_it_is(tmp_path: Path) -> None:
    whole, _, _ = run(lambda: learner(Card(8)), tmp_path / "whole")
    made: list[int] = []
    asked: list[int] = []

    def fresh() -> GradientLearner:
        made.append(1)
        return learner(Card(8))

    def batch_of(rows: np.ndarray) -> Batch:
        asked.append(1)
        if len(asked) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return faces(rows)

    other, _, told = run(fresh, tmp_path / "other", batch_of=batch_of)
    assert same(whole, other)
    assert (len(made), len(asked)) == (1, UPDATES + 1)
    assert told == ["memory ran out; going on at update 4 with 4 rows of the batch at a time"]


class Normed(nn.Module):
    """Runs out of memory once, when its norm has moved, unless activations are computed anew."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.layer, self.recomputes, self.calls = nn.BatchNorm1d(12), nn.Linear(12, 1), True, 0

    def enable_gradient_checkpointing(self) -> None:
        self.recomputes = True

    def disable_gradient_checkpointing(self) -> None:
        self.recomputes = False

    def forward(self, x: Tensor) -> Tensor:
        x, self.calls = self.norm(x.flatten(1)), self.calls + 1
        if self.calls == 6 and not self.recomputes:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.layer(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 60.0])
def test_averages_of_a_batch_norm_have_not_moved_twice(tmp_path: Path, checkpoint_seconds: float) -> None:
    def fresh(runs_out: bool) -> GradientLearner:
        network = Normed().double()
        network.calls = 0 if runs_out else 100

        def loss(batch: Batch, rng: Generator) -> Mapping[str, Tensor]:
            return {"l2": network(batch.nir).square().mean()}

        return GradientLearner(network, torch.optim.AdamW(network.parameters(), 1e-2), loss)

    whole, _, _ = run(lambda: fresh(False), tmp_path / "whole")
    other, means, told = run(lambda: fresh(True), tmp_path / "other", checkpoint_seconds=checkpoint_seconds)
    assert means == Means(8, recompute=True) and len(told) == 1
    for name, value in whole.weights().items():
        assert torch.equal(value, other.weights()[name]), name


def test_a_training_that_goes_on_in_other_pieces_says_so_and_ends_where_it_would_have(tmp_path: Path) -> None:
    whole, _, _ = run(lambda: learner(Card(8)), tmp_path / "whole")
    stop = iter(["", "", "", "", "SIGTERM"])
    with pytest.raises(StoppedError):
        ended(lambda: learner(Card(8)), tmp_path / "other", stopping=lambda: next(stop))
    told: list[str] = []
    other = ended(lambda: learner(Card(8)), tmp_path / "other", piece=3, tell=told.append)
    assert same(whole, other.learner)
    assert told == [
        "going on at update 6 with float32 on cpu, 3 rows of the batch at a time; "
        "before it was float32 on cpu, 8 rows of the batch at a time"
    ]
    assert computed(other, 8) == {
        "piece": 3,
        "recompute": False,
        "ways": [way(1, 8), way(6, 3)],
    }


def way(first: int, piece: int) -> dict[str, Any]:
    return {"from": first, "device": "cpu", "precision": "float32", "piece": piece, "recompute": False}


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 60.0])
def test_each_way_in_which_updates_were_computed_is_recorded(tmp_path: Path, checkpoint_seconds: float) -> None:
    """Those alone that the result was computed in: what was lost with a failed update is none of it."""
    lost: list[int] = []
    halfway = ended(lambda: Halfway(learner(Card(8)), lost), tmp_path / "other", checkpoint_seconds=checkpoint_seconds)
    found = computed(halfway, 8)
    assert lost == [7] and found["piece"] == 4
    if checkpoint_seconds:  # no checkpoint: all was done again
        assert "ways" not in found
    else:
        assert found["ways"][0] == way(1, 8) and found["ways"][-1]["piece"] == 4 and len(found["ways"]) == 2


def test_a_training_in_one_way_and_one_of_earlier_versions_tell_of_none(tmp_path: Path) -> None:
    assert computed(ended(lambda: learner(Card(2)), tmp_path / "one", tell=str), 8) == Means(2).recorded(8)
    stop = iter(["", "", "SIGTERM"])
    with pytest.raises(StoppedError):
        ended(lambda: learner(Card(8)), tmp_path / "old", stopping=lambda: next(stop))
    left = Unfinished(tmp_path / "old", "key", "", tmp_path / "damaged")
    found = read_checkpoint(left, torch.device("cpu"))
    assert found is not None
    write_checkpoint(left, found[0], {name: value for name, value in found[1].items() if name != "ways"})
    assert computed(ended(lambda: learner(Card(8)), tmp_path / "old", piece=2, tell=pytest.fail), 8) == {
        "piece": 2,
        "recompute": False,
    }


def test_another_error_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    def faulty() -> GradientLearner:
        made = learner(Card(8))
        made._loss = lambda batch, rng: 1 / 0
        return made

    with pytest.raises(ZeroDivisionError):
        run(faulty, tmp_path / "faulty")


def test_means_are_halved_down_to_one_row() -> None:
    taker = learner(Card(8), able=True)
    means = given(taker, Means(6), 6)
    seen = []
    while (smaller := less(taker, means, 6)) is not None:
        means = smaller
        seen.append(means)
    assert seen == [Means(3), Means(1), Means(1, recompute=True)]


def test_what_is_asked_for_beyond_the_batch_is_the_batch() -> None:
    assert given(learner(Card(8)), Means(64), 8).recorded(8) == {"piece": 8, "recompute": False}
