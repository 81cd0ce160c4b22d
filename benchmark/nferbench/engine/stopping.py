"""A request to stop, made by a signal: SIGTERM, which schedulers send before they kill, or SIGUSR1."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, final

from nferbench.contract.errors import StoppedError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
GRACE = 25.0  # seconds for checkpoints; Slurm (KillWait) and Kubernetes kill 30 s after SIGTERM where nobody chose
# One request may come twice: a scheduler signals all processes of a job, and its script passes that on.
ECHO = 1.0  # seconds within which it does


@final
class Interrupt(KeyboardInterrupt):
    """A request to stop where nothing notes it, and Ctrl-C: caught where Ctrl-C is.

    No SystemExit, which a plugin may raise where it is loaded and which costs that plugin alone. No bare
    KeyboardInterrupt either: Python may end by SIGINT after one, whatever exit code was asked for.
    """


def run_stopped(name: str) -> StoppedError:
    """That a run has ended because of a signal."""
    return StoppedError(f"stopped by {name}; what is done stays, start the same command again to go on")


def late(name: str) -> str:
    """Why a stage has ended that did not within the time that it had after a signal."""
    return f"killed {GRACE:.0f} s after {name}; the same command goes on from its last checkpoint, if it has one"


@contextmanager
def requests_to_stop(numbers: Sequence[signal.Signals] = SIGNALS, *, then_at_once: bool) -> Iterator[Callable[[], str]]:
    """Note requests instead of ending at once, within the context. Only the main thread of a process may do so.

    Args:
        numbers: the signals that make a request.
        then_at_once: whether another request, more than `ECHO` after the first, does what it did before the context.

    Returns:
        A function that gives the name of the signal that came first, "" while none came.
    """
    first = ""
    since = 0.0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal first, since
        if not first:
            first, since = signal.Signals(number).name, time.monotonic()
        elif then_at_once and time.monotonic() - since > ECHO:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    before: dict[int, Any] = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield lambda: first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_request() -> Callable[[], str]:
    """Have requests end this process as Ctrl-C does, so that what it holds is let go.

    Returns:
        A function that gives the name of the signal that did, "" while none did or it was Ctrl-C.
    """
    heard = ""

    def hear(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal heard
        if number in SIGNALS:
            heard = signal.Signals(number).name
        raise Interrupt

    for number in SIGNALS:
        signal.signal(number, hear)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background jobs ignore it
        signal.signal(signal.SIGINT, hear)
    return lambda: heard
