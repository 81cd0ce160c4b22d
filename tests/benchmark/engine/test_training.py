from __future__ import annotations

import csv
import errno
import json
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from nferbench.contract.errors import DataError, DivergedError
from nferbench.contract.learning import GradientLearner
from nferbench.engine.checkpoints import read_checkpoint, write_checkpoint
from nferbench.engine.training import Trained, resumption, sample_order, train
from nferbench.workspace.unfinished import Unfinished

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

    def rate_of_last_update(self) -> float:
        return self.learner.rate_of_last_update()

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


def unfinished(folder: Path, key: str = "key", code: str = "") -> Unfinished:
    folder.mkdir(exist_ok=True)
    return Unfinished(folder, key, code, folder.with_name("damaged"))


def run(fresh: Callable[[], Any], folder: Path, key: str = "key", code: str = "", **options: Any) -> Any:
    left = unfinished(folder, key, code)
    order, device = sample_order(10, 4, 5), torch.device("cpu")
    return train(fresh, lambda rows: DATA[rows], order, 20, 5, device, left, batch_size=4, **options).learner


def interrupted(folder: Path, at: int, **options: Any) -> None:
    with pytest.raises(Interrupted):
        run(lambda: Stopping(learner(), at), folder, checkpoint_seconds=0, **options)


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_an_interrupted_training_ends_bit_for_bit_like_an_undisturbed_one(tmp_path: Path) -> None:
    whole = run(learner, tmp_path / "one")
    for at in (3, 3, 11):
        interrupted(tmp_path / "other", at)
    rest = run(learner, tmp_path / "other", checkpoint_seconds=0)
    assert same(whole.weights(), rest.weights())
    assert (tmp_path / "one" / "losses.csv").read_text() == (tmp_path / "other" / "losses.csv").read_text()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def stored(folder: Path) -> Path:
    return next(folder.glob("checkpoint-*.pt"))


def damage_bit(folder: Path) -> None:
    flip(stored(folder))


def damage_missing(folder: Path) -> None:
    (stored(folder)).unlink()


def damage_folder(folder: Path) -> None:
    path = stored(folder)
    path.unlink()
    path.mkdir()


def damage_mark(folder: Path) -> None:
    (folder / "checkpoint.json").write_text("[" * 100_000)


def damage_form(folder: Path) -> None:
    said = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**said, "done": "1"}))


def damage_way_out(folder: Path) -> None:
    said = json.loads((folder / "checkpoint.json").read_text())
    (stored(folder)).rename(folder.parent / "elsewhere.pt")
    (folder / "checkpoint.json").write_text(json.dumps({**said, "file": "../elsewhere.pt"}))


def damage_unmarked(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_checkpoint_that_is_not_what_was_written_is_told_and_never_used(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    whole = run(learner, tmp_path / "one")
    interrupted(tmp_path / "other", 11)
    damage(tmp_path / "other")
    told: list[str] = []
    rest = run(learner, tmp_path / "other", tell=told.append)
    assert same(whole.weights(), rest.weights())
    assert len(told) == 1 and "checkpoint not used" in told[0] and "starting anew" in told[0]
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_a_checkpoint_of_another_stage_or_of_other_code_is_not_used(tmp_path: Path) -> None:
    whole = run(learner, tmp_path / "one")
    for words, reason in (({"key": "another"}, "belongs to another stage"), ({"code": "b"}, "begun by other code")):
        folder = tmp_path / reason.replace(" ", "-")
        interrupted(folder, 11, code="a")
        told: list[str] = []
        rest = run(learner, folder, tell=told.append, **{"code": "a", **words})
        assert same(whole.weights(), rest.weights()) and reason in told[0]


def test_a_checkpoint_of_another_layout_is_set_aside_and_the_training_starts_anew(tmp_path: Path) -> None:
    def earlier() -> GradientLearner:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 1))
        return GradientLearner(
            network, torch.optim.SGD(network.parameters(), 1e-2), lambda b, rng: {"l2": network(b).square().mean()}
        )

    with pytest.raises(Interrupted):
        run(lambda: Stopping(earlier(), 11), tmp_path / "other", checkpoint_seconds=0)
    told: list[str] = []
    rest = run(learner, tmp_path / "other", tell=told.append)
    assert same(run(learner, tmp_path / "one").weights(), rest.weights())
    assert len(told) == 1 and "checkpoint of another layout" in told[0] and "\n" not in told[0]
    assert list((tmp_path / "damaged").glob("*/checkpoint-*.pt"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    ],
    ids=str,
)
def test_a_checkpoint_is_kept_that_a_device_could_not_take(tmp_path: Path, error: Exception) -> None:
    class Lacking(Stopping):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise error

    interrupted(tmp_path / "one", 11)
    with pytest.raises(type(error)):
        run(lambda: Lacking(learner(), 99), tmp_path / "one", tell=pytest.fail)
    assert list((tmp_path / "one").glob("checkpoint-*.pt"))


def test_a_checkpoint_is_kept_that_memory_was_too_short_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    interrupted(tmp_path / "one", 11)
    monkeypatch.setattr(torch, "load", lacking)
    with pytest.raises(DataError, match="Cannot allocate memory"):
        run(learner, tmp_path / "one", tell=pytest.fail)
    assert list((tmp_path / "one").glob("checkpoint-*.pt"))


def test_a_full_disk_inside_a_checkpoint_is_an_error_of_the_disk_and_leaves_the_last_one(tmp_path: Path) -> None:
    left = unfinished(tmp_path / "one")
    write_checkpoint(left, 1, {"learner": {}, "log": []})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_checkpoint(left, 2, {"learner": {"weights": torch.zeros(100_000)}, "log": []})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert sorted(path.name for path in left.folder.iterdir()) == ["checkpoint-1.pt", "checkpoint.json"]
    assert read_checkpoint(left, torch.device("cpu")) == (1, {"learner": {}, "log": []})


