"""Computing that neither takes from the global generators of the process nor leaves anything in them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def apart(seed: int = 0) -> Iterator[None]:
    """Seed all global generators in the block and compute with one thread, then put everything back.

    With one thread, as workers have on a CPU, sums are added up in one order.
    """
    before, threads = states(), torch.get_num_threads()
    torch.set_num_threads(1)
    seed_globals(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(before["torch"])
        np.random.set_state(before["numpy"])
        random.setstate(before["random"])


def seed_globals(seed: int, others: int | None = None) -> None:
    """Seed torch's global generator, and those of numpy and `random` with the same or with another seed."""
    torch.manual_seed(seed)
    np.random.seed(seed if others is None else others)
    random.seed(seed if others is None else others)


def drawn_from(before: dict[str, Any]) -> list[str]:
    """The global generators that have moved since `states` was asked."""
    now = states()
    return [name for name in before if not _equal(before[name], now[name])]


def states() -> dict[str, Any]:
    """The states of the global generators, by the name of their module."""
    return {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "random": random.getstate()}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(np.array_equal(one, other))
