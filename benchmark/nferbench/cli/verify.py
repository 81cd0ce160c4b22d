"""`nferbench verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nferbench.cli.formatting import amount
from nferbench.cli.output import say
from nferbench.contract.errors import UsageError


def verify(
    workspace: Annotated[Path, typer.Argument(help="Where results are kept.")] = Path("runs"),
    aside: Annotated[
        bool, typer.Option("--set-aside", help="Move what is damaged to WORKSPACE/damaged; the next run does it again.")
    ] = False,
) -> None:
    """Compare every stored file with the SHA-256 that was written beside it; nothing is changed unless asked for."""
    from nferbench.workspace.entries import all_entries, fault
    from nferbench.workspace.files import set_aside
    from nferbench.workspace.store import read_workspace

    store = read_workspace(workspace)
    if not workspace.is_dir():
        raise UsageError(f"no workspace at '{workspace}'; name the one of your run: nferbench verify PATH")
    whole = damaged = read = 0
    for path in all_entries(store.workspace):
        found = fault(path)
        if isinstance(found, int):
            whole, read = whole + 1, read + found
            continue
        damaged += 1
        where = f"; set aside as {set_aside(path, workspace / 'damaged')}" if aside else ""
        say(f"damaged: {found}{where}")
    say(f"{whole} stored results are what was written ({amount(read)} read), {damaged} are not")
    if damaged:
        if not aside:
            say("nferbench verify --set-aside moves them away, and the next run does them again")
        raise typer.Exit(1)
