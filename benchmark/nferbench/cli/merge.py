"""`nferbench merge`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from nferbench.cli.formatting import amount
from nferbench.cli.options import Workspace
from nferbench.cli.output import complain, say
from nferbench.contract.printable import one_line


def merge(
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="Workspaces to take from; they stay as is.")],
    workspace: Workspace = Path("runs"),
) -> None:
    """Take the stages and records of other workspaces into this one, each stage checked by its key and its checksums.

    nferbench merge /mnt/machine2/runs --workspace runs
    """
    from nferbench.workspace.holders import at_work
    from nferbench.workspace.merging import other_workspace
    from nferbench.workspace.store import open_workspace, read_workspace

    read_workspace(workspace)
    stores = [other_workspace(path, workspace) for path in others]
    open_workspace(workspace)
    with at_work(workspace):  # what is taken first is needed by no record until its record is taken
        refused = sum(_take(store.workspace, workspace) for store in stores)
    if refused:
        raise typer.Exit(1)


def _take(other: Path, mine: Path) -> int:
    """Take all of one workspace and say what was; returns how much was left out."""
    from nferbench.workspace.merging import merge_records, merge_stages

    count: Counter[str] = Counter()
    size = rows = 0
    for taken in merge_stages(other, mine):
        count[taken.outcome] += 1
        size += taken.bytes
        _tell(taken.outcome, taken.text)
    for taken in merge_records(other, mine):
        count["records" if taken.outcome == "joined" else taken.outcome] += taken.outcome != "same"
        rows += taken.rows
        _tell(taken.outcome, taken.text)
    say(
        f"{one_line(str(other))}: {count['linked'] + count['copied']} stages taken ({count['linked']} linked, "
        f"{count['copied']} copied, {amount(size)}), {count['same'] + count['differs']} were here already "
        f"({count['differs']} with other content), {rows} rows in {count['records']} records taken, "
        f"{count['refused']} left out"
    )
    if count["differs"]:
        say("note: what needs a stage with other content was computed there from that content, not from what is here")
    return count["refused"]


def _tell(outcome: str, text: str) -> None:
    if outcome == "refused":
        complain(text)
    elif text:
        say(f"note: {text}")
