"""Tables 1-3 out of what records measured, before anyone writes them in a format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from nferbench_reports import paper
from nferbench_reports.columns import Convention, comparison_columns, metric_column, recognition_columns
from nferbench_reports.record import Metric, Record, Row
from nferbench_reports.results import Missing, Results
from nferbench_reports.table import Cell, Column, Kind, Table, TableRow
from nferbench_reports.table_cells import measured_cell

_OTHER_CONVENTION = (
    "The published PSNR and SSIM follow the other convention and are left out; "
    f"--convention {paper.CONVENTION} shows them."
)

LONG_COLUMNS = (
    *("table", "dataset", "group", "method", "metric", "convention"),
    *("pooled", "mean", "std", "folds", "separable", "trainings"),
)


def comparison(
    record: Record,
    results: Sequence[Results],
    number: int,
    convention: Convention,
    beside_paper: bool,
    remarks: Sequence[str] = (),
) -> Table:
    """Table 1 or 2: all methods on one dataset, recognition and image quality; `remarks` come below its own."""
    protocol = record.protocol
    columns = comparison_columns(protocol, convention, record.metrics())
    rows = [
        _row(
            result.row,
            result.row.title,
            [measured_cell("comparison", record, result, column, beside_paper) for column in columns],
        )
        for result in _printed_order("comparison", [one for one in results if "comparison" in one.row.tables])
    ]
    said = [_convention_remark(convention), *_metric_remarks(record.metrics(), results)]
    known = protocol.own_name() in paper.DATASETS
    if beside_paper and not known:
        said.append("The paper has no numbers on this data set.")
    elif beside_paper and convention != paper.CONVENTION:
        said.append(_OTHER_CONVENTION)
    caption = f"The compared methods on {protocol.dataset_title}{protocol.averaged()}."
    return Table("comparison", number, caption, columns, tuple(rows), beside_paper and known, (*said, *remarks))


def joined_comparison(
    runs: Sequence[tuple[Record, Sequence[Results]]],
    number: int,
    convention: Convention,
    beside_paper: bool,
    remarks: Sequence[str] = (),
) -> Table:
    """Tables 1 and 2 in one: all methods, the columns of each record beside those of the others.

    Args:
        runs: records with a row of the comparison at least, each with what its rows measured.
        number: of the table.
        convention: of PSNR and SSIM.
        beside_paper: put the published values beside ours.
        remarks: come below its own.
    """
    runs = [(record, [one for one in results if "comparison" in one.row.tables]) for record, results in runs]
    wide = [
        [replace(column, heading=record.protocol.dataset_title) for column in columns]
        for record, _ in runs
        for columns in [comparison_columns(record.protocol, convention, record.metrics())]
    ]
    columns, rows = _joined("comparison", runs, wide, beside_paper)
    said = [_convention_remark(convention)]
    said += [line for record, results in runs for line in _metric_remarks(record.metrics(), results)]
    strange = [record.protocol.dataset_title for record, _ in runs if record.protocol.own_name() not in paper.DATASETS]
    if beside_paper and strange:
        said.append(f"The paper has no numbers on {' and '.join(strange)}.")
    if beside_paper and len(strange) < len(runs) and convention != paper.CONVENTION:
        said.append(_OTHER_CONVENTION)
    known = beside_paper and len(strange) < len(runs)
    caption = f"The compared methods on {_titles(runs)}."
    return Table("comparison", number, caption, columns, rows, known, tuple(dict.fromkeys((*said, *remarks))))


def ablation(
    runs: Sequence[tuple[Record, Sequence[Results]]], number: int, beside_paper: bool, remarks: Sequence[str] = ()
) -> Table | None:
    """Table 3: the parts of the proposed method; None where no ablation row was run.

    Two columns a dataset, and one for each metric that was added.
    """
    runs = [(record, [one for one in results if "ablation" in one.row.tables]) for record, results in runs]
    runs = [(record, results) for record, results in runs if results]
    if not runs:
        return None
    wide = [
        [*recognition_columns(*where), *(metric_column(*where, metric) for metric in record.metrics())]
        for record, _ in runs
        for where in [(record.protocol.dataset, record.protocol.dataset_title)]
    ]
    columns, rows = _joined("ablation", runs, wide, beside_paper)
    known = beside_paper and any(record.protocol.own_name() in paper.DATASETS for record, _ in runs)
    caption = f"Ablation study on {_titles(runs)}."
    said = [line for record, results in runs for line in _metric_remarks(record.metrics(), results)]
    return Table("ablation", number, caption, columns, rows, known, tuple(dict.fromkeys((*said, *remarks))))


def _joined(
    kind: Kind,
    runs: Sequence[tuple[Record, Sequence[Results]]],
    wide: Sequence[Sequence[Column]],
    beside_paper: bool,
) -> tuple[tuple[Column, ...], tuple[TableRow, ...]]:
    """The columns of all records beside each other, and the rows of all, those of one name in one."""
    first: dict[str, Results] = {one.row.name: one for _, results in reversed(runs) for one in results}
    cells: dict[str, list[Cell | None]] = {name: [] for name in first}
    for (record, results), columns in zip(runs, wide, strict=True):
        mine = {one.row.name: one for one in results}
        where = "by this protocol" if record.protocol.known_as else "on this data set"
        for column in columns:
            for name in first:
                cells[name].append(
                    measured_cell(kind, record, mine[name], column, beside_paper)
                    if name in mine
                    else Cell(note=f"not run {where}")
                )
    rows = [
        _row(
            one.row.model_copy(update={"stamps": _stamps(one.row.name, runs)}),
            paper.ablation_title(one.row.name, one.row.title) if kind == "ablation" else one.row.title,
            cells[one.row.name],
        )
        for one in _printed_order(kind, list(first.values()))
    ]
    return tuple(column for columns in wide for column in columns), tuple(rows)


def _stamps(name: str, runs: Sequence[tuple[Record, Sequence[Results]]]) -> tuple[str, ...]:
    """What must be known of the rows of one name; with its record where that is not so of all of them."""
    mine = [(record, one.row.stamps) for record, results in runs for one in results if one.row.name == name]
    return tuple(
        dict.fromkeys(
            stamp if all(stamp in others for _, others in mine) else f"{record.protocol.dataset_title}: {stamp}"
            for record, stamps in mine
            for stamp in stamps
        )
    )


def _titles(runs: Sequence[tuple[Record, Sequence[Results]]]) -> str:
    averaged = [record.protocol.averaged() for record, _ in runs]
    if len(set(averaged)) == 1:
        return " and ".join(record.protocol.dataset_title for record, _ in runs) + averaged[0]
    return "; and ".join(record.protocol.dataset_title + record.protocol.averaged() for record, _ in runs)


def long_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """All cells, one a line, in `LONG_COLUMNS`.

    Accuracy and macro F1 are percentages. `folds` counts the folds behind the numbers: 0 where there are none yet.
    `separable` says "yes" or "no", nothing for the best of a column and without a test; `trainings` counts those of the
    recogniser, and is blank where nothing is recognised. Metrics that do not apply to a row are left out.
    """
    lines = [
        (
            table.kind,
            column.dataset,
            row.group,
            row.name,
            column.metric,
            column.convention,
            cell.pooled,
            cell.mean,
            cell.std,
            len(cell.folds),
            {None: "", True: "yes", False: "no"}[cell.separable],
            cell.trainings,
        )
        for table in tables
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell is not None
    ]
    frame = pd.DataFrame(lines, columns=list(LONG_COLUMNS))
    return frame.astype({"pooled": float, "mean": float, "std": float, "trainings": "Int64"})


def _printed_order(kind: Kind, results: Sequence[Results]) -> list[Results]:
    """The paper's order; other methods follow in their group as they were run."""
    groups = {"nir-only": 0, "none": 1, "reference": 2, "gan": 3, "diffusion": 4, "given": 5}

    def place(result: Results) -> tuple[int, int]:
        row = result.row
        group = 0 if kind == "ablation" else groups.get(row.name, groups[row.group])
        return group, paper.printed_position(kind, row.name)

    return sorted(results, key=place)


def _row(row: Row, title: str, cells: Sequence[Cell | None]) -> TableRow:
    return TableRow(row.name, title, row.group, row.heterogeneous, row.stamps, tuple(cells))


def _convention_remark(convention: Convention) -> str:
    if convention == "paper":
        return (
            "PSNR and SSIM: 'paper' convention, peak 255 on images in [-1, 1], as the published columns fit; "
            "not comparable with other work."
        )
    return "PSNR and SSIM: 'standard' convention, at the true range of the images, as scikit-image has it."


def _metric_remarks(metrics: Sequence[Metric], results: Sequence[Results]) -> list[str]:
    """What must be known of columns that were added, and how many faces stand behind none of their numbers."""
    said = []
    for metric in metrics:
        frames = [
            frame
            for one in results
            for frame in one.scores.get(metric.name, {}).values()
            if not isinstance(frame, Missing)
        ]
        seen = {name for frame in frames for name in frame["id"]}
        absent = {name for frame in frames for name in frame["id"][frame[metric.name].isna()]}
        without = f"{len(absent)} of {len(seen)} faces are left out in all rows: {metric.lacking}" if absent else ""
        if told := "; ".join(part for part in (metric.note, without) if part):
            said.append(f"{metric.title}: {told}.")
    return said
