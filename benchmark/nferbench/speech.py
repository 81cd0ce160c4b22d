"""What commands share: how a request becomes a plan, and how they speak."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from nferbench.errors import UsageError
from nferbench.oneline import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from nferbench.config import Request
    from nferbench.console import LiveReporter, PlainReporter
    from nferbench.plan import Status, Work
    from nferbench.plugins import Plugins
    from nferbench.stages import PrepareFaces, Stage
    from nferbench.store import Store
    from nferbench.worker import Setup

CHECKPOINT = 30.0  # seconds between two checkpoints of a training


def prepare(
    request: Request,
    only: Sequence[int],
    data_root: Sequence[str],
    plugin: Sequence[str],
    store: Store,
    device: str,
    batch: int,
) -> tuple[Work, list[Status], Setup]:
    """All stages of a request with their state, and what workers have to know."""
    from nferbench.config import resolve
    from nferbench.perceptual import lpips_identity
    from nferbench.plan import data_roots, plan_work, statuses
    from nferbench.plugins import load_plugins

    plugins = tell_failures(load_plugins(plugin))
    settings = resolve(request, plugins)
    sets = [each for each in (settings.dataset, settings.extra) if each is not None]
    roots = data_roots(data_root, sets)
    work = plan_work(settings, roots, store, lpips_identity(), only)
    setup = setup_of(store, roots, plugins, device, batch)
    return work, statuses(work, store), setup


def setup_of(store: Store, roots: Mapping[str, Path], plugins: Plugins, device: str, batch: int) -> Setup:
    """What workers have to know."""
    from nferbench.worker import Setup

    resolved = {name: path.resolve() for name, path in roots.items()}
    return Setup(store.workspace.resolve(), resolved, plugins.files, _device(device), batch, CHECKPOINT)


def names(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def reporter(stages: Sequence[Stage]) -> LiveReporter | PlainReporter:
    """Live bars on a terminal, plain lines elsewhere."""
    from nferbench.console import LiveReporter, PlainReporter

    console = _console()
    return LiveReporter(console, stages) if console.is_terminal else PlainReporter(console, stages)


def numbers(text: str) -> tuple[int, ...]:
    """The folds that --fold names.

    Raises:
        UsageError: something that is no number.
    """
    try:
        return tuple(int(name) for name in names(text))
    except ValueError:
        raise UsageError(f"--fold {text}: not a list of fold numbers; write 0 or 0,2") from None


def _device(wanted: str) -> str:
    from nferbench.runner import gpu_count

    if wanted == "auto":
        return "cuda" if gpu_count() else "cpu"
    if wanted == "cuda" and not gpu_count():
        raise UsageError("--device cuda: no CUDA device was found; see nferbench doctor, or use --device cpu")
    return wanted


def default_jobs(device: str) -> int:
    """Workers: one a GPU, or one a core up to 8."""
    from nferbench.runner import gpu_count
    from nferbench.threads import cores

    if device == "cuda":
        return gpu_count()
    return min(cores(), 8)


def headline(work: Work, states: Sequence[Status], fold: str) -> str:
    """A run in one line."""
    to_run = sum(state.state != "done" for state in states)
    settings = work.settings
    count = len(work.rows[0].folds)
    whole = {"folds": "folds", "repeats": "random draws", "fixed": "fixed split" + "s" * (count > 1)}[work.division]
    folds = f"fold {fold} of {count}" if fold else f"{count} {whole}"
    return (
        f"{settings.dataset.name} ({work.subjects} subjects, {work.pairs} pairs, {len(work.classes)} classes), "
        f"{folds}, preset {settings.preset}, {settings.size} px: {len(states)} stages, {to_run} to run; "
        f"{work.trainings} network trainings instead of {work.trainings_unshared} without sharing"
    )


def report_command(workspace: Path) -> str:
    """What to type for the tables."""
    return "nferbench report" + ("" if workspace == Path("runs") else f" --workspace {workspace}")


def tell_failures(plugins: Plugins) -> Plugins:
    """Name plugins that did not load."""
    for failure in plugins.failures:
        complain(f"plugin {failure.plugin} did not load and is left out: {failure.reason}")
    return plugins


def tell_prepared(stages: Sequence[PrepareFaces], store: Store) -> None:
    """Say how many faces were left out, how far apart those of pairs are, and where all that is listed."""
    from nferbench.registration import told

    for stage in stages:
        entry = store.find(stage)
        if entry is None:
            continue
        if distance := entry.info["result"].get("apart"):
            say(f"note: {entry.path.name}: {told(distance)}, see {entry.path / 'pairs.csv'}")
        if count := entry.info["result"]["dropped"]:
            say(f"note: {count} faces of {entry.path.name} were left out, see {entry.path / 'dropped.csv'}")


def typed() -> str:
    """The command line of this process."""
    import shlex

    return one_line(shlex.join(["nferbench", *sys.argv[1:]]))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich.table import Table

    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def say(text: str) -> None:
    """One line to stdout."""
    typer.echo(_fit(text, sys.stdout))


def complain(text: str) -> None:
    """One line to stderr."""
    typer.echo(_fit(f"error: {text}", sys.stderr), err=True)


def _fit(text: str, stream: TextIO) -> str:
    """The text as one line in the characters that a stream has."""
    encoding = stream.encoding or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)
