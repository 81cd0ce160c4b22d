"""The command line: the one place that knows every part. Commands are verbs, or plural nouns that list."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from nferbench.cli_data import data
from nferbench.errors import NferbenchError, UsageError
from nferbench.options import (
    BatchSize,
    Change,
    Crop,
    DataRoot,
    Dataset,
    Detector,
    Device,
    Division,
    Extra,
    Fer,
    Fold,
    Folds,
    Jobs,
    Methods,
    Plugin,
    Preset,
    Seed,
    Workspace,
)
from nferbench.speech import (
    complain,
    default_jobs,
    headline,
    names,
    numbers,
    prepare,
    report_command,
    reporter,
    say,
    table,
    tell_failures,
    tell_prepared,
    typed,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One protocol for methods that translate visible faces to near-infrared.",
)

app.add_typer(data, name="data")

INTERRUPTED = 130  # exit code after Ctrl-C
LONG = 3600.0  # seconds of work above which `run` asks first


@app.command()
def run(
    methods: Methods = "all",
    dataset: Dataset = "synthetic-hfe",
    data_root: DataRoot = [],  # noqa: B006
    extra: Extra = None,
    preset: Preset = None,
    folds: Folds = None,
    fold: Fold = "",
    division: Division = None,
    seed: Seed = None,
    fer: Fer = None,
    detector: Detector = None,
    crop: Crop = None,
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = None,
    batch: BatchSize = 32,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a stage is stopped.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where tested faces are also fitted to; every table says so.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before more than an hour of work.")] = False,
) -> None:
    """Train, translate and score every method on every fold; done work is not done again.

    nferbench run --methods all,ablation --dataset synthetic-hfe --preset quick
    """
    from nferbench.config import Request
    from nferbench.console import amount, duration
    from nferbench.costs import estimate
    from nferbench.guard import leaks_of, refuse, stamp
    from nferbench.records import write_record
    from nferbench.runner import run_stages
    from nferbench.stages import readable
    from nferbench.store import open_workspace
    from nferbench.survey import look_ahead

    store = open_workspace(workspace)
    request = Request(dataset, names(methods), extra, preset, folds, division, seed, fer, detector, crop, tuple(change))
    work, states, setup = prepare(request, numbers(fold), data_root, plugin, store, device, batch)
    found = leaks_of(work, setup.roots, store)
    record = write_record(work, store, typed(), stamp(found))
    for note in work.notes:
        say(f"note: {note}")
    to_run = [state for state in states if state.state != "done"]
    say(headline(work, states, fold))
    if not to_run:
        say(f"nothing to do: all {len(states)} stages are done. Tables: {report_command(workspace)}")
        return

    def guard() -> None:
        leaks = leaks_of(work, setup.roots, store) or ()
        if not allow_leaks:
            refuse(leaks)
        write_record(work, store, typed(), stamp(leaks))

    if found is not None:
        guard()
    workers = jobs or default_jobs(setup.device)
    cost = estimate(work, states, look_ahead(work, states, setup, store, timed=True))
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
            say(f"{state.reason}; set aside in {store.set_aside(state.stage).parent}, doing it again")
    stages = [state.stage for state in to_run]
    with reporter(stages) as show:
        outcome = run_stages(stages, setup, store, show, jobs=workers, timeout=timeout, gate=guard)
    tell_prepared([stage for stage in (work.faces, work.extra) if stage is not None], store)
    say(f"{len(outcome.done)} stages done, {len(outcome.failed)} not. Record: {record}")
    if outcome.failed:
        for stage, finished in outcome.failed.items():
            if finished.status != "waiting":
                complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
        waiting = sum(finished.status == "waiting" for finished in outcome.failed.values())
        if waiting:
            complain(f"{waiting} more stages wait for these; start the same command again to go on")
        raise typer.Exit(1)
    say(f"Tables: {report_command(workspace)}")


@app.command()
def plan(
    methods: Methods = "all",
    dataset: Dataset = "synthetic-hfe",
    data_root: DataRoot = [],  # noqa: B006
    extra: Extra = None,
    preset: Preset = None,
    folds: Folds = None,
    fold: Fold = "",
    division: Division = None,
    seed: Seed = None,
    fer: Fer = None,
    detector: Detector = None,
    crop: Crop = None,
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = None,
    batch: BatchSize = 32,
    splits: Annotated[bool, typer.Option("--splits", help="List the subjects of every fold instead.")] = False,
) -> None:
    """List every stage with its state and the reason it would run, and what the rest will cost."""
    from nferbench.config import Request
    from nferbench.console import amount, duration, plan_lines, split_lines
    from nferbench.costs import estimate
    from nferbench.store import open_workspace
    from nferbench.survey import look_ahead

    store = open_workspace(workspace)
    request = Request(dataset, names(methods), extra, preset, folds, division, seed, fer, detector, crop, tuple(change))
    work, states, setup = prepare(request, numbers(fold), data_root, plugin, store, device, batch)
    for note in work.notes:
        say(f"note: {note}")
    if splits:
        for line in split_lines(work):
            say(line)
        return
    for line in plan_lines(states):
        say(line)
    say(headline(work, states, fold))
    if all(state.state == "done" for state in states):
        return
    say("measuring a few steps of each network …")
    found = look_ahead(work, states, setup, store, timed=True)
    cost = estimate(work, states, found)
    workers = jobs or default_jobs(setup.device)
    for role, seconds in cost.updates.items():
        say(f"  training {role}: " + ("not timed" if seconds is None else f"{duration(seconds)} in all"))
    if cost.unknown:
        say(f"{cost.unknown} stages could not be timed here, so at least:")
    say(
        f"about {duration(cost.wall(workers))} with {workers} worker{'s' * (workers > 1)} on {setup.device} "
        f"({duration(cost.seconds)} of work, longest chain {duration(cost.longest)}), {amount(cost.bytes)} of disk"
    )


@app.command()
def report(
    workspace: Workspace = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default WORKSPACE/report.")] = None,
    convention: Annotated[
        Literal["standard", "paper"] | None, typer.Option(help="Of PSNR and SSIM; standard unless --paper.")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Published values and differences beside ours.")] = False,
    preset: Preset = None,
) -> None:
    """Write Tables 1-3 in Markdown, LaTeX and CSV, and the grid of example faces, from what is stored."""
    from nferbench_reports import write_report

    written = write_report(workspace, out or workspace / "report", convention=convention, paper=paper, preset=preset)
    typer.echo(written.text)
    say("written: " + " ".join(str(path) for path in written.paths))
    if written.problems:
        raise typer.Exit(1)


@app.command()
def methods(
    preset: Annotated[str, typer.Option(help="Sizes: paper, lite, small, quick or a .yaml file.")] = "paper",
    plugin: Plugin = [],  # noqa: B006
    change: Change = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="With networks, their sizes and who shares them.")] = False,
) -> None:
    """List the translation methods."""
    from nferbench.listings import method_rows, methods_json
    from nferbench.plugins import load_plugins

    plugins = tell_failures(load_plugins(plugin))
    if as_json:
        typer.echo(methods_json(plugins, preset, tuple(change)))
    else:
        table(("name", "title", "group", "heterogeneous", "uses pairs"), method_rows(plugins))


@app.command()
def datasets(plugin: Plugin = []) -> None:  # noqa: B006
    """List the data sets."""
    from nferbench.listings import dataset_rows
    from nferbench.plugins import load_plugins

    table(("name", "title", "extra set", "preset"), dataset_rows(tell_failures(load_plugins(plugin))))


@app.command("fer-models")
def fer_models(plugin: Plugin = []) -> None:  # noqa: B006
    """List the expression recognisers."""
    from nferbench.listings import fer_rows
    from nferbench.plugins import load_plugins

    table(("name", "title"), fer_rows(tell_failures(load_plugins(plugin))))


@app.command()
def detectors(plugin: Plugin = []) -> None:  # noqa: B006
    """List the face detectors, and what those that are not ready lack."""
    from nferbench.listings import detector_rows
    from nferbench.plugins import load_plugins

    table(("name", "title", "landmarks", "ready"), detector_rows(tell_failures(load_plugins(plugin))))


@app.command()
def doctor() -> None:
    """Show versions, devices, and which weight files are found or how to get them."""
    from nferbench.doctor import examine

    for line in examine():
        say(line)


def main() -> NoReturn:
    """Run the command line; errors made on purpose become one line each."""
    try:
        app()
    except NferbenchError as error:
        for line in str(error).splitlines():
            complain(line)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            complain("interrupted; what is done stays, start the same command again to go on")
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPIPE):
            raise
        complain(f"{error.filename or 'output'}: {os.strerror(error.errno)}; what is done stays")
        sys.exit(1)
    sys.exit(0)
