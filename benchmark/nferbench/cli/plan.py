"""`nferbench plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from nferbench.cli.formatting import amount, duration, headline, plan_lines, split_lines
from nferbench.cli.options import RunOptions, taking_run_options
from nferbench.cli.output import say
from nferbench.cli.requests import default_jobs, planned


@taking_run_options
def plan(
    chosen: RunOptions,
    splits: Annotated[bool, typer.Option("--splits", help="List the subjects of every fold instead.")] = False,
) -> None:
    """List every stage with its state and the reason it would run, and what the rest will cost."""
    from nferbench.engine.preflight import preflight
    from nferbench.planning.costs import estimate
    from nferbench.workspace.store import read_workspace

    store = read_workspace(chosen.workspace)
    work, states, setup = planned(chosen, store)
    for note in work.notes:
        say(f"note: {note}")
    if splits:
        for line in split_lines(work):
            say(line)
        return
    for line in plan_lines(states):
        say(line)
    say(headline(work, states, chosen.fold))
    if all(state.state == "done" for state in states):
        return
    say("measuring a few steps of each network …")
    found = preflight(work, states, setup, store, timed=True, lenient=True)
    for line in found.lacking:
        say(f"note: a run stops before any training: {line}")
    cost = estimate(work, states, found)
    workers = chosen.jobs or default_jobs(setup)
    for role, seconds in cost.updates.items():
        say(f"  training {role}: " + ("not timed" if seconds is None else f"{duration(seconds)} in all"))
    if cost.unknown:
        say(f"{cost.unknown} stages could not be timed here, so at least:")
    say(
        f"about {duration(cost.wall(workers))} with {workers} worker{'s' * (workers > 1)} on {setup.device} "
        f"({duration(cost.seconds)} of work, longest chain {duration(cost.longest)}), {amount(cost.bytes)} of disk"
    )
