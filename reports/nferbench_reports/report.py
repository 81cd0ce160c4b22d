"""A report of everything stored in a workspace: tables, significance and picture grids, from results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import cell, first_of, one_line
from nferbench_reports import (
    agreement,
    bootstrap,
    comparisons,
    grid,
    headroom,
    latex,
    markdown,
    pushes_figure,
    recognition_section,
    significance,
    study_figure,
)
from nferbench_reports.folder import FILE, Held, Manifest, aside, lost, put, read_manifest
from nferbench_reports.naming import stem, table_stem
from nferbench_reports.paper import DATASETS
from nferbench_reports.preparation import left_out, load_prepared
from nferbench_reports.pushes import panels_of
from nferbench_reports.records import Record, Records, Stored, TableName, read_records
from nferbench_reports.results import Results
from nferbench_reports.runs import Asked, Run, load_run
from nferbench_reports.section import Section, Sheet
from nferbench_reports.separation import marked
from nferbench_reports.studies import Studies, caption, read_studies, studies_frame, told
from nferbench_reports.tables import Convention, Table, ablation, comparison, joined_comparison, long_frame

if TYPE_CHECKING:
    import pandas as pd

# What the page has below the tables, in this order; None where there is nothing to show.
SECTIONS: tuple[Callable[[Sequence[Run], Asked], Section | None], ...] = (
    comparisons.section,
    agreement.section,
    recognition_section.section,
)

_INTERVAL = f"{bootstrap.LEVEL} % interval (bootstrap over subjects, {bootstrap.DRAWS:,} draws, expanded percentiles)"
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
    title: str
    left: tuple[Path, ...]  # files of an earlier report that were changed since, and are no part of this one


@final
@dataclass(frozen=True)
class _Drawn:
    """A picture of a record, or why there is none."""

    record: str  # its name
    kind: str
    file: str  # empty where there is none
    text: str  # of the report


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
) -> Report:
    """Write the report of a workspace.

    In `out`: report.md, tables.tex with one table-*.tex for each table, tables.csv, significance.csv and one
    grid-<dataset>.png for each dataset, a grid-<dataset>-ablation.png where there are ablation rows, a
    pushes-<dataset>.png where guided methods stored how hard they push, headroom.csv where there are an oracle and the
    row "without translation", studies.csv and a study-<dataset>.png where there are rows of studies, and a CSV for each
    table of the page's sections. A dataset whose name is not of small letters, digits and ".+-" has eight digits of its
    hash in these names. report.json says what all this is made of; what an earlier report left beside it and this one
    does not write goes.

    Args:
        workspace: where the results are stored.
        out: a directory; made if it is not there.
        convention: of PSNR and SSIM, "standard" or "paper"; None means "paper" beside published values, else
            "standard".
        paper: put the published values and the differences from them beside ours.
        preset: only results of this preset; None takes the newest of each dataset.
        against: the rows that all others are compared with; None means "none" and "nfer-sde", as far as they were run.
        records: exactly these records, by name, also several of one dataset; () takes the newest of each dataset.
        title: of the report; None means "Results".
        side_by_side: one table of all comparisons, with the columns of each record, in the place of one a record.
        replace: also where the report that is in `out` shows more than this one.

    Raises:
        UsageError: nothing to report, an unknown convention or record, a row to compare with that there is not, an
            empty title, a directory that cannot be written, or one with a report that shows more.
        DataError: no record of the workspace can be read, or none that is named; what the report in `out` shows is
            not known.
    """
    chosen, named = _convention(convention, paper), _title(title)
    before = _manifest(out, replace)
    found = read_records(workspace, DATASETS, preset, records)
    reported = [load_run(workspace, stored) for stored in found.chosen]
    asked = Asked(chosen, paper, comparisons.compared_with(against, reported), title=named)
    runs = [(run.record, run.results) for run in reported]
    tables = _comparisons(workspace, runs, chosen, paper, side_by_side)
    taken_apart = [record for record, results in runs if any("ablation" in one.row.tables for one in results)]
    remarks = [line for record in taken_apart for line in left_out(workspace, record)]
    parts = ablation(runs, len(tables) + 1, paper, remarks)
    tables += [parts] if parts else []
    pairs = [one for run in reported for one in significance.compare(run.record, run.tabled(), chosen)]
    tables = [marked(table, pairs) for table in tables]
    tested = [one for name in asked.against for one in pairs if one.against == name]
    recovered = [one for run in reported for one in headroom.recovered(run.record, run.tabled())]
    studies = {run.name: read_studies(run.record, run.results, chosen) for run in reported}
    try:
        with aside(out) as made:
            drawn = [one for stored in found.chosen for one in _grids(workspace, stored, made)]
            drawn += [one for stored in found.chosen for one in _pushes(workspace, stored, made)]
            drawn += [one for stored in found.chosen for one in _curves(stored, studies[stored.name], made)]
            held = {
                run.name: Held(
                    dataset=run.record.protocol.dataset,
                    rows=run.counted(),
                    pictures=tuple(one.kind for one in drawn if one.record == run.name and one.file),
                )
                for run in reported
            }
            reasons = {run.name: run.reasons() for run in reported}
            if before and not replace and (gone := lost(before, held, reasons)):
                unreadable = f"; not readable: {found.problems[0]}" if found.problems else ""
                raise UsageError(
                    f"the report in '{out}' shows more than this one would: {first_of(gone)}{unreadable}; "
                    "choose another folder (--out), what is shown (--record), or --replace it"
                )
            text = _text(workspace, found, tables, tested, recovered, [one.text for one in drawn], asked)
            wide = paper or any(table.joined for table in tables if table.kind == "comparison")
            fragments = {f"table-{table_stem(table)}.tex": latex.write_table(table) for table in tables}
            files = {
                "report.md": text,
                "tables.tex": latex.write_document(list(fragments), wide, asked.title if title else ""),
                **fragments,
                "tables.csv": _csv(long_frame(tables)),
                "significance.csv": _csv(significance.frame(tested)),
            }
            if recovered:
                files["headroom.csv"] = _csv(headroom.frame(recovered))
            if curves := [each for each in studies.values() if each]:
                files["studies.csv"] = _csv(studies_frame(curves))
            sections = [section for make in SECTIONS if (section := make(reported, asked))]
            sheets = [part for section in sections for part in section.parts if isinstance(part, Sheet)]
            files |= {f"{sheet.name}.csv": _csv(sheet.frame) for sheet in sheets}
            for name, content in files.items():
                (made / name).write_text(content, encoding="utf-8")
            left = put(made, out, before, held, _of_earlier_versions(found.chosen))
    except OSError as error:
        raise UsageError(f"the report cannot be written to '{out}' ({error.strerror}); choose another: --out") from None
    names = [*files, *(one.file for one in drawn if one.file), FILE]
    return Report(tuple(out / name for name in names), text, found.problems, asked.title, tuple(out / n for n in left))


def _title(title: str | None) -> str:
    if title is None:
        return Asked.title
    if not (cleaned := one_line(" ".join(title.split()))):
        raise UsageError("the title of a report is empty; give it a word, or leave --title out")
    return cleaned


def _manifest(out: Path, replace: bool) -> Manifest | None:
    try:
        return read_manifest(out)
    except DataError:
        if replace:
            return None
        raise


def _comparisons(
    workspace: Path,
    runs: Sequence[tuple[Record, Sequence[Results]]],
    convention: Convention,
    paper: bool,
    joined: bool,
) -> list[Table]:
    compared = [run for run in runs if any("comparison" in one.row.tables for one in run[1])]
    if joined and len(compared) > 1:
        remarks = [line for record, _ in compared for line in left_out(workspace, record)]
        return [joined_comparison(compared, 1, convention, paper, remarks)]
    return [
        comparison(record, results, number, convention, paper, left_out(workspace, record))
        for number, (record, results) in enumerate(compared, start=1)
    ]


def _of_earlier_versions(records: Sequence[Stored]) -> list[str]:
    """What reports that left no manifest may have left beside it: never an older picture beside newer tables."""
    kinds = ("grid-{}.png", "grid-{}-ablation.png", "pushes-{}.png", "study-{}.png")
    pictures = [kind.format(stem(stored.record.protocol.dataset)) for stored in records for kind in kinds]
    return ["headroom.csv", "studies.csv", *pictures]


def _convention(convention: str | None, paper: bool) -> Convention:
    if convention is None:
        return "paper" if paper else "standard"
    if convention == "standard":
        return "standard"
    if convention == "paper":
        return "paper"
    raise UsageError(f"unknown convention '{convention}'; known: standard, paper")


def _text(
    workspace: Path,
    records: Records,
    tables: Sequence[Table],
    tested: Sequence[significance.Comparison],
    recovered: Sequence[headroom.Recovery],
    figures: Sequence[str],
    asked: Asked,
) -> str:
    titles = {stored.record.protocol.dataset: stored.record.protocol.dataset_title for stored in records.chosen}
    parts = [f"# {markdown.escape(asked.title)}\n", _protocols(workspace, records, asked.paper)]
    parts += [markdown.write_table(table) for table in tables]
    averaged = "".join(
        f" {markdown.escape(stored.record.protocol.dataset_title)}{stored.record.protocol.averaged()}."
        for stored in records.chosen
        if stored.record.protocol.averaged()
    )
    for name in dict.fromkeys(one.against for one in tested):
        some = [one for one in tested if one.against == name]
        parts += [_significance(some) + averaged + "\n", significance.write_markdown(some, titles)]
    if recovered:
        parts += [_HEADROOM + averaged + "\n", headroom.write_markdown(recovered, titles)]
    return "\n".join([*parts, *figures])


def _significance(tested: Sequence[significance.Comparison]) -> str:
    """How to read a table of differences from one row, with a word on reference rows where there are any."""
    text = (
        f"**Significance.** Each method against *{markdown.escape(tested[0].against_title)}*, paired over the test "
        f"subjects: mean difference, its {_INTERVAL}, effect size (Cohen's d_z with Hedges' correction), two-sided "
        "sign-flip permutation test, Holm-corrected over the methods of one data set and metric, and how many subjects "
        "a difference of this size needs to be seen (80 % power at p < 0.05)."
    )
    references = any(one.reference for one in tested)
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
        if paper and protocol.own_name() in DATASETS and protocol.preset != "paper":
            lines.append(
                f"{protocol.dataset_title}: the published values are of full training at 256 px; "
                f"differences from preset {protocol.preset} are not a matter of the methods alone"
            )
    lines += records.notes
    lines += [f"Not readable: {problem}" for problem in records.problems]
    return "".join(f"- {markdown.escape(line)}\n" for line in lines)


def _grids(workspace: Path, stored: Stored, out: Path) -> Iterator[_Drawn]:
    """The picture grids of a record."""
    protocol = stored.record.protocol
    title = markdown.escape(protocol.dataset_title)
    kinds: tuple[TableName, ...] = ("comparison", "ablation")
    for kind in kinds:
        if kind == "ablation" and not any(kind in row.tables for row in stored.record.rows):
            continue
        file = f"grid-{stem(protocol.dataset)}{'-ablation' if kind == 'ablation' else ''}.png"
        if reason := grid.write_grid(workspace, stored.record, out / file, kind):
            yield _Drawn(stored.name, kind, "", f"No picture grid of {title}: {markdown.escape(reason)}.\n")
        else:
            what = "Ablation rows" if kind == "ablation" else "Translations"
            alt = markdown.inside_brackets(protocol.dataset_title)
            text = f"![{what} on test faces of {alt}]({file})\n\n{grid.RULE}\n"
            yield _Drawn(stored.name, kind, file, text)


def _pushes(workspace: Path, stored: Stored, out: Path) -> Iterator[_Drawn]:
    """The figure of pushes of a record that has any."""
    protocol = stored.record.protocol
    panels, faults = panels_of(workspace, stored.record)
    text = "".join(f"- Pushes not drawn: {markdown.escape(fault)}.\n" for fault in faults)
    file = f"pushes-{stem(protocol.dataset)}.png" if panels else ""
    if panels:
        pushes_figure.draw_pushes(panels, out / file)
        alt = markdown.inside_brackets(protocol.dataset_title)
        text = f"![Pushes of guided methods on {alt}]({file})\n\n{pushes_figure.RULE}\n\n{text}"
    if text:
        yield _Drawn(stored.name, "pushes", file, text)


def _curves(stored: Stored, studies: Studies | None, out: Path) -> Iterator[_Drawn]:
    """The figure of the studies of a record."""
    protocol = stored.record.protocol
    if studies is None:
        return
    lines = "".join(f"- {markdown.escape(line)}\n" for study in studies.studies for line in told(study))
    if not studies.measured():
        title = markdown.escape(protocol.dataset_title)
        text = f"No figure of the studies on {title}: no row of them is finished.\n\n{lines}"
        yield _Drawn(stored.name, "studies", "", text)
        return
    file = f"study-{stem(protocol.dataset)}.png"
    study_figure.draw(studies, out / file)
    alt = markdown.inside_brackets(protocol.dataset_title)
    text = f"![Studies on {alt}]({file})\n\n{markdown.escape(caption(studies))}\n\n{lines}"
    yield _Drawn(stored.name, "studies", file, text)


def _csv(frame: pd.DataFrame) -> str:
    return frame.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False)
