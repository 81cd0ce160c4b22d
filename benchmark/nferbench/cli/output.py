"""How commands speak: one line at a time, in the characters that a stream has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

import typer

from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nferbench.cli.progress import LiveReporter, PlainReporter
    from nferbench.planning.plugins import Plugins
    from nferbench.workspace.stages import PrepareFaces, Stage
    from nferbench.workspace.store import Store


def say(text: str) -> None:
    """One line to stdout."""
    typer.echo(_fit(text, sys.stdout))


def complain(text: str) -> None:
    """One line to stderr."""
    typer.echo(_fit(f"error: {text}", sys.stderr), err=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(*(Column(head, overflow="fold") for head in heads), box=None)
    for row in rows:
        table.add_row(*(escape(one_line(cell)) for cell in row))
    _console().print(table)


def show(drawn: Callable[[int], Iterable[RenderableType]]) -> None:
    """Print what is drawn for the width of the terminal; what is wider goes on beyond it, and is not cut."""
    console = _console()
    encoding = sys.stdout.encoding or "utf-8"
    with console.capture() as captured:
        for each in drawn(console.width):
            console.print(each, crop=False)
    rule = "─".encode(encoding, "replace").decode(encoding).replace("?", "-")
    for line in captured.get().splitlines():
        typer.echo(line.rstrip().replace("─", rule).encode(encoding, "backslashreplace").decode(encoding), color=True)


def reporter(stages: Sequence[Stage]) -> LiveReporter | PlainReporter:
    """Live bars on a terminal, plain lines elsewhere."""
    from nferbench.cli.progress import LiveReporter, PlainReporter

    console = _console()
    return LiveReporter(console, stages) if console.is_terminal else PlainReporter(console, stages)


def tell_failures(plugins: Plugins) -> Plugins:
    """Name plugins that cannot be used."""
    for failure in plugins.failures:
        complain(str(failure))
    return plugins


def tell_prepared(stages: Sequence[PrepareFaces], store: Store) -> None:
    """Say how many faces were left out, how far apart those of pairs are, and where all that is listed."""
    from nferbench.faces.registration import told

    for stage in stages:
        entry = store.find(stage)
        if entry is None:
            continue
        if distance := entry.info["result"].get("apart"):
            say(f"note: {entry.path.name}: {told(distance)}, see {entry.path / 'pairs.csv'}")
        if count := entry.info["result"]["dropped"]:
            say(f"note: {count} faces of {entry.path.name} were left out, see {entry.path / 'dropped.csv'}")


def tell_noted(stages: Sequence[Stage], store: Store) -> None:
    """Say what stages noted of their results."""
    from nferbench.workspace.stages import readable

    for stage in stages:
        entry = store.find(stage)
        if entry is not None and (note := entry.info["result"].get("note")):
            say(f"note: {readable(stage)}: {note}")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _fit(text: str, stream: TextIO) -> str:
    """The text as one line in the characters that a stream has."""
    encoding = stream.encoding or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)
