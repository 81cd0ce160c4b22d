"""The same work on many items, on all cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """The result for each item, in order; what is not begun yet is dropped when the caller stops.

    Threads, not processes: decoding, scaling and detecting release the interpreter lock, and a plugin's value need not
    be sent anywhere.
    """
    pool = ThreadPoolExecutor(cores())
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
