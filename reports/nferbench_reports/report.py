"""A report of everything stored in a workspace: tables, significance and picture grids, from results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import cell
from nferbench_reports import (
    bootstrap,
    costs_section,
    grid,
    headroom,
    latex,
    markdown,
    pushes_figure,
    significance,
    study_figure,
    trainings_section,
)
from nferbench_reports.naming import stem, table_stem
from nferbench_reports.paper import DATASETS
from nferbench_reports.preparation import left_out, load_prepared
from nferbench_reports.pushes import panels_of
from nferbench_reports.records import Record, Records, Stored, TableName, read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Section, Sheet
from nferbench_reports.studies import Studies, caption, read_studies, studies_frame, told
from nferbench_reports.tables import Convention, Table, ablation, comparison, long_frame

if TYPE_CHECKING:
    import pandas as pd

# What the page has below the tables, in this order; None where there is nothing to show.
SECTIONS: tuple[Callable[[Sequence[Run], Asked], Section | None], ...] = (
    costs_section.section,
    trainings_section.section,
)

_INTERVAL = f"{bootstrap.LEVEL} % interval (percentile bootstrap over subjects, {bootstrap.DRAWS:,} draws)"
_HEADROOM = (
    "**Headroom.** How much of what true NIR of the extra set gains over no translation each row recovers: accuracy as "
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

    In `out`: report.md, tables.tex with one table-*.tex for each table, tables.csv, significance.csv and one
    grid-<dataset>.png for each dataset, a grid-<dataset>-ablation.png where there are ablation rows, a
    pushes-<dataset>.png where guided methods stored how hard they push, headroom.csv where there are an oracle and the
    row "without translation", studies.csv and a study-<dataset>.png where there are rows of studies, costs.csv where
    stages say what they took, trainings.csv and losses.csv where rows have networks. A dataset whose name is not of
    small letters, digits and ".+-" has eight digits of its hash in these names.

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
    try:
        out.mkdir(parents=True, exist_ok=True)
        pictures = [drawn for stored in records.chosen for drawn in _grids(workspace, stored, out)]
        pictures += [drawn for stored in records.chosen for drawn in _pushes(workspace, stored, out)]
        pictures += [drawn for record, _ in runs for drawn in _curves(record, studies[record.protocol.dataset], out)]
        text = _text(workspace, records, tables, tested, recovered, [below for _, below in pictures], paper)
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
        if found := [each for each in studies.values() if each]:
            files["studies.csv"] = _csv(studies_frame(found))
        else:
            (out / "studies.csv").unlink(missing_ok=True)  # nor older curves
        sections = [section for make in SECTIONS if (section := make(reported, asked))]
        sheets = [part for section in sections for part in section.parts if isinstance(part, Sheet)]
        files |= {f"{sheet.name}.csv": _csv(sheet.frame) for sheet in sheets}
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the report cannot be written to '{out}' ({error.strerror}); choose another: --out") from None
    drawn = [path for path, _ in pictures if path is not None]
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


def _text(
    workspace: Path,
    records: Records,
    tables: Sequence[Table],
    tested: Sequence[significance.Comparison],
    recovered: Sequence[headroom.Recovery],
    figures: Sequence[str],
    paper: bool,
) -> str:
    titles = {stored.record.protocol.dataset: stored.record.protocol.dataset_title for stored in records.chosen}
    parts = ["# Results\n", _protocols(workspace, records, paper), *(markdown.write_table(table) for table in tables)]
    averaged = "".join(
        f" {markdown.escape(stored.record.protocol.dataset_title)}{stored.record.protocol.averaged()}."
        for stored in records.chosen
        if stored.record.protocol.averaged()
    )
    if tested:
        references = any(one.reference for one in tested)
        parts += [_significance(references) + averaged + "\n", significance.write_markdown(tested, titles)]
    if recovered:
        parts += [_HEADROOM + averaged + "\n", headroom.write_markdown(recovered, titles)]
    return "\n".join([*parts, *figures])


def _significance(references: bool) -> str:
    """How to read the table of differences, with a word on reference rows where there are any."""
    text = (
        "**Significance.** Each method against no translation, paired over the test subjects: mean difference, its "
        f"{_INTERVAL}, two-sided sign-flip permutation test, Holm-corrected over the methods of one data set and "
        "metric."
    )
    return text + (" Rows in italics are references: no methods, and no part of the correction." if references else "")


def _protocols(workspace: Path, records: Records, paper: bool) -> str:
    """What was run, what was left out and what could not be read."""
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
    lines += records.notes
    lines += [f"Not readable: {problem}" for problem in records.problems]
    return "".join(f"- {markdown.escape(line)}\n" for line in lines)


def _grids(workspace: Path, stored: Stored, out: Path) -> Iterator[tuple[Path | None, str]]:
    """The picture grids of a record, and what stands in the text for each."""
    protocol = stored.record.protocol
    title = markdown.escape(protocol.dataset_title)
    kinds: tuple[TableName, ...] = ("comparison", "ablation")
    for kind in kinds:
        if kind == "ablation" and not any(kind in row.tables for row in stored.record.rows):
            continue
        path = out / f"grid-{stem(protocol.dataset)}{'-ablation' if kind == 'ablation' else ''}.png"
        if reason := grid.write_grid(workspace, stored.record, path, kind):
            path.unlink(missing_ok=True)  # never an older picture beside newer tables
            yield None, f"No picture grid of {title}: {markdown.escape(reason)}.\n"
        else:
            what = "Ablation rows" if kind == "ablation" else "Translations"
            alt = markdown.inside_brackets(protocol.dataset_title)
            yield path, f"![{what} on test faces of {alt}]({path.name})\n\n{grid.RULE}\n"


def _pushes(workspace: Path, stored: Stored, out: Path) -> Iterator[tuple[Path | None, str]]:
    """The figure of pushes of a record that has any, and what stands in the text for it."""
    protocol = stored.record.protocol
    path = out / f"pushes-{stem(protocol.dataset)}.png"
    path.unlink(missing_ok=True)  # never an older figure beside newer tables
    panels, faults = panels_of(workspace, stored.record)
    text = "".join(f"- Pushes not drawn: {markdown.escape(fault)}.\n" for fault in faults)
    if panels:
        pushes_figure.draw_pushes(panels, path)
        alt = markdown.inside_brackets(protocol.dataset_title)
        text = f"![Pushes of guided methods on {alt}]({path.name})\n\n{pushes_figure.RULE}\n\n{text}"
    if text:
        yield path if panels else None, text


def _curves(record: Record, studies: Studies | None, out: Path) -> Iterator[tuple[Path | None, str]]:
    """The figure of the studies of a record, and what stands in the text for it."""
    path = out / f"study-{stem(record.protocol.dataset)}.png"
    path.unlink(missing_ok=True)
    if studies is None:
        return
    lines = "".join(f"- {markdown.escape(line)}\n" for study in studies.studies for line in told(study))
    if not studies.measured():
        title = markdown.escape(record.protocol.dataset_title)
        yield None, f"No figure of the studies on {title}: no row of them is finished.\n\n{lines}"
        return
    study_figure.draw(studies, path)
    alt = markdown.inside_brackets(record.protocol.dataset_title)
    yield path, f"![Studies on {alt}]({path.name})\n\n{markdown.escape(caption(studies))}\n\n{lines}"


def _csv(frame: pd.DataFrame) -> str:
    return frame.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False)
