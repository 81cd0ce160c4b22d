"""A request to stop, made by a signal: SIGTERM, which schedulers send before they kill, or SIGUSR1, which many are told to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from nferbench.contract.errors import StoppedError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
GRACE = 25.0  # seconds for checkpoints; Slurm (KillWait) and Kubernetes kill 30 s after SIGTERM where nobody chose
ECHO = 1.0  # seconds: a scheduler signals every process of a job, and scripts pass it on, so that one request comes twice


@contextmanager
def requests_to_stop(*, then_at_once: bool) -> Iterator[Callable[[], str]]:
    """Note requests instead of ending at once, within the context.

    Args:
        then_at_once: whether another request, more than `ECHO` after the first, ends the process.

    Returns:
        A function that gives the name of the signal that came first, "" while none came.

    Raises:
        SystemExit: another request.
    """
    first = ""
    since = 0.0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal first, since
        if not first:
            first, since = signal.Signals(number).name, time.monotonic()
        elif then_at_once and time.monotonic() - since > ECHO:
            end(number, frame)

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield lambda: first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_request() -> None:
    """Have requests end this process as an error would, where nothing else is done about them: what is held is let go."""
    for number in SIGNALS:
        signal.signal(number, end)


def end(number: int, frame: FrameType | None) -> NoReturn:
    """The handler of a signal that ends the process.

    Raises:
        SystemExit: always; not an error that plugins may catch.
    """
    raise SystemExit(StoppedError.exit_code)
