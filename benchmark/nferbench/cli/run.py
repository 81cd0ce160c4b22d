"""`nferbench run`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from nferbench.cli.engines import Choice, engine_of
from nferbench.cli.formatting import headline, report_command, typed
from nferbench.cli.options import Log, RunOptions, Yes, taking_run_options
from nferbench.cli.output import say, tell_noted, tell_prepared
from nferbench.cli.requests import planned
from nferbench.cli.working import accept_cost, stop_if_failed, work_off


@taking_run_options
def run(
    chosen: RunOptions,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a stage is stopped.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where tested faces are also fitted to; every table says so.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Give stages up that another run is at work on; default waits for them.")
    ] = False,
    log: Log = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="What does stages: processes of this machine, or a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; default RAY_ADDRESS, or else one is started here.")
    ] = None,
    gpus_per_stage: Annotated[
        float, typer.Option(min=0.01, max=1, help="Of Ray; less than 1 where stages share a GPU.")
    ] = 1.0,
    yes: Yes = False,
) -> None:
    """Train, translate and score every method on every fold; done work is not done again.

    Several of these on one workspace, on one machine or on many, divide the work.

    nferbench run --methods all,ablation --dataset synthetic-hfe --preset quick
    """
    from nferbench.cli.events import event_log
    from nferbench.planning.leak_guard import leaks_of, refuse, stamp
    from nferbench.planning.records import write_record
    from nferbench.planning.remaining import check_remaining, require_extra
    from nferbench.workspace.stages import Translate, key
    from nferbench.workspace.store import open_workspace

    choice = Choice(engine, ray_address, gpus_per_stage)
    store = open_workspace(chosen.workspace)
    work, states, setup = planned(choice.planning(chosen), store)
    check_remaining(work, store)
    found = leaks_of(work, setup.roots, store)
    place = setup.roots.get(key(work.faces))
    record = ""
    for note in work.notes:
        say(f"note: {note}")
    say(headline(work, states, chosen.fold))
    if all(state.state == "done" for state in states):
        if log:
            event_log(log, store, setup.device)
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

    to_run = [state.stage for state in states if state.state != "done"]
    with engine_of(choice, chosen, setup, to_run) as using:
        events = event_log(log, store, using.setup.device) if log else None
        accept_cost(work, states, using.setup, store, using.workers, yes, using.ahead)
        outcome = work_off(
            states,
            using.setup,
            store,
            using.workers,
            guard,
            timeout,
            events,
            wait_for_others=not no_wait,
            do=using.do,
        )
    tell_prepared([stage for stage in (work.faces, work.extra) if stage is not None], store)
    tell_noted([stage for stage in outcome.done if isinstance(stage, Translate)], store)
    say(f"{len(outcome.done)} stages done, {len(outcome.failed)} not." + (f" Record: {record}" if record else ""))
    stop_if_failed(outcome)
    say(f"Tables: {report_command(chosen.workspace)}")