def test_memory_that_ends_inside_a_checkpoint_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(state: Any, file: Any) -> None:
        file.write(b"half")
        raise MemoryError

    left = unfinished(tmp_path / "one")
    monkeypatch.setattr(torch, "save", lacking)
    with pytest.raises(MemoryError):
        write_checkpoint(left, 1, {})
    assert not list(left.folder.iterdir())


class Unsaved(Stopping):
    """A learner whose state does not fit into memory a second time."""

    def state_dict(self) -> dict[str, Any]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.\nMore")


def test_a_checkpoint_that_memory_is_too_short_for_is_left_out_and_the_training_goes_on(tmp_path: Path) -> None:
    whole = run(learner, tmp_path / "one")
    told: list[str] = []
    rest = run(lambda: Unsaved(learner(), 99), tmp_path / "other", tell=told.append, checkpoint_seconds=0)
    assert same(whole.weights(), rest.learner.weights())
    assert told[0] == ("no checkpoint at update 1: CUDA out of memory. Tried to allocate 1 GiB; going on without it")


def test_a_training_that_is_stopped_and_cannot_be_saved_fails(tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run(lambda: Unsaved(learner(), 99), tmp_path / "one", stopping=lambda: "SIGTERM")


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    averaged, raw = (run(lambda ema=ema: learner(ema), tmp_path / str(ema)) for ema in (0.9, 0.0))
    assert not same(averaged.weights(), raw.weights())
    assert same(averaged.state_dict()["network"], raw.state_dict()["network"])


def test_a_loss_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    network = nn.Linear(4, 1)
    bad = GradientLearner(
        network, torch.optim.SGD(network.parameters(), 1e30), lambda b, rng: {"l2": network(b).square().mean()}
    )
    with pytest.raises(DivergedError, match="is not finite"):
        run(lambda: bad, tmp_path / "one")


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
    run(learner, tmp_path / "one")
    with (tmp_path / "one" / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == list(range(1, 21))
    assert all(float(row["l2"]) > 0 for row in rows)


class Awaited:
    """A loss that counts how often its number is asked for, for which a GPU would be waited for."""

    def __init__(self) -> None:
        self.reads = 0

    def __float__(self) -> float:
        self.reads += 1
        return 1.0


def test_a_loss_is_read_in_the_updates_that_are_logged_alone(tmp_path: Path) -> None:
    loss = Awaited()

    class Lazy(Unpaced):
        def step(self, batch: Any, rng: Generator, k: int) -> Any:
            return {"l2": loss}

    order, device, left = sample_order(10, 4, 5), torch.device("cpu"), unfinished(tmp_path / "one")
    train(Lazy, lambda rows: DATA[rows], order, 600, 5, device, left, batch_size=4, checkpoint_seconds=1e9)
    assert loss.reads == len(logged(tmp_path / "one")) == 200


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_learning_rate_of_each_update_is_logged_beside_its_losses(tmp_path: Path) -> None:
    run(learner, tmp_path / "one")
    assert [float(row["lr"]) for row in logged(tmp_path / "one")] == pytest.approx([1e-2 / (1 + k) for k in range(20)])


class Unpaced:
    """A learner that tells no rate and has a loss, and an attribute, of that name."""

    learning_rate = 7.0

    def __init__(self) -> None:
        self.learner = learner()

    def step(self, batch: Any, rng: Generator, k: int) -> Mapping[str, Tensor]:
        return {"lr": self.learner.step(batch, rng, k)["l2"]}

    def state_dict(self) -> dict[str, Any]:
        return self.learner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state)


def test_a_learner_that_tells_no_rate_has_its_losses_logged_alone(tmp_path: Path) -> None:
    run(Unpaced, tmp_path / "unpaced")
    run(learner, tmp_path / "paced")
    losses = [row["l2"] for row in logged(tmp_path / "paced")]
    assert logged(tmp_path / "unpaced") == [{"update": str(k), "lr": loss} for k, loss in enumerate(losses, 1)]


def trained(folder: Path) -> Trained[Any]:
    order, device = sample_order(10, 4, 5), torch.device("cpu")
    return train(learner, lambda rows: DATA[rows], order, 20, 5, device, unfinished(folder), batch_size=4)


def test_where_a_training_was_gone_on_with_and_what_it_took_before_is_known(tmp_path: Path) -> None:
    assert resumption(trained(tmp_path / "whole")) == {}
    for at in (3, 11):
        interrupted(tmp_path / "other", at)
    done = trained(tmp_path / "other")
    first, second = done.resumed_at
    assert 0 < first <= 3 and first < second <= 11
    assert done.seconds_before is not None and done.seconds_before > 0
    assert resumption(done) == {
        "resumed_at": [first, second],
        "cost": {"seconds_before": round(done.seconds_before, 3)},
    }


def test_a_checkpoint_of_an_earlier_version_is_gone_on_with_and_its_seconds_are_unknown(tmp_path: Path) -> None:
    whole = run(learner, tmp_path / "whole")
    interrupted(tmp_path / "other", 11)
    left = unfinished(tmp_path / "other")
    found = read_checkpoint(left, torch.device("cpu"))
    assert found is not None
    done, state = found
    write_checkpoint(left, done, {name: state[name] for name in ("log", "learner")})
    rest = trained(tmp_path / "other")
    assert same(whole.weights(), rest.learner.weights())
    assert resumption(rest) == {"resumed_at": [done], "cost": {}}
