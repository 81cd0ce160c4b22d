"""What a report says, as values, before any of it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line
from nferbench_reports import comparisons, headroom
from nferbench_reports.columns import Convention
from nferbench_reports.headroom import Recovery
from nferbench_reports.paper import DATASETS
from nferbench_reports.preparation import left_out, load_prepared
from nferbench_reports.pushes import Panel, panels_of
from nferbench_reports.records import Records, read_records
from nferbench_reports.runs import Asked, Run, load_run
from nferbench_reports.separation import marked
from nferbench_reports.significance import Comparison, compare
from nferbench_reports.studies import Studies, read_studies
from nferbench_reports.table import Table
from nferbench_reports.tables import ablation, comparison, joined_comparison


@final
@dataclass(frozen=True)
class Contents:
    """All numbers and words of a report; every text is plain text."""

    records: Records
    runs: tuple[Run, ...]
    asked: Asked
    said: tuple[str, ...]  # what was run, left out or could not be read, a sentence each
    tables: tuple[Table, ...]
    compared: tuple[Sequence[Comparison], ...]  # of each run: each of its rows with each other one
    recovered: tuple[Recovery, ...]
    studies: Mapping[str, Studies | None]  # by the name of the record
    pushes: Mapping[str, tuple[list[Panel], list[str]]]  # by the name of the record: panels, and faults

    def titles(self) -> dict[str, str]:
        """The printed name of each data set."""
        return {run.record.protocol.dataset: run.record.protocol.dataset_title for run in self.runs}

    def tested(self) -> list[Comparison]:
        """The comparisons with the rows that were asked for, in their order."""
        return [one for name in self.asked.against for pairs in self.compared for one in pairs if one.against == name]

    def tested_on(self, dataset: str, against: str = "") -> list[Comparison]:
        """Those of one data set with one row; none where that is no row."""
        return [one for pairs in self.compared for one in pairs if (one.dataset, one.against) == (dataset, against)]

    def averaged(self, *runs: Run) -> str:
        """How many trainings of the recogniser stand behind the numbers of runs: a sentence for each with several."""
        protocols = [run.record.protocol for run in runs]
        return " ".join(f"{one.dataset_title}{one.averaged()}." for one in protocols if one.averaged())


def read_contents(
    workspace: Path,
    convention: str | None,
    paper: bool,
    preset: str | None,
    records: Sequence[str],
    against: Sequence[str] | None,
    title: str | None,
    joined: bool,
    faces: bool,
) -> Contents:
    """Read a workspace and compute what a report of it says; arguments and faults are those of `write_report`."""
    chosen, named = _convention(convention, paper), _title(title)
    found = read_records(workspace, DATASETS, preset, records)
    runs = tuple(load_run(workspace, stored) for stored in found.chosen)
    asked = Asked(chosen, paper, comparisons.compared_with(against, runs), faces, named)
    compared = tuple(compare(run.record, run.tabled(), chosen) for run in runs)
    pairs = [one for mine in compared for one in mine]
    return Contents(
        found,
        runs,
        asked,
        tuple(_said(workspace, found, paper)),
        tuple(marked(table, pairs) for table in _tables(workspace, runs, asked, joined)),
        compared,
        tuple(one for run in runs for one in headroom.recovered(run.record, run.tabled())),
        {run.name: read_studies(run.record, run.results, chosen) for run in runs},
        {run.name: panels_of(workspace, run.record) for run in runs},
    )


def _convention(convention: str | None, paper: bool) -> Convention:
    if convention is None:
        return "paper" if paper else "standard"
    if convention == "standard":
        return "standard"
    if convention == "paper":
        return "paper"
    raise UsageError(f"unknown convention '{convention}'; known: standard, paper")


def _title(title: str | None) -> str:
    if title is None:
        return Asked.title
    if not (cleaned := one_line(" ".join(title.split()))):
        raise UsageError("the title of a report is empty; give it a word, or leave --title out")
    return cleaned


def _tables(workspace: Path, runs: Sequence[Run], asked: Asked, joined: bool) -> list[Table]:
    compared = [(run.record, run.results) for run in runs if any("comparison" in one.row.tables for one in run.results)]
    said = [left_out(workspace, record) for record, _ in compared]
    if joined and len(compared) > 1:
        remarks = [line for lines in said for line in lines]
        tables = [joined_comparison(compared, 1, asked.convention, asked.paper, remarks)]
    else:
        tables = [
            comparison(record, results, number, asked.convention, asked.paper, lines)
            for number, ((record, results), lines) in enumerate(zip(compared, said, strict=True), start=1)
        ]
    apart = [run.record for run in runs if any("ablation" in one.row.tables for one in run.results)]
    remarks = [line for record in apart for line in left_out(workspace, record)]
    parts = ablation([(run.record, run.results) for run in runs], len(tables) + 1, asked.paper, remarks)
    return [*tables, *([parts] if parts else [])]


def _said(workspace: Path, records: Records, paper: bool) -> list[str]:
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
    return [*lines, *records.notes, *(f"Not readable: {problem}" for problem in records.problems)]
