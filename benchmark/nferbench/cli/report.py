"""`nferbench report`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nferbench.cli.options import Preset, Workspace
from nferbench.cli.output import complain, say, show
from nferbench.cli.requests import items
from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from nferbench_reports import Listed

_HEADS = ("record", "data set", "preset", "px", "crop", "extra set", "recogniser", "split", "rows", "done", "created")


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
    listed: Annotated[bool, typer.Option("--list", help="Only list the records that there are.")] = False,
    record: Annotated[
        list[str],
        typer.Option(help="Exactly this record, by its name or a beginning of it; repeatable. Default: the newest."),
    ] = [],  # noqa: B006
    title: Annotated[str | None, typer.Option(help="Of the report; default Results.")] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="One table with the columns of each record, not one a record.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a report that shows more than this one would.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME[,NAME]", help="Rows to compare with; default none,nfer-sde if they were run."),
    ] = None,
    no_faces: Annotated[
        bool, typer.Option("--no-faces", help="Without any picture of a face; earlier grids are removed, too.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print report.md in place of tables.")] = False,
) -> None:
    """Write Tables 1-3 as a page, Markdown, LaTeX and CSV, example faces and curves of studies, from what is stored."""
    gc.set_threshold(50_000)  # frames are many objects that stay; looking through them takes a tenth of the time

    from nferbench_reports import shown, write_report

    with _opened(bundle, workspace) as inside:
        if listed:
            _list(inside)
            return
        beside = workspace / "report" if bundle is None else bundle.with_name(f"{bundle.stem}-report")
        written = write_report(
            inside,
            out or beside,
            convention=convention,
            paper=paper,
            preset=preset,
            against=None if against is None else items(against),
            records=record,
            title=title,
            side_by_side=side_by_side,
            replace=replace,
            faces=not no_faces,
        )
    if markdown:
        for line in written.text.splitlines():
            say(line)
    else:
        show(lambda width: shown(written.contents, written.pictures, width))
    say("written: " + " ".join(str(path) for path in written.paths))
    for path in written.left:
        say(f"left beside it, for it was changed since an earlier report wrote it: {path}")
    for problem in written.problems:
        complain(f"not in the report: {problem}")
    if written.problems:
        say("all else in the report is as if these were not there")
        raise typer.Exit(1)


def _list(workspace: Path) -> None:
    """A line a record. No line is broken: names of records are there to be copied and searched for."""
    from nferbench_reports import list_records

    found, problems = list_records(workspace)
    rows = [_HEADS, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for problem in problems:
        complain(f"not in the list: {problem}")
    if problems:
        raise typer.Exit(1)


def _cells(listed: Listed) -> tuple[str, ...]:
    protocol = listed.record.protocol
    return (
        one_line(listed.name),
        listed.dataset,
        protocol.preset,
        str(protocol.size),
        protocol.crop or "not known",
        protocol.extra_title or protocol.extra or "none",
        f"{protocol.fer_title}, {protocol.trainings()}",
        f"{protocol.divided()}, seed {protocol.seed}",
        str(len(listed.record.rows)),
        f"{listed.done} of {listed.planned} folds",
        f"{listed.record.created:%Y-%m-%d %H:%M}{' (newest)' if listed.newest else ''}",
    )


@contextmanager
def _opened(bundle: Path | None, workspace: Path) -> Iterator[Path]:
    """The workspace, or the one that a bundle holds."""
    from nferbench.workspace.unbundling import unpacked

    if bundle is None:
        yield workspace
        return
    if workspace != Path("runs"):
        raise UsageError(f"a bundle, '{bundle}', and --workspace {workspace} are both named; keep one")
    with unpacked(bundle) as inside:
        yield inside
