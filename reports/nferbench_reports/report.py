"""A report of everything stored in a workspace: a page, Markdown, LaTeX, CSV and pictures, from results alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import cell, first_of
from nferbench_reports import (
    agreement,
    bands_section,
    comparisons,
    costs_section,
    gallery_section,
    headroom,
    latex,
    latex_paired,
    pictures,
    recognition_section,
    significance,
    trainings_section,
)
from nferbench_reports.contents import Contents, read_contents
from nferbench_reports.drawn import OF_FACES, Drawn, Kind, picture
from nferbench_reports.folder import FILE, Held, Manifest, aside, lost, put, read_manifest
from nferbench_reports.naming import table_stem
from nferbench_reports.page import Page, headline, write_page
from nferbench_reports.results_sections import (
    drawn_section,
    headroom_section,
    pushes_sheet,
    studies_sheet,
    tables_section,
)
from nferbench_reports.section import Section, Sheet
from nferbench_reports.studies import studies_frame
from nferbench_reports.tables import long_frame
from nferbench_reports.text import write_text

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class Report:
    """What was written, and what there is to say on a terminal."""

    paths: tuple[Path, ...]
    text: str  # of report.md
    contents: Contents
    pictures: tuple[Drawn, ...]
    problems: tuple[str, ...]  # one line each: records that could not be read
    title: str
    left: tuple[Path, ...]  # files of an earlier report that were changed since, and are no part of this one


def write_report(
    workspace: Path,
    out: Path,
    convention: str | None = None,
    paper: bool = False,
    preset: str | None = None,
    records: Sequence[str] = (),
    title: str | None = None,
    side_by_side: bool = False,
    replace: bool = False,
    against: Sequence[str] | None = None,
    faces: bool = True,
) -> Report:
    """Write the report of a workspace.

    In `out`: report.html, a page with all of it; report.md; tables.tex with one table-*.tex for each table and for the
    differences and the headroom of each dataset; one table-*.csv for each table, tables.csv, significance.csv, one CSV
    for each table of the page; and pictures: for each dataset grid-<dataset>.png, grid-<dataset>-ablation.png where
    there are ablation rows, bands-<dataset>.png of low and high frequencies, pushes-<dataset>.png where guided methods
    stored how hard they push, study-<dataset>.png where there are rows of studies. A dataset whose name is not of small
    letters, digits and ".+-" has eight digits of its hash in these names. report.json says what all this is made of;
    what an earlier report left beside it and this one does not write goes.

    Args:
        workspace: where the results are stored.
        out: a directory; made if it is not there.
        convention: of PSNR and SSIM, "standard" or "paper"; None means "paper" beside published values, else
            "standard".
        paper: put the published values and the differences from them beside ours.
        preset: only results of this preset; None takes the newest of each dataset.
        records: exactly these records, by name, also several of one dataset; () takes the newest of each dataset.
        title: of the report; None means "Results".
        side_by_side: one table of all comparisons, with the columns of each record, in the place of one a record.
        replace: also where the report that is in `out` shows more than this one.
        against: the rows that all others are compared with; None means "none" and "nfer-sde", as far as they were run.
        faces: whether pictures of faces may be part of it; if not, those of the earlier report go, too.

    Raises:
        UsageError: nothing to report, an unknown convention or record, a row to compare with that there is not, an
            empty title, a directory that cannot be written, or one with a report that shows more.
        DataError: no record of the workspace can be read, or none that is named; what the report in `out` shows is
            not known.
    """
    before = _manifest(out, replace)
    contents = read_contents(workspace, convention, paper, preset, records, against, title, side_by_side, faces)
    try:
        with aside(out) as made:
            drawn = pictures.draw(contents, made)
            held = _held(contents, drawn)
            if before and not replace:
                _refuse_less(out, before if faces else _without_faces(before), held, contents)
            files = _files(contents, drawn, titled=title is not None)
            for name, content in files.items():
                (made / name).write_text(content, encoding="utf-8")
            known = ["headroom.csv", "studies.csv", *(name for run in contents.runs for name in pictures.names(run))]
            left = put(made, out, before, held, known)
    except OSError as error:
        raise UsageError(f"the report cannot be written to '{out}' ({error.strerror}); choose another: --out") from None
    written = [*files, *(one.path.name for one in drawn if one.path), FILE]
    return Report(
        tuple(out / name for name in written),
        files["report.md"],
        contents,
        tuple(drawn),
        contents.records.problems,
        contents.asked.title,
        tuple(out / name for name in left),
    )


def _manifest(out: Path, replace: bool) -> Manifest | None:
    try:
        return read_manifest(out)
    except DataError:
        if replace:
            return None
        raise


def _held(contents: Contents, drawn: Sequence[Drawn]) -> dict[str, Held]:
    return {
        run.name: Held(
            dataset=run.record.protocol.dataset,
            rows=run.counted(),
            pictures=tuple(one.kind for one in drawn if one.record == run.name and one.path),
        )
        for run in contents.runs
    }


def _without_faces(before: Manifest) -> Manifest:
    """An earlier report as far as one without faces can show it: who asks for none does not lose them unawares."""
    records = {
        name: held.model_copy(update={"pictures": tuple(kind for kind in held.pictures if kind not in OF_FACES)})
        for name, held in before.records.items()
    }
    return before.model_copy(update={"records": records})


def _refuse_less(out: Path, before: Manifest, held: Mapping[str, Held], contents: Contents) -> None:
    if gone := lost(before, held, {run.name: run.reasons() for run in contents.runs}):
        problems = contents.records.problems
        unreadable = f"; not readable: {problems[0]}" if problems else ""
        raise UsageError(
            f"the report in '{out}' shows more than this one would: {first_of(gone)}{unreadable}; "
            "choose another folder (--out), what is shown (--record), or --replace it"
        )


def _files(contents: Contents, drawn: Sequence[Drawn], titled: bool) -> dict[str, str]:
    """All files but the pictures and the manifest, by name."""
    tables = contents.tables
    fragments = {f"table-{table_stem(table)}.tex": latex.write_table(table) for table in tables}
    for run in contents.runs:
        fragments |= latex_paired.fragments(contents, run)
    files = {
        "report.md": write_text(contents, drawn),
        "tables.tex": latex.write_document(list(fragments), contents.asked.title if titled else ""),
        **fragments,
        "tables.csv": _csv(long_frame(tables)),
        "significance.csv": _csv(significance.frame(contents.tested())),
    }
    if contents.recovered:
        files["headroom.csv"] = _csv(headroom.frame(contents.recovered))
    if curves := [each for each in contents.studies.values() if each]:
        files["studies.csv"] = _csv(studies_frame(curves))
    sections = _sections(contents, drawn)
    sheets = [part for section in sections for part in section.parts if isinstance(part, Sheet)]
    files |= {name: _csv(sheet.frame) for sheet in sheets if (name := f"{sheet.name}.csv") not in files}
    headlines = tuple(headline(run) for run in contents.runs)
    page = Page(contents.asked.title, headlines, contents.said, tuple(sections), not contents.asked.faces)
    return {**files, "report.html": write_page(page)}


def _sections(contents: Contents, drawn: Sequence[Drawn]) -> list[Section]:
    """What the page shows, in this order."""
    runs, asked, titles = contents.runs, contents.asked, contents.titles()

    def of(*kinds: Kind) -> list[Drawn]:
        return [one for one in drawn if one.kind in kinds]

    studies = [each for each in contents.studies.values() if each]
    pushed = {run.record.protocol.dataset: panels for run in runs if (panels := contents.pushes[run.name][0])}
    read = f"{headroom.legend('Rows in italics')} {contents.averaged(*runs)}".rstrip()
    found = (
        tables_section(contents.tables),
        comparisons.section(runs, asked, contents.compared),
        headroom_section(contents.recovered, titles, read),
        agreement.section(runs, asked),
        recognition_section.section(runs, asked),
        gallery_section.section(runs, asked),
        drawn_section("examples", "Example faces", of("comparison", "ablation")),
        _pictured(bands_section.section(runs, asked), of("bands")),
        drawn_section("studies", "Studies", of("studies"), studies_sheet(studies, titles)),
        drawn_section("pushes", "Pushes", of("pushes"), pushes_sheet(pushed, titles)),
        costs_section.section(runs, asked),
        trainings_section.section(runs, asked),
    )
    return [section for section in found if section]


def _pictured(section: Section | None, drawn: Sequence[Drawn]) -> Section | None:
    """A section with pictures above its other parts."""
    if section is None:
        return None
    return dataclasses.replace(section, parts=(*(found for one in drawn if (found := picture(one))), *section.parts))


def _csv(frame: pd.DataFrame) -> str:
    return frame.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False)
