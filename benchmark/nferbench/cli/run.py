"""`nferbench run`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nferbench.cli.formatting import amount, duration, headline, report_command, typed
from nferbench.cli.options import RunOptions, taking_run_options
from nferbench.cli.output import complain, reporter, say, tell_noted, tell_prepared
from nferbench.cli.requests import default_jobs, planned
from nferbench.contract.errors import UsageError

LONG = 3600.0  # seconds of work above which `run` asks first


@taking_run_options
def run(
    chosen: RunOptions,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a stage is stopped.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where tested faces are also fitted to; every table says so.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before more than an hour of work.")] = False,
) -> None:
    """Train, translate and score every method on every fold; done work is not done again.

    nferbench run --methods all,ablation --dataset synthetic-hfe --preset quick
    """
    from nferbench.engine.preflight import preflight
    from nferbench.engine.runner import run_stages
    from nferbench.planning.costs import estimate
    from nferbench.planning.leak_guard import leaks_of, refuse, stamp
    from nferbench.planning.records import write_record
    from nferbench.planning.remaining import check_remaining, require_extra
    from nferbench.workspace.stages import Translate, key, readable
    from nferbench.workspace.store import open_workspace

    store = open_workspace(chosen.workspace)
    work, states, setup = planned(chosen, store)
    check_remaining(work, store)
    found = leaks_of(work, setup.roots, store)
    place = setup.roots.get(key(work.faces))
    record = ""
    for note in work.notes:
        say(f"note: {note}")
    to_run = [state for state in states if state.state != "done"]
    say(headline(work, states, chosen.fold))
    if not to_run:
        write_record(work, store, typed(), stamp(found), place)
        say(f"nothing to do: all {len(states)} stages are done. Tables: {report_command(chosen.workspace)}")
        return

    if found is not None and not allow_leaks:
        refuse(found)

    def guard() -> None:
        """Once all faces are prepared: refuse what cannot be tested, or note what the stages that follow stand for."""
        nonlocal record
        check_remaining(work, store)
        require_extra(work, store)
        leaks = leaks_of(work, setup.roots, store) or ()
        if not allow_leaks:
            refuse(leaks)
        record = write_record(work, store, typed(), stamp(leaks), place)

    workers = chosen.jobs or default_jobs(setup.device)
    cost = estimate(work, states, preflight(work, states, setup, store, timed=True))
    say(
        f"about {duration(cost.wall(workers))} with {workers} worker{'s' * (workers > 1)} on {setup.device}, "
        f"{amount(cost.bytes)} of disk (from measured steps)"
        + (f"; {cost.unknown} stages could not be timed" if cost.unknown else "")
    )
    if cost.wall(workers) > LONG and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this takes about {duration(cost.wall(workers))}; add --yes to start it unasked")
        typer.confirm("start?", abort=True)
    for state in to_run:
        if state.state == "damaged":
            say(f"{state.reason}; set aside as {store.set_aside(state.stage)}, doing it again")
        elif state.state == "again":
            store.set_aside(state.stage, "replaced")
            store.discard(state.stage)
    stages = [state.stage for state in to_run]
    with reporter(stages) as show:
        outcome = run_stages(stages, setup, store, show, jobs=workers, timeout=timeout, gate=guard)
    tell_prepared([stage for stage in (work.faces, work.extra) if stage is not None], store)
    tell_noted([stage for stage in outcome.done if isinstance(stage, Translate)], store)
    say(f"{len(outcome.done)} stages done, {len(outcome.failed)} not." + (f" Record: {record}" if record else ""))
    if outcome.failed:
        for stage, finished in outcome.failed.items():
            if finished.status != "waiting":
                complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
        waiting = sum(finished.status == "waiting" for finished in outcome.failed.values())
        if waiting:
            complain(f"{waiting} more stages wait for these; start the same command again to go on")
        raise typer.Exit(1)
    say(f"Tables: {report_command(chosen.workspace)}")
