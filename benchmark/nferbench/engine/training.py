"""The one training loop: data order, random streams, loss log, checkpoint and resume.

Everything random in update k follows from (seed, k), so there is no generator state to keep: a training that was
killed goes on from its last checkpoint and ends, on a CPU, bit for bit where an undisturbed one ends.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from nferbench.contract.errors import DataError, DivergedError, ExhaustedError, StoppedError
from nferbench.contract.exhausted import out_of_memory
from nferbench.contract.noise import derive_seed
from nferbench.contract.precision import precision_on
from nferbench.contract.printable import one_line
from nferbench.contract.translator import Paced
from nferbench.engine.checkpoints import read_checkpoint, write_checkpoint
from nferbench.engine.lost import lost_device
from nferbench.engine.means import Means, given, less
from nferbench.engine.placing import device_name
from nferbench.workspace.unfinished import Unfinished

LOG_POINTS = 200  # rows of a whole training's loss log
RATE = "lr"  # its column of learning rates


class Steps(Protocol):
    """What the loop asks of a learner (`nferbench.Learner` and `nferbench.FERLearner` both give it)."""

    def step(self, batch: Any, rng: Generator, k: int) -> Mapping[str, Tensor]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


L = TypeVar("L", bound=Steps)


# "from", the first update (from 1) that was computed so, and what its rounding, or its random numbers, hang on.
Way = Mapping[str, Any]


@dataclass(frozen=True)
class Trained(Generic[L]):
    """A training after its last update."""

    learner: L
    means: Means  # of the last update
    resumed_at: tuple[int, ...]  # how many updates were done each time it was gone on with
    seconds_before: float | None  # of earlier attempts, up to the checkpoint that it went on from; None: not known
    ways: tuple[Way, ...] = ()  # how updates were computed, from the earliest on that is known


@dataclass(frozen=True)
class _Begun(Generic[L]):
    """A training to go on with."""

    learner: L
    done: int  # updates
    log: list[dict[str, float]]
    resumed_at: tuple[int, ...] = ()
    seconds: float | None = 0.0  # that these updates took; None where the checkpoint is of an earlier version
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class _Exhausted:
    """Memory ran out in an update."""

    reason: str
    intact: bool  # whether the learner is as it was before the update


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
    fresh: Callable[[], L],
    batch_of: Callable[[np.ndarray], Any],
    order: Callable[[int], np.ndarray],
    updates: int,
    seed: int,
    device: torch.device,
    unfinished: Unfinished,
    *,
    batch_size: int,
    means: Means | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tell: Callable[[str], None] = print,
    stopping: Callable[[], str] = lambda: "",
    checkpoint_seconds: float = 30.0,
) -> Trained[L]:
    """Run all updates of a learner; write losses.csv and, now and then, a checkpoint.

    Updates may be computed in several ways, one after the other: after a change of device, precision or pieces.

    losses.csv has a row for each of about `LOG_POINTS` updates: `update` (from 1), the learning rate of that update as
    `lr` where the learner is `Paced`, and the terms of the loss. A term that is called `lr` itself stays what it is.

    Where memory runs out, the update is done again with less of it. If it ran out when weights were moving already, the
    training goes on from its last checkpoint.

    Args:
        fresh: makes the learner, on `device`, always the same.
        batch_of: row numbers to a batch on the device.
        order: k to the row numbers of update k.
        updates: how many.
        seed: of this training.
        device: where it happens.
        unfinished: where a previous attempt may have left a checkpoint.
        batch_size: rows of an update.
        means: the memory that an update is given at first; by default all rows are computed at once.
        progress: called with (updates done, updates).
        tell: called with a line on what a user should know.
        stopping: asked after each update for the signal that asked to stop; "" where none did.
        checkpoint_seconds: time between checkpoints; stretched so that writing them takes at most 1/20 of the time.

    Returns:
        The learner after its last update, by which means, and what was gone on from.

    Raises:
        DivergedError: a loss became NaN or infinite.
        ExhaustedError: memory does not suffice for the smallest piece.
        StoppedError: a signal asked to stop; the last update is in a checkpoint.
        OSError: a checkpoint cannot be written.
    """
    started = time.monotonic()
    begun = _resume(fresh, updates, unfinished, device, tell)
    learner, k, log, resumed_at, before = begun.learner, begun.done, begun.log, begun.resumed_at, begun.seconds
    begun_ways = begun.ways
    del begun  # which would hold on to the learner where another is made
    means = given(learner, means or Means(batch_size), batch_size)
    ways = _going_on(begun_ways, k, device, means, batch_size)
    if k and len(ways) > len(begun_ways) > 0:
        tell(f"going on at update {k + 1} with {_told(ways[-1])}; before it was {_told(ways[-2])}")
    rng = Generator(device)
    interval = max(1, math.ceil(updates / LOG_POINTS))
    saved = time.monotonic()
    patience = checkpoint_seconds
    while k < updates:
        torch.manual_seed(derive_seed(seed, "update", k))
        rng.manual_seed(derive_seed(seed, "draws", k))
        losses = _attempt(learner, batch_of, order(k), rng, k)
        if isinstance(losses, _Exhausted):
            smaller = less(learner, means, batch_size)
            if smaller is None:
                raise ExhaustedError(
                    f"{losses.reason}, at update {k + 1} of {updates}, with {_shown(means)}; "
                    "free memory on the device, lower --jobs, or take a smaller network"
                )
            means = smaller
            if not losses.intact:
                del learner  # before another is made
                again = _resume(fresh, updates, unfinished, device, tell)
                learner, k, log, resumed_at, ways = again.learner, again.done, again.log, again.resumed_at, again.ways
                del again
                given(learner, means, batch_size)
            ways = _going_on(ways, k, device, means, batch_size)
            if device.type == "cuda":
                torch.cuda.empty_cache()
            tell(f"memory ran out; going on at update {k + 1} with {_shown(means)}")
            continue
        done = k = k + 1
        stop = stopping()
        due = bool(stop) or time.monotonic() - saved >= patience
        if done % interval == 0 or done == updates or due:
            values = {name: float(value) for name, value in losses.items()}
            if not all(map(math.isfinite, values.values())):
                shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
                raise DivergedError(f"loss at update {done} of {updates} is not finite ({shown})")
            if done % interval == 0 or done == updates:
                log.append({"update": done, **_rate(learner), **values})
            progress(done, updates)
        if due and done < updates:
            began = time.monotonic()
            spent = None if before is None else before + began - started
            state = {"log": log, "resumed_at": list(resumed_at), "seconds": spent, "ways": list(ways)}
            try:
                write_checkpoint(unfinished, done, {**state, "learner": learner.state_dict()})
            except Exception as error:
                if stop or not out_of_memory(error):
                    raise
                tell(f"no checkpoint at update {done}: {_first_line(error)}; going on without it")
            saved = time.monotonic()
            patience = max(checkpoint_seconds, 20 * (saved - began))
            if stop:
                raise StoppedError(f"stopped by {stop}; the same command goes on from its checkpoint, update {done}")
    _write_log(unfinished.folder / "losses.csv", log)
    return Trained(learner, means, resumed_at, before, ways)


def resumption(trained: Trained[Any]) -> dict[str, Any]:
    """What stage.json says of a training that was gone on with; nothing of one that was done in one go."""
    if not trained.resumed_at:
        return {}
    before = {} if trained.seconds_before is None else {"seconds_before": round(trained.seconds_before, 3)}
    return {"resumed_at": list(trained.resumed_at), "cost": before}


def computed(trained: Trained[Any], batch_size: int) -> dict[str, Any]:
    """What stage.json says of how a training was computed: at its end, and in which ways where there were several."""
    several = {"ways": [dict(way) for way in trained.ways]} if len(trained.ways) > 1 else {}
    return {**trained.means.recorded(batch_size), **several}


def _going_on(ways: tuple[Way, ...], done: int, device: torch.device, means: Means, batch_size: int) -> tuple[Way, ...]:
    """The ways of the updates that are done, and that of those to come if it is another."""
    past = tuple(way for way in ways if way["from"] <= done)
    by = {"device": device_name(device), "precision": precision_on(device), **means.recorded(batch_size)}
    if past and {**past[-1], "from": 0} == {**by, "from": 0}:
        return past
    return (*past, {"from": done + 1, **by})


def _told(way: Way) -> str:
    return f"{way['precision']} on {way['device']}, {_shown(Means(way['piece'], way['recompute']))}"


def _rate(learner: Steps) -> dict[str, float]:
    return {RATE: float(learner.rate_of_last_update())} if isinstance(learner, Paced) else {}


def _attempt(
    learner: Steps, batch_of: Callable[[np.ndarray], Any], rows: np.ndarray, rng: Generator, k: int
) -> Mapping[str, Tensor] | _Exhausted:
    """An update, or that memory ran out; the error is let go of, for it holds on to what was computed so far."""
    begun = False
    try:
        batch = batch_of(rows)
        begun = True
        return learner.step(batch, rng, k)
    except ExhaustedError as error:
        return _Exhausted(_first_line(error), intact=True)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return _Exhausted(_first_line(error), intact=not begun)


def _first_line(error: Exception) -> str:
    return one_line(str(error).strip().split("\n")[0].rstrip(".")) or type(error).__name__


def _shown(means: Means) -> str:
    rows = f"{means.piece} row{'s' * (means.piece != 1)} of the batch at a time"
    return f"{rows}, activations computed anew" if means.recompute else rows


def _resume(
    fresh: Callable[[], L], updates: int, unfinished: Unfinished, device: torch.device, tell: Callable[[str], None]
) -> _Begun[L]:
    """What there is to go on with: the last checkpoint, or a fresh learner where there is none that can be used."""
    try:
        found = read_checkpoint(unfinished, device)
    except DataError as error:
        if out_of_memory(error):
            raise
        tell(f"checkpoint not used, {error}; kept in {unfinished.put_aside()}, starting anew")
        found = None
    learner = fresh()
    if found is None:
        return _Begun(learner, 0, [])
    done, state = found
    try:
        if done > updates:
            raise ValueError(f"{done} of {updates} updates")
        log = [dict(row) for row in state["log"]]
        resumed_at = (*(int(update) for update in state.get("resumed_at", ())), done)
        spent = state.get("seconds")
        seconds = None if spent is None else float(spent)
        ways = tuple(dict(each) for each in state.get("ways", ()))
        learner.load_state_dict(state["learner"])
    except Exception as error:  # whatever a state of another layout makes a learner raise
        if out_of_memory(error) or lost_device(error):
            raise
        reason = one_line(str(error)) or type(error).__name__
        tell(f"checkpoint of another layout ({reason}); kept in {unfinished.put_aside()}, starting anew")
        return _Begun(fresh(), 0, [])
    return _Begun(learner, done, log, resumed_at, seconds, ways)


def _write_log(path: Path, log: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in log for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(log)
