"""`nferbench prune`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.formatting import amount
from nferbench.cli.options import Workspace
from nferbench.cli.output import say
from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from nferbench.workspace.pruning import Pruning


def prune(
    workspace: Workspace = Path("runs"),
    rows: Annotated[str, typer.Option(help="Comma-separated rows that leave their records too.")] = "",
    presets: Annotated[str, typer.Option(help="Comma-separated presets whose records go too.")] = "",
    failures: Annotated[bool, typer.Option("--failures", help="Also forget why stages failed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what no record needs: stages, leftovers of unfinished work, what was damaged or replaced. Asks first.

    nferbench prune --rows sdedit,ilvr
    """
    from nferbench.workspace.holders import PRUNE
    from nferbench.workspace.locks import claim
    from nferbench.workspace.pruning import Named, pruning, remove
    from nferbench.workspace.store import open_workspace, read_workspace

    read_workspace(workspace)
    if not workspace.is_dir():
        raise UsageError(f"no workspace at '{workspace}'; name the one of your run: nferbench prune --workspace PATH")
    open_workspace(workspace)
    named = Named(_names(rows), _names(presets), failures)
    found = pruning(workspace, named)
    _tell(found)
    if not found.removals and not found.leaving:
        say("nothing to remove")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("prune asks before it removes anything, and there is nobody to ask; add --yes")
        typer.confirm("remove all this?", abort=True)
    with claim(workspace / "locks" / PRUNE, "the workspace"):  # a run that starts now waits until this is over
        now = pruning(workspace, named)
        if now != found:
            raise UsageError("the workspace changed meanwhile, and nothing was removed; start the same command again")
        remove(workspace, found)
    say(f"removed: {amount(sum(each.bytes for each in found.removals))}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _tell(found: Pruning) -> None:
    for note in found.notes:
        say(f"note: {note}")
    for name, rows in found.leaving.items():
        say(one_line(f"record {name}: {len(rows)} rows leave, {', '.join(rows)}"))
    for kind in dict.fromkeys(each.kind for each in found.removals):
        sizes = [each.bytes for each in found.removals if each.kind == kind]
        say(f"{kind}: {len(sizes)}, {amount(sum(sizes))}")
