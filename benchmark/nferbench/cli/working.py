"""From a plan to results: what it costs is told and agreed to, the work is done, and what failed is named."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from nferbench.cli.formatting import amount, duration
from nferbench.cli.output import complain, reporter, say
from nferbench.contract.errors import DataError, UsageError

if TYPE_CHECKING:
    from nferbench.engine.agenda import Outcome, Reporter
    from nferbench.engine.worker import Setup
    from nferbench.planning.plan import Work
    from nferbench.planning.status import Status
    from nferbench.workspace.entries import Entry
    from nferbench.workspace.stages import Stage
    from nferbench.workspace.store import Store

LONG = 3600.0  # seconds of work above which a command asks first


def accept_cost(
    work: Work,
    states: Sequence[Status],
    setup: Setup,
    store: Store,
    workers: int,
    yes: bool,
    ahead: Setup | None = None,
) -> None:
    """Say what the stages that are to run will take, and ask before long work unless `yes`.

    Args:
        ahead: what this machine looks ahead with, where it is not `setup`; on another device nothing is timed.

    Raises:
        UsageError: networks that cannot be built or lack something; long work, and nobody to ask.
    """
    from nferbench.engine.preflight import preflight
    from nferbench.planning.costs import estimate

    ahead = ahead or setup
    timed = ahead.device == setup.device
    found = preflight(work, states, ahead, store, timed=timed)
    cost = estimate(work, states, found)
    for note in found.notes:
        say(f"note: {note}")
    if not timed:
        say(f"{amount(cost.bytes)} of disk; how long it takes is not known: this machine has no GPU to time it on")
        return
    say(
        f"about {duration(cost.wall(workers))} with {workers} worker{'s' * (workers > 1)} on {setup.device}, "
        f"{amount(cost.bytes)} of disk (from measured steps)"
        + (f"; {cost.unknown} stages could not be timed" if cost.unknown else "")
    )
    if cost.wall(workers) > LONG and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this takes about {duration(cost.wall(workers))}; add --yes to start it unasked")
        typer.confirm("start?", abort=True)


def work_off(
    states: Sequence[Status],
    setup: Setup,
    store: Store,
    workers: int,
    gate: Callable[[], None] | None = None,
    timeout: float | None = None,
    log: Reporter | None = None,
    wait_for_others: bool = True,
    do: Callable[..., Outcome] | None = None,
) -> Outcome:
    """Do all stages that are not done, those anew that are damaged or asked for again.

    Args:
        log: also told of every stage; None keeps none.
        wait_for_others: whether stages that other runs are at work on are waited for.
        do: see `engine.runner.run_stages`, which it is where nothing else is given.
    """
    from nferbench.cli.events import both
    from nferbench.engine.runner import run_stages
    from nferbench.engine.stopping import requests_to_stop
    from nferbench.workspace.holders import at_work

    with at_work(store.workspace):
        to_run = [state for state in states if state.state != "done" or not store.path(state.stage).exists()]
        for state in to_run:
            if state.state in ("damaged", "again"):
                _make_room(state, store)
        stages = [state.stage for state in to_run]
        with reporter(stages) as show, requests_to_stop(then_at_once=True) as stopping:
            return (do or run_stages)(
                stages,
                setup,
                store,
                show if log is None else both(show, log),
                jobs=workers,
                timeout=timeout,
                gate=gate,
                wait_for_others=wait_for_others,
                stopping=stopping,
            )


def _make_room(state: Status, store: Store) -> None:
    """Set aside what is to be done anew, unless another run has done so since it was looked at."""
    from nferbench.workspace.locks import HeldError

    while store.path(state.stage).exists():
        try:
            with store.claim(state.stage):
                try:
                    entry = store.find(state.stage)
                except DataError as error:
                    say(f"damaged: {error}; set aside as {store.set_aside(state.stage)}, doing it again")
                    return
                if entry is not None and entry == state.entry:
                    store.set_aside(state.stage, "replaced")
                    store.discard(state.stage)
                return
        except HeldError:  # for the moment that finding it takes, or by a run that makes room as well
            time.sleep(0.05)


def whole(stage: Stage, store: Store) -> Entry:
    """The result of a stage, all its files being what was written.

    Raises:
        DataError: it is gone, or a file has changed; what has changed is set aside.
    """
    from nferbench.workspace.entries import verify
    from nferbench.workspace.stages import readable

    entry = store.find(stage)
    if entry is None:
        raise DataError(f"{readable(stage)} is not in the workspace any more; start the same command again")
    try:
        verify(entry)
    except DataError as error:
        aside = store.set_aside(stage)
        raise DataError(f"{error}; set aside as {aside}, start the same command again to do it anew") from None
    return entry


def stop_if_failed(outcome: Outcome) -> None:
    """Name the stages that failed, if any, and end the command with 1."""
    from nferbench.workspace.stages import readable

    if not outcome.failed:
        return
    for stage, finished in outcome.failed.items():
        if finished.status != "waiting":
            complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
    waiting = sum(finished.status == "waiting" for finished in outcome.failed.values())
    if waiting:
        complain(f"{waiting} more stages wait for these; start the same command again to go on")
    raise typer.Exit(1)
