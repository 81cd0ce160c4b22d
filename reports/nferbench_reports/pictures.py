"""The pictures of a report, drawn into its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nferbench_reports import bands_picture, grid, pushes_figure, study_figure
from nferbench_reports.contents import Contents
from nferbench_reports.drawn import Drawn, Kind
from nferbench_reports.naming import stem
from nferbench_reports.pushes import Panel
from nferbench_reports.record import TableName
from nferbench_reports.results import Missing
from nferbench_reports.runs import Run
from nferbench_reports.studies import Studies, caption, told

_FILES: dict[Kind, str] = {
    "comparison": "grid-{}.png",
    "ablation": "grid-{}-ablation.png",
    "bands": "bands-{}.png",
    "pushes": "pushes-{}.png",
    "studies": "study-{}.png",
}


def names(run: Run) -> list[str]:
    """What the pictures of a run are called, whether there are any or not."""
    return [_file(run, kind) for kind in _FILES]


def draw(contents: Contents, out: Path) -> list[Drawn]:
    """Draw all pictures that there are into a folder, and say why others are not there.

    Raises:
        OSError: one cannot be written.
    """
    runs, faces = contents.runs, contents.asked.faces
    return [
        *(one for run in runs for one in _grids(run, out, faces)),
        *(one for run in runs for one in _bands(run, out, faces)),
        *(one for run in runs for one in _pushes(run, *contents.pushes[run.name], out)),
        *(one for run in runs for one in _curves(run, contents.studies[run.name], out)),
    ]


def _file(run: Run, kind: Kind) -> str:
    return _FILES[kind].format(stem(run.record.protocol.dataset))


def _grids(run: Run, out: Path, faces: bool) -> Iterator[Drawn]:
    title = run.record.protocol.dataset_title
    kinds: tuple[TableName, ...] = ("comparison", "ablation")
    told: list[str] = []
    for kind in kinds:
        if kind == "study" or (kind == "ablation" and not any(kind in row.tables for row in run.record.rows)):
            continue
        path = out / _file(run, kind)
        alt = f"{'Ablation rows' if kind == 'ablation' else 'Translations'} on test faces of {title}"
        drawn = grid.write_grid(run.workspace, run.record, path, kind) if faces else Missing(grid.LEFT_OUT)
        if isinstance(drawn, Missing):
            if drawn.reason not in told:
                yield Drawn(run.name, kind, None, alt, f"No picture grid of {title}: {drawn.reason}.")
            told.append(drawn.reason)
        else:
            yield Drawn(run.name, kind, path, alt, grid.RULE, faces=drawn)


def _bands(run: Run, out: Path, faces: bool) -> Iterator[Drawn]:
    drawn = bands_picture.bands_picture(run.workspace, run.record) if faces else Missing(grid.LEFT_OUT)
    if isinstance(drawn, Missing):  # the section of frequencies says why
        return
    image, count = drawn
    path = out / _file(run, "bands")
    image.save(path, compress_level=grid.COMPRESSION)
    alt = f"Low and high frequencies of faces of {run.record.protocol.dataset_title}"
    yield Drawn(run.name, "bands", path, alt, bands_picture.RULE, faces=count)


def _pushes(run: Run, panels: list[Panel], faults: list[str], out: Path) -> Iterator[Drawn]:
    lines = tuple(f"Pushes not drawn: {fault}." for fault in faults)
    alt = f"Pushes of guided methods on {run.record.protocol.dataset_title}"
    if panels:
        path = out / _file(run, "pushes")
        pushes_figure.draw_pushes(panels, path)
        yield Drawn(run.name, "pushes", path, alt, pushes_figure.RULE, lines)
    elif lines:
        yield Drawn(run.name, "pushes", None, alt, "", lines)


def _curves(run: Run, studies: Studies | None, out: Path) -> Iterator[Drawn]:
    if studies is None:
        return
    title = run.record.protocol.dataset_title
    lines = tuple(line for study in studies.studies for line in told(study))
    if studies.measured():
        path = out / _file(run, "studies")
        study_figure.draw(studies, path)
        yield Drawn(run.name, "studies", path, f"Studies on {title}", caption(studies), lines)
    else:
        said = f"No figure of the studies on {title}: no row of them is finished."
        yield Drawn(run.name, "studies", None, "", said, lines)
