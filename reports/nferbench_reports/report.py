"""A report of everything stored in a workspace: tables, significance and picture grids, from results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import cell
from nferbench_reports import bootstrap, grid, headroom, latex, markdown, pushes_figure, significance, study_figure
from nferbench_reports.drawn import Drawn, write_markdown
from nferbench_reports.naming import stem, table_stem
from nferbench_reports.page import Headline, Page, write_page
from nferbench_reports.paper import DATASETS
from nferbench_reports.preparation import left_out, load_prepared
from nferbench_reports.pushes import Panel, panels_of
from nferbench_reports.records import Record, Records, Stored, TableName, read_records
from nferbench_reports.results import Missing, load_results
from nferbench_reports.results_sections import (
    drawn_section,
    headroom_section,
    pushes_sheet,
    significance_section,
    studies_sheet,
    tables_section,
)
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Section, Sheet
from nferbench_reports.studies import Studies, caption, read_studies, studies_frame, told
from nferbench_reports.tables import Convention, Table, ablation, comparison, long_frame

if TYPE_CHECKING:
    import pandas as pd

# What the page has below what report.md has, in this order; None where there is nothing to show.
SECTIONS: tuple[Callable[[Sequence[Run], Asked], Section | None], ...] = ()

_INTERVAL = f"{bootstrap.LEVEL} % interval (percentile bootstrap over subjects, {bootstrap.DRAWS:,} draws)"
_HEADROOM = (
    "How much of what true NIR of the extra set gains over no translation each row recovers: accuracy as "
    "mean over the test subjects, its difference from no translation, and the share (row − without translation) / "
    f"(oracle − without translation), both with their {_INTERVAL}; above and below the line of a share stand the same "
    "subjects. Rows in italics are references."
)


@final
@dataclass(frozen=True)
class Report:
    """What was written, and what there is to say on a terminal."""

    paths: tuple[Path, ...]
    text: str  # the content of report.md
    problems: tuple[str, ...]  # one line each: records that could not be read


def write_report(
    workspace: Path, out: Path, convention: str | None = None, paper: bool = False, preset: str | None = None
) -> Report:
    """Write the report of a workspace.

    In `out`: report.html, a page with all of it; report.md, tables.tex with one table-*.tex and one table-*.csv for
    each table, tables.csv, significance.csv and one grid-<dataset>.png for each dataset, a grid-<dataset>-ablation.png
    where there are ablation rows, a pushes-<dataset>.png and pushes.csv where guided methods stored how hard they push,
    headroom.csv where there are an oracle and the row "without translation", studies.csv and a study-<dataset>.png
    where there are rows of studies. A dataset whose name is not of small letters, digits and ".+-" has eight digits of
    its hash in these names.

    Args:
        workspace: where the results are stored.
        out: a directory; made if it is not there.
        convention: of PSNR and SSIM, "standard" or "paper"; None means "paper" beside published values, else
            "standard".
        paper: put the published values and the differences from them beside ours.
        preset: only results of this preset; None takes the newest of each dataset.

    Raises:
        UsageError: nothing to report, an unknown convention, or a directory that cannot be written.
        DataError: no record of the workspace can be read.
    """
    asked = Asked(_convention(convention, paper), paper)
    chosen = asked.convention
    records = read_records(workspace, DATASETS, preset)
    reported = [_run(workspace, stored) for stored in records.chosen]
    runs = [(run.record, run.results) for run in reported]
    compared = [run for run in runs if any("comparison" in one.row.tables for one in run[1])]
    tables = [
        comparison(record, results, number, chosen, paper, left_out(workspace, record))
        for number, (record, results) in enumerate(compared, start=1)
    ]
    taken_apart = [record for record, results in runs if any("ablation" in one.row.tables for one in results)]
    remarks = [line for record in taken_apart for line in left_out(workspace, record)]
    parts = ablation(runs, len(tables) + 1, paper, remarks)
    tables += [parts] if parts else []
    tested = [one for run in reported for one in significance.compare(run.record, run.tabled(), chosen)]
    recovered = [one for run in reported for one in headroom.recovered(run.record, run.tabled())]
    studies = {record.protocol.dataset: read_studies(record, results, chosen) for record, results in runs}
    found = [each for each in studies.values() if each]
    titles = {run.record.protocol.dataset: run.record.protocol.dataset_title for run in reported}
    said = tuple(_said(workspace, records, paper))
    says = _reading(records, tested)
    try:
        out.mkdir(parents=True, exist_ok=True)
        grids = [drawn for stored in records.chosen for drawn in _grids(workspace, stored, out)]
        panels = {run.record.protocol.dataset: panels_of(workspace, run.record) for run in reported}
        pushes = [drawn for stored in records.chosen for drawn in _pushes(stored.record, panels, out)]
        curves = [drawn for record, _ in runs for drawn in _curves(record, studies[record.protocol.dataset], out)]
        pictures = (*grids, *pushes, *curves)
        text = _text(said, tables, tested, recovered, pictures, titles, says)
        fragments = {f"table-{table_stem(table)}.tex": latex.write_table(table) for table in tables}
        files = {
            "report.md": text,
            "tables.tex": latex.write_document(list(fragments), wide=paper),
            **fragments,
            "tables.csv": _csv(long_frame(tables)),
            "significance.csv": _csv(significance.frame(tested)),
        }
        if recovered:
            files["headroom.csv"] = _csv(headroom.frame(recovered))
        else:
            (out / "headroom.csv").unlink(missing_ok=True)  # never older shares beside newer tables
        if found:
            files["studies.csv"] = _csv(studies_frame(found))
        else:
            (out / "studies.csv").unlink(missing_ok=True)  # nor older curves
        pushed = {dataset: mine for dataset, (mine, _) in panels.items() if mine}
        if not pushed:
            (out / "pushes.csv").unlink(missing_ok=True)
        own = (
            tables_section(tables),
            significance_section(tested, titles, says.significance),
            headroom_section(recovered, titles, says.headroom),
            drawn_section("studies", "Studies", curves, studies_sheet(found, titles)),
            drawn_section("pushes", "Pushes", pushes, pushes_sheet(pushed, titles)),
            drawn_section("examples", "Example faces", grids if asked.faces else ()),
        )
        sections = [section for section in (*own, *(make(reported, asked) for make in SECTIONS)) if section]
        sheets = [part for section in sections for part in section.parts if isinstance(part, Sheet)]
        files |= {name: _csv(sheet.frame) for sheet in sheets if (name := f"{sheet.name}.csv") not in files}
        headlines = tuple(_headline(workspace, stored) for stored in records.chosen)
        files["report.html"] = write_page(Page("Results", headlines, said, tuple(sections), not asked.faces))
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the report cannot be written to '{out}' ({error.strerror}); choose another: --out") from None
    drawn = [one.path for one in pictures if one.path is not None]
    return Report((*(out / name for name in files), *drawn), text, records.problems)


def _convention(convention: str | None, paper: bool) -> Convention:
    if convention is None:
        return "paper" if paper else "standard"
    if convention == "standard":
        return "standard"
    if convention == "paper":
        return "paper"
    raise UsageError(f"unknown convention '{convention}'; known: standard, paper")


def _run(workspace: Path, stored: Stored) -> Run:
    record = stored.record
    results = [load_results(workspace, row, record.protocol.classes, record.metrics()) for row in record.rows]
    return Run(workspace, stored.file, record, tuple(results))


@final
@dataclass(frozen=True)
class _Reading:
    """How to read the numbers, in sentences of plain text."""

    significance: str
    headroom: str


def _reading(records: Records, tested: Sequence[significance.Comparison]) -> _Reading:
    averaged = "".join(
        f" {stored.record.protocol.dataset_title}{stored.record.protocol.averaged()}."
        for stored in records.chosen
        if stored.record.protocol.averaged()
    )
    references = any(one.reference for one in tested)
    return _Reading(_significance(references) + averaged, _HEADROOM + averaged)


def _text(
    said: Sequence[str],
    tables: Sequence[Table],
    tested: Sequence[significance.Comparison],
    recovered: Sequence[headroom.Recovery],
    pictures: Sequence[Drawn],
    titles: Mapping[str, str],
    says: _Reading,
) -> str:
    lines = "".join(f"- {markdown.escape(line)}\n" for line in said)
    parts = ["# Results\n", lines, *(markdown.write_table(table) for table in tables)]
    if tested:
        parts += [f"**Significance.** {markdown.escape(says.significance)}\n"]
        parts += [significance.write_markdown(tested, titles)]
    if recovered:
        parts += [f"**Headroom.** {markdown.escape(says.headroom)}\n", headroom.write_markdown(recovered, titles)]
    return "\n".join([*parts, *map(write_markdown, pictures)])


def _significance(references: bool) -> str:
    """How to read the table of differences, with a word on reference rows where there are any."""
    text = (
        "Each method against no translation, paired over the test subjects: mean difference, its "
        f"{_INTERVAL}, two-sided sign-flip permutation test, Holm-corrected over the methods of one data set and "
        "metric."
    )
    return text + (" Rows in italics are references: no methods, and no part of the correction." if references else "")


def _headline(workspace: Path, stored: Stored) -> Headline:
    record, protocol = stored.record, stored.record.protocol
    counts = load_prepared(workspace, record.faces) or protocol
    facts = {
        "subjects": str(counts.subjects),
        "pairs": str(counts.pairs),
        {"folds": "folds", "repeats": "random draws", "fixed": "fixed splits"}[protocol.division]: str(protocol.folds),
        "rows": str(len(record.rows)),
        "preset": protocol.preset,
        "faces": f"{protocol.size} px",
        "extra set": protocol.extra_title or protocol.extra or "none",
        "recogniser": protocol.fer_title,
        "run": f"{record.created:%Y-%m-%d}",
    }
    return Headline(protocol.dataset_title, tuple(facts.items()))


def _said(workspace: Path, records: Records, paper: bool) -> list[str]:
    """What was run, what was left out and what could not be read, in plain text."""
    lines = []
    for stored in records.chosen:
        record, protocol = stored.record, stored.record.protocol
        counts = load_prepared(workspace, record.faces) or protocol
        lines.append(
            f"{protocol.dataset_title}: {protocol.summary()}; {counts.subjects} subjects, {counts.pairs} pairs, "
            f"splits {protocol.splits[:12]}; nferbench {record.nferbench}, {record.created:%Y-%m-%d %H:%M} "
            f"({stored.file}: {record.command})"
        )
        lines += left_out(workspace, record)
        if paper and protocol.dataset in DATASETS and protocol.preset != "paper":
            lines.append(
                f"{protocol.dataset_title}: the published values are of full training at 256 px; "
                f"differences from preset {protocol.preset} are not a matter of the methods alone"
            )
    return [*lines, *records.notes, *(f"Not readable: {problem}" for problem in records.problems)]


def _grids(workspace: Path, stored: Stored, out: Path) -> Iterator[Drawn]:
    """The picture grids of a record."""
    protocol = stored.record.protocol
    kinds: tuple[TableName, ...] = ("comparison", "ablation")
    for kind in kinds:
        if kind == "ablation" and not any(kind in row.tables for row in stored.record.rows):
            continue
        path = out / f"grid-{stem(protocol.dataset)}{'-ablation' if kind == 'ablation' else ''}.png"
        what = "Ablation rows" if kind == "ablation" else "Translations"
        alt = f"{what} on test faces of {protocol.dataset_title}"
        faces = grid.write_grid(workspace, stored.record, path, kind)
        if isinstance(faces, Missing):
            path.unlink(missing_ok=True)  # never an older picture beside newer tables
            yield Drawn(None, alt, f"No picture grid of {protocol.dataset_title}: {faces.reason}.")
        else:
            yield Drawn(path, alt, grid.RULE, faces=faces)


def _pushes(record: Record, found: Mapping[str, tuple[list[Panel], list[str]]], out: Path) -> Iterator[Drawn]:
    """The figure of pushes of a record that has any."""
    protocol = record.protocol
    path = out / f"pushes-{stem(protocol.dataset)}.png"
    path.unlink(missing_ok=True)  # never an older figure beside newer tables
    panels, faults = found[protocol.dataset]
    lines = tuple(f"Pushes not drawn: {fault}." for fault in faults)
    alt = f"Pushes of guided methods on {protocol.dataset_title}"
    if panels:
        pushes_figure.draw_pushes(panels, path)
        yield Drawn(path, alt, pushes_figure.RULE, lines)
    elif lines:
        yield Drawn(None, alt, "", lines)


def _curves(record: Record, studies: Studies | None, out: Path) -> Iterator[Drawn]:
    """The figure of the studies of a record."""
    path = out / f"study-{stem(record.protocol.dataset)}.png"
    path.unlink(missing_ok=True)
    if studies is None:
        return
    title = record.protocol.dataset_title
    lines = tuple(line for study in studies.studies for line in told(study))
    if studies.measured():
        study_figure.draw(studies, path)
        yield Drawn(path, f"Studies on {title}", caption(studies), lines)
    else:
        yield Drawn(None, "", f"No figure of the studies on {title}: no row of them is finished.", lines)


def _csv(frame: pd.DataFrame) -> str:
    return frame.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False)
