"""`nferbench plan`."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.formatting import amount, duration, headline, plan_lines, split_lines
from nferbench.cli.options import RunOptions, taking_run_options
from nferbench.cli.output import say, table
from nferbench.cli.requests import default_jobs, planned
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.planning.cards import Card
    from nferbench.workspace.store import Store


@taking_run_options
def plan(
    chosen: RunOptions,
    splits: Annotated[bool, typer.Option("--splits", help="List the subjects of every fold instead.")] = False,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="CARD",
            help="What all of it takes on a graphics card instead, computed without one: rtx-3090, rtx-4090, a100-40, "
            "a100-80, h100, h200, or GB:TFLOPS (memory, dense bf16 peak).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --on: print JSON.")] = False,
) -> None:
    """List every stage with its state and the reason it would run, and what the rest will cost."""
    from nferbench.engine.preflight import preflight
    from nferbench.planning.cards import card
    from nferbench.planning.costs import estimate
    from nferbench.workspace.store import read_workspace

    store = read_workspace(chosen.workspace)
    if on is not None:
        if splits:
            raise UsageError("--splits: lists subjects and no costs; allowed without --on")
        if chosen.precision == "float32":
            raise UsageError("--precision float32: cards are known by their speed in bf16; allowed with --on: bf16")
        _tell_on_card(card(on), chosen, store, as_json)
        return
    if as_json:
        raise UsageError("--json: no card is named; allowed with --on CARD")
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
    for line in found.notes:
        say(f"note: {line}")
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


def _tell_on_card(card: Card, chosen: RunOptions, store: Store, as_json: bool) -> None:
    from nferbench.cli import on_card
    from nferbench.engine.preflight import measured, rehearsed
    from nferbench.planning import demands

    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        work, _, setup = planned(replace(chosen, device="cpu"), store)  # whatever this machine has
        for note in work.notes:
            say(f"note: {note}")
        items, known = demands.items(work), measured(store)
        say(f"computing what {len(items)} networks, translations and recognisers ask of one {card.name} …")
        answers = rehearsed(items, card, setup)
        rows = [(item, each, demands.measured(item, card, known)) for item, each in zip(items, answers, strict=True)]
    if as_json:
        typer.echo(on_card.as_json(card, rows))
        return
    for kind in demands.KINDS:
        if cells := on_card.cells(kind, rows, card):
            table(on_card.heads(kind, rows), cells)
    for line in on_card.lines(card, rows):
        say(line)
