"""The one training loop: data order, random streams, loss log, checkpoint and resume.

Everything random in update k follows from (seed, k), so there is no generator state to keep: a training that was
killed goes on from its last checkpoint and ends, on a CPU, bit for bit where an undisturbed one ends.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from nferbench.contract.errors import DivergedError
from nferbench.contract.noise import derive_seed

LOG_POINTS = 200  # rows of a whole training's loss log

B = TypeVar("B", contravariant=True)


class Steps(Protocol[B]):
    """What the loop asks of a learner (`nferbench.Learner` and `nferbench.FERLearner` both give it)."""

    def step(self, batch: B, rng: Generator, k: int) -> Mapping[str, Tensor]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def sample_order(samples: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """Which samples update k uses: a fresh shuffle an epoch, batches always full, as a function of k alone.

    Returns:
        k -> (batch_size,) row numbers in 0..samples-1. A batch that an epoch's end cuts goes on in the next epoch.
    """

    def epoch(number: int) -> np.ndarray:
        return np.random.default_rng([derive_seed(seed, "order"), number]).permutation(samples)

    cached: dict[int, np.ndarray] = {}

    def rows(k: int) -> np.ndarray:
        positions = np.arange(k * batch_size, (k + 1) * batch_size)
        first, last = int(positions[0]) // samples, int(positions[-1]) // samples
        for number in [number for number in cached if number < first]:
            del cached[number]
        for number in range(first, last + 1):
            if number not in cached:
                cached[number] = epoch(number)
        return np.array([cached[int(p) // samples][int(p) % samples] for p in positions])

    return rows


def train(
    learner: Steps[B],
    batch_of: Callable[[np.ndarray], B],
    order: Callable[[int], np.ndarray],
    updates: int,
    seed: int,
    device: torch.device,
    folder: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Run all updates of a learner; write losses.csv and, now and then, a checkpoint into `folder`.

    Args:
        learner: fresh, on `device`.
        batch_of: row numbers to a batch on the device.
        order: k to the row numbers of update k.
        updates: how many.
        seed: of this training.
        folder: where a previous attempt may have left a checkpoint.
        progress: called with (updates done, updates).
        checkpoint_seconds: time between checkpoints; stretched so that writing them takes at most 1/20 of the time.

    Raises:
        DivergedError: a loss became NaN or infinite.
    """
    checkpoint = folder / "checkpoint.pt"
    start, log = _resume(learner, checkpoint, device)
    rng = Generator(device)
    interval = max(1, math.ceil(updates / LOG_POINTS))
    saved = time.monotonic()
    patience = checkpoint_seconds
    for k in range(start, updates):
        torch.manual_seed(derive_seed(seed, "update", k))
        rng.manual_seed(derive_seed(seed, "draws", k))
        losses = learner.step(batch_of(order(k)), rng, k)
        done = k + 1
        due = time.monotonic() - saved >= patience
        if done % interval == 0 or done == updates or due:
            values = {name: float(value) for name, value in losses.items()}
            if not all(map(math.isfinite, values.values())):
                shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
                raise DivergedError(f"loss at update {done} of {updates} is not finite ({shown})")
            if done % interval == 0 or done == updates:
                log.append({"update": done, **values})
            progress(done, updates)
        if due and done < updates:
            began = time.monotonic()
            _save(checkpoint, {"done": done, "log": log, "learner": learner.state_dict()})
            saved = time.monotonic()
            patience = max(checkpoint_seconds, 20 * (saved - began))
    _write_log(folder / "losses.csv", log)


def _resume(learner: Steps[Any], checkpoint: Path, device: torch.device) -> tuple[int, list[dict[str, float]]]:
    if not checkpoint.exists():
        return 0, []
    try:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        done, log, learned = state["done"], state["log"], state["learner"]
    except Exception as error:  # whatever a damaged file makes torch raise: the training starts anew
        checkpoint.unlink()
        print(
            f"checkpoint {checkpoint} cannot be read ({type(error).__name__}); starting this training anew", flush=True
        )
        return 0, []
    learner.load_state_dict(learned)
    return done, log


def _save(path: Path, state: dict[str, Any]) -> None:
    aside = path.with_name("checkpoint.new")
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _write_log(path: Path, log: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in log for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(log)
