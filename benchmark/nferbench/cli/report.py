"""`nferbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nferbench.cli.options import Preset, Workspace
from nferbench.cli.output import complain, say, show
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
    markdown: Annotated[bool, typer.Option("--markdown", help="Print report.md in place of tables.")] = False,
) -> None:
    """Write Tables 1-3 in Markdown, LaTeX and CSV, example faces and curves of studies, from what is stored."""
    from nferbench.workspace.unbundling import unpacked
    from nferbench_reports import shown, write_report

    if bundle is None:
        written = write_report(
            workspace, out or workspace / "report", convention=convention, paper=paper, preset=preset
        )
    else:
        if workspace != Path("runs"):
            raise UsageError(f"a bundle, '{bundle}', and --workspace {workspace} are both named; keep one")
        place = out or bundle.with_name(f"{bundle.stem}-report")
        with unpacked(bundle) as inside:
            written = write_report(inside, place, convention=convention, paper=paper, preset=preset)
    if markdown:
        for line in written.text.splitlines():
            say(line)
    else:
        show(lambda width: shown(written.content, width))
    say("written: " + " ".join(str(path) for path in written.paths))
    for problem in written.problems:
        complain(f"not in the report: {problem}")
    if written.problems:
        say("all else in the report is as if these were not there")
        raise typer.Exit(1)
