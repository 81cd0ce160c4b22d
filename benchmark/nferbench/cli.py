"""The command line: the one place that knows every part. Commands are verbs, or plural nouns that list."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from nferbench.errors import NferbenchError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from nferbench.config import Request
    from nferbench.plan import Status, Work
    from nferbench.plugins import Plugins
    from nferbench.store import Store
    from nferbench.worker import Setup

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One protocol for methods that translate visible faces to near-infrared.",
)

INTERRUPTED = 130  # exit code after Ctrl-C
CHECKPOINT = 30.0  # seconds between two checkpoints of a training
LONG = 3600.0  # seconds of work above which `run` asks first

Methods = Annotated[str, typer.Option(help="Comma-separated names, 'all', 'ablation', 'variants'.")]
Dataset = Annotated[str, typer.Option(help="A name (nferbench datasets), a manifest .csv or a folder.")]
DataRoot = Annotated[
    list[str],
    typer.Option("--data-root", envvar="NFERBENCH_DATA", help="Where data lie: PATH, or NAME=PATH."),
]
Extra = Annotated[str | None, typer.Option(help="The VIS set translated for training; 'none' leaves FER out.")]
Preset = Annotated[str | None, typer.Option(help="paper, lite, small, quick or a .yaml file; default by data set.")]
Folds = Annotated[int | None, typer.Option(help="Subject-independent folds; default 5.")]
Fold = Annotated[str, typer.Option("--fold", help="Only these folds now, such as 0 or 0,2; tables keep them all.")]
Seed = Annotated[int | None, typer.Option(help="Of splits, trainings and samples; default 0.")]
Fer = Annotated[str | None, typer.Option(help="Expression recogniser (nferbench fer-models).")]
Detector = Annotated[str | None, typer.Option(help="Face detector (nferbench detectors); default where the data say.")]
Crop = Annotated[str | None, typer.Option(help="given, none, box68, fan, eyes or template; box68 with a detector.")]
Change = Annotated[list[str], typer.Option("--set", help="path=value, such as methods.nfer-sde.lambda_f=1 or size=64.")]
Plugin = Annotated[list[str], typer.Option("--plugin", help="A Python file with hooks that is not installed.")]
Workspace = Annotated[Path, typer.Option(help="Where results are kept.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where there is a GPU.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Worker processes; default one a GPU, or one a core up to 8.")]
BatchSize = Annotated[int, typer.Option("--batch", min=1, help="Images translated at a time; changes no result.")]


@app.command()
def run(
    methods: Methods = "all",
    dataset: Dataset = "synthetic-hfe",
    data_root: DataRoot = [],  # noqa: B006
    extra: Extra = None,
    preset: Preset = None,
    folds: Folds = None,
    fold: Fold = "",
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
    from nferbench.console import LiveReporter, PlainReporter, amount, duration
    from nferbench.costs import estimate
    from nferbench.guard import leaks_of, refuse, stamp
    from nferbench.records import write_record
    from nferbench.runner import run_stages
    from nferbench.stages import readable
    from nferbench.store import open_workspace
    from nferbench.survey import look_ahead

    store = open_workspace(workspace)
    request = Request(dataset, _names(methods), extra, preset, folds, seed, fer, detector, crop, tuple(change))
    work, states, setup = _prepare(request, _numbers(fold), data_root, plugin, store, device, batch)
    found = leaks_of(work, setup.roots, store)
    record = write_record(work, store, _command(), stamp(found))
    for note in work.notes:
        _say(f"note: {note}")
    to_run = [state for state in states if state.state != "done"]
    _say(_headline(work, states, fold))
    if not to_run:
        _say(f"nothing to do: all {len(states)} stages are done. Tables: {_report_command(workspace)}")
        return

    def guard() -> None:
        leaks = leaks_of(work, setup.roots, store) or ()
        if not allow_leaks:
            refuse(leaks)
        write_record(work, store, _command(), stamp(leaks))

    if found is not None:
        guard()
    workers = jobs or _default_jobs(setup.device)
    cost = estimate(work, states, look_ahead(work, states, setup, store, timed=True))
    _say(
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
            _say(f"{state.reason}; set aside in {store.set_aside(state.stage).parent}, doing it again")
    console = _console()
    stages = [state.stage for state in to_run]
    show = LiveReporter(console, stages) if console.is_terminal else PlainReporter(console, stages)
    with show:
        outcome = run_stages(stages, setup, store, show, jobs=workers, timeout=timeout, gate=guard)
    _tell_left_out(work, store)
    _say(f"{len(outcome.done)} stages done, {len(outcome.failed)} not. Record: {record}")
    if outcome.failed:
        for stage, finished in outcome.failed.items():
            if finished.status != "waiting":
                _complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
        waiting = sum(finished.status == "waiting" for finished in outcome.failed.values())
        if waiting:
            _complain(f"{waiting} more stages wait for these; start the same command again to go on")
        raise typer.Exit(1)
    _say(f"Tables: {_report_command(workspace)}")


@app.command()
def plan(
    methods: Methods = "all",
    dataset: Dataset = "synthetic-hfe",
    data_root: DataRoot = [],  # noqa: B006
    extra: Extra = None,
    preset: Preset = None,
    folds: Folds = None,
    fold: Fold = "",
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
) -> None:
    """List every stage with its state and the reason it would run, and what the rest will cost."""
    from nferbench.config import Request
    from nferbench.console import amount, duration, plan_lines
    from nferbench.costs import estimate
    from nferbench.store import open_workspace
    from nferbench.survey import look_ahead

    store = open_workspace(workspace)
    request = Request(dataset, _names(methods), extra, preset, folds, seed, fer, detector, crop, tuple(change))
    work, states, setup = _prepare(request, _numbers(fold), data_root, plugin, store, device, batch)
    for note in work.notes:
        _say(f"note: {note}")
    for line in plan_lines(states):
        _say(line)
    _say(_headline(work, states, fold))
    if all(state.state == "done" for state in states):
        return
    _say("measuring a few steps of each network …")
    found = look_ahead(work, states, setup, store, timed=True)
    cost = estimate(work, states, found)
    workers = jobs or _default_jobs(setup.device)
    for role, seconds in cost.updates.items():
        _say(f"  training {role}: " + ("not timed" if seconds is None else f"{duration(seconds)} in all"))
    if cost.unknown:
        _say(f"{cost.unknown} stages could not be timed here, so at least:")
    _say(
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
    _say("written: " + " ".join(str(path) for path in written.paths))
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

    plugins = _tell_failures(load_plugins(plugin))
    if as_json:
        typer.echo(methods_json(plugins, preset, tuple(change)))
    else:
        _table(("name", "title", "group", "heterogeneous", "uses pairs"), method_rows(plugins))


@app.command()
def datasets(plugin: Plugin = []) -> None:  # noqa: B006
    """List the data sets."""
    from nferbench.listings import dataset_rows
    from nferbench.plugins import load_plugins

    _table(("name", "title", "extra set", "preset"), dataset_rows(_tell_failures(load_plugins(plugin))))


@app.command("fer-models")
def fer_models(plugin: Plugin = []) -> None:  # noqa: B006
    """List the expression recognisers."""
    from nferbench.listings import fer_rows
    from nferbench.plugins import load_plugins

    _table(("name", "title"), fer_rows(_tell_failures(load_plugins(plugin))))


@app.command()
def detectors(plugin: Plugin = []) -> None:  # noqa: B006
    """List the face detectors, and what those that are not ready lack."""
    from nferbench.listings import detector_rows
    from nferbench.plugins import load_plugins

    _table(("name", "title", "landmarks", "ready"), detector_rows(_tell_failures(load_plugins(plugin))))


@app.command()
def doctor() -> None:
    """Show versions, devices, and which weight files are found or how to get them."""
    from nferbench.doctor import examine

    for line in examine():
        _say(line)


def main() -> NoReturn:
    """Run the command line; errors made on purpose become one line each."""
    try:
        app()
    except NferbenchError as error:
        for line in str(error).splitlines():
            _complain(line)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _complain("interrupted; what is done stays, start the same command again to go on")
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPIPE):
            raise
        _complain(f"{error.filename or 'output'}: {os.strerror(error.errno)}; what is done stays")
        sys.exit(1)
    sys.exit(0)


def _prepare(
    request: Request,
    only: Sequence[int],
    data_root: Sequence[str],
    plugin: Sequence[str],
    store: Store,
    device: str,
    batch: int,
) -> tuple[Work, list[Status], Setup]:
    from nferbench.config import resolve
    from nferbench.perceptual import lpips_identity
    from nferbench.plan import data_roots, plan_work, statuses
    from nferbench.plugins import load_plugins
    from nferbench.worker import Setup

    plugins = _tell_failures(load_plugins(plugin))
    settings = resolve(request, plugins)
    sets = [each for each in (settings.dataset, settings.extra) if each is not None]
    roots = data_roots(data_root, sets)
    work = plan_work(settings, roots, store, lpips_identity(), only)
    setup = Setup(
        store.workspace.resolve(),
        {n: p.resolve() for n, p in roots.items()},
        plugins.files,
        _device(device),
        batch,
        30.0,
    )
    return work, statuses(work, store), setup


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(name) for name in _names(text))
    except ValueError:
        raise UsageError(f"--fold {text}: not a list of fold numbers; write 0 or 0,2") from None


def _device(wanted: str) -> str:
    from nferbench.runner import gpu_count

    if wanted == "auto":
        return "cuda" if gpu_count() else "cpu"
    if wanted == "cuda" and not gpu_count():
        raise UsageError("--device cuda: no CUDA device was found; see nferbench doctor, or use --device cpu")
    return wanted


def _default_jobs(device: str) -> int:
    from nferbench.runner import gpu_count

    if device == "cuda":
        return gpu_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def _headline(work: Work, states: Sequence[Status], fold: str) -> str:
    to_run = sum(state.state != "done" for state in states)
    settings = work.settings
    folds = f"fold {fold} of {settings.folds}" if fold else f"{settings.folds} folds"
    return (
        f"{settings.dataset.name} ({work.subjects} subjects, {work.pairs} pairs, {len(work.classes)} classes), "
        f"{folds}, preset {settings.preset}, {settings.size} px: {len(states)} stages, {to_run} to run; "
        f"{work.trainings} network trainings instead of {work.trainings_unshared} without sharing"
    )


def _report_command(workspace: Path) -> str:
    return "nferbench report" + ("" if workspace == Path("runs") else f" --workspace {workspace}")


def _tell_failures(plugins: Plugins) -> Plugins:
    for failure in plugins.failures:
        _complain(f"plugin {failure.plugin} did not load and is left out: {failure.reason}")
    return plugins


def _tell_left_out(work: Work, store: Store) -> None:
    for faces in (work.faces, work.extra):
        entry = store.find(faces) if faces else None
        if entry and (count := entry.info["result"]["dropped"]):
            _say(f"note: {count} faces of {entry.path.name} were left out, see {entry.path / 'dropped.csv'}")


def _command() -> str:
    import shlex

    return shlex.join(["nferbench", *sys.argv[1:]])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _say(text: str) -> None:
    typer.echo(text)


def _complain(text: str) -> None:
    typer.echo(f"error: {text}", err=True)
