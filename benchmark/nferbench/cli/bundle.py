"""`nferbench bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nferbench.cli.formatting import amount
from nferbench.cli.options import Workspace
from nferbench.cli.output import say
from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line


def bundle(
    record: Annotated[str, typer.Argument(help="The name of a record (nferbench status), or 'all'.")],
    out: Annotated[Path, typer.Option(help="The .zip file that is written.")],
    workspace: Workspace = Path("runs"),
) -> None:
    """Pack a record with all that its tables are made of, without faces, weights, names of people or paths.

    nferbench bundle all --out results.zip; then, anywhere: nferbench report results.zip
    """
    from nferbench.workspace.bundling import bundle as gathered
    from nferbench.workspace.bundling import write_bundle
    from nferbench.workspace.store import read_workspace

    read_workspace(workspace)
    if not workspace.is_dir():
        raise UsageError(f"no workspace at '{workspace}'; name the one of your run with --workspace")
    found = gathered(workspace, record)
    write_bundle(found, out)
    say(
        f"{one_line(str(out))}: {found.records} records, {found.stages} stages, {amount(out.stat().st_size)}; "
        f"tables: nferbench report {one_line(str(out))}"
    )
