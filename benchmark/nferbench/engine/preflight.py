"""The look ahead before a run: networks that cannot be built are named before any training, costs are estimated.

What loads torch is done in a process of its own, so that the command line never does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.contract.printable import one_line
from nferbench.engine.worker import Setup, die_with_parent
from nferbench.planning.cards import Card
from nferbench.planning.costs import Preflight
from nferbench.planning.demands import Demand, Item
from nferbench.planning.plan import Work
from nferbench.planning.status import Status
from nferbench.workspace.files import read_cache, write_cache
from nferbench.workspace.stages import KINDS
from nferbench.workspace.store import Store

PATIENCE = 120.0  # seconds that timing one network, translator or recogniser may take before all timing stops


def preflight(
    work: Work, states: Sequence[Status], setup: Setup, store: Store, *, timed: bool, lenient: bool = False
) -> Preflight:
    """Build, in a process of its own, every network that is to be trained, and time what no earlier run has timed.

    Raises:
        UsageError: networks that cannot be built on these faces, and what trainings lack unless `lenient`, all of
            them, one line each.
    """
    open_stages = [state.stage for state in states if state.state != "done"]
    with _process(_look, setup, measured(store), timed) as mine:
        mine.send(open_stages)  # not an argument: values of a plugin file can be read once that file is loaded
        result: Any = mine.recv()
        if not isinstance(result, Preflight):
            raise NferbenchError(str(result))
        if result.problems or (result.lacking and not lenient):
            raise UsageError("\n".join([*result.problems, *result.lacking]))
        while timed:
            try:
                if not mine.poll(PATIENCE):
                    break
                seconds = mine.recv()
            except EOFError:  # a network or a plugin that ends the process: what is not timed stays unknown
                break
            if seconds is None:
                break
            result.seconds.update(seconds)
    if timed:
        write_cache(store.workspace / "cache" / "seconds.json", result.seconds)
    return result


def rehearsed(items: Sequence[Item], card: Card, setup: Setup) -> Iterator[Demand | str]:
    """What each item of a plan asks of a card, computed in a process of its own; why not, where it could not be.

    Raises:
        NferbenchError: that process ended.
    """
    with _process(_rehearse, setup, card) as mine:
        mine.send(items)
        for _ in items:
            answer = mine.recv()
            if isinstance(answer, NferbenchError):
                raise answer
            yield answer


def measured(store: Store) -> dict[str, float]:
    """Seconds per unit by cost key: what finished stages took, else what an earlier preflight measured."""
    stored = read_cache(store.workspace / "cache" / "seconds.json")
    known = {name: float(value) for name, value in stored.items() if type(value) in (int, float) and value >= 0}
    for kind in KINDS:
        for entry in store.entries(kind):
            cost = entry.info.get("cost", {})
            if cost.get("units") and not cost.get("resumed"):
                known[cost["key"]] = cost["seconds"] / cost["units"]
    return known


@contextmanager
def _process(target: Callable[..., None], *args: object) -> Iterator[Connection]:
    """A process that does `target` at the other end of a pipe; it ends with the block.

    Raises:
        NferbenchError: it ended before it had answered.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield mine
    except (EOFError, BrokenPipeError, ConnectionResetError):
        process.join()
        raise NferbenchError(
            f"the networks could not be built: the process that tried ended with exit code {process.exitcode} "
            "(out of memory?); choose a smaller --preset"
        ) from None
    finally:
        process.kill()
        process.join()


def _begin(setup: Setup) -> None:
    """What such a process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that asked, which ends this one
    die_with_parent()
    with suppress(OSError):  # where there is no stderr
        os.dup2(2, 1)  # what a plugin prints is no part of the answer
    from nferbench.planning.plugins import import_file

    for file in setup.plugin_files:
        import_file(file)


def _shown(error: Exception) -> str:
    """An error in a line; those of CUDA go on with advice for who writes kernels."""
    first, *_ = [*str(error).strip().splitlines(), "no message"]
    return one_line(f"{type(error).__name__}: {first}")


def _look(connection: Connection, setup: Setup, known: dict[str, float], timed: bool) -> None:
    try:
        _begin(setup)
        from nferbench.engine.timing import build_all, time_all

        stages = connection.recv()
        found = build_all(stages, setup, known)
        connection.send(found)
        if timed and not found.problems:
            for measured in time_all(stages, setup, found):
                connection.send(measured)
            connection.send(None)
    except (BrokenPipeError, ConnectionResetError):  # whoever asked is gone
        return
    except Exception as error:  # reported as one line by the process that asked
        connection.send(f"the networks could not be built: {_shown(error)}")


def _rehearse(connection: Connection, setup: Setup, card: Card) -> None:
    try:
        _begin(setup)
        from nferbench.engine.batches import ON_GPU
        from nferbench.engine.demanding import demands

        for answer in demands(connection.recv(), card, setup.how, setup.batch or ON_GPU):
            connection.send(answer)
        connection.recv()  # until whoever asked has read all
    except (BrokenPipeError, ConnectionResetError, EOFError):  # whoever asked is gone
        return
    except Exception as error:  # reported as one line by the process that asked
        connection.send(NferbenchError(f"the networks could not be rehearsed: {_shown(error)}"))
