"""`nferbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nferbench.cli.options import Preset, Workspace
from nferbench.cli.output import complain, say
from nferbench.contract.errors import UsageError


def report(
    bundle: Annotated[Path | None, typer.Argument(help="A file of nferbench bundle, in place of a workspace.")] = None,
    workspace: Workspace = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; default WORKSPACE/report, or BUNDLE-report."),
    ] = None,
    convention: Annotated[
        Literal["standard", "paper"] | None, typer.Option(help="Of PSNR and SSIM; standard unless --paper.")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Published values and differences beside ours.")] = False,
    preset: Preset = None,
    no_faces: Annotated[
        bool, typer.Option("--no-faces", help="Without any picture of a face; earlier grids are removed, too.")
    ] = False,
) -> None:
    """Write Tables 1-3 in Markdown, LaTeX and CSV, example faces and curves of studies, from what is stored."""
    from nferbench.workspace.unbundling import unpacked
    from nferbench_reports import write_report

    if bundle is None:
        place = out or workspace / "report"
        written = write_report(workspace, place, convention=convention, paper=paper, preset=preset, faces=not no_faces)
    else:
        if workspace != Path("runs"):
            raise UsageError(f"a bundle, '{bundle}', and --workspace {workspace} are both named; keep one")
        place = out or bundle.with_name(f"{bundle.stem}-report")
        with unpacked(bundle) as inside:
            written = write_report(inside, place, convention=convention, paper=paper, preset=preset, faces=not no_faces)
    for line in written.text.splitlines():
        say(line)
    say("written: " + " ".join(str(path) for path in written.paths))
    for problem in written.problems:
        complain(f"not in the report: {problem}")
    if written.problems:
        say("all else in the report is as if these were not there")
        raise typer.Exit(1)
