"""The tables as values: rows, columns and cells of Tables 1-3, before anyone writes them in a format."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench.metrics.classification import accuracy, confusion_matrix, macro_f1, over_folds
from nferbench_reports import paper
from nferbench_reports.records import RECOGNITION, Group, Metric, Protocol, Record, Row
from nferbench_reports.results import PREDICTED, SEED, Missing, Outcome, Results, trainings

Kind = Literal["comparison", "ablation"]
Convention = Literal["standard", "paper"]
Measure = Callable[[pd.DataFrame], float]

_OTHER_CONVENTION = (
    "The published PSNR and SSIM follow the other convention and are left out; "
    f"--convention {paper.CONVENTION} shows them."
)

LONG_COLUMNS = (
    *("table", "dataset", "group", "method", "metric", "convention"),
    *("pooled", "mean", "std", "folds", "separable", "trainings"),
)


@final
@dataclass(frozen=True)
class Column:
    """One metric on one dataset."""

    dataset: str
    heading: str  # what stands above a group of columns
    metric: str
    title: str
    decimals: int
    best: Callable[[Sequence[float]], float]  # max or min
    convention: str = ""  # of PSNR and SSIM; empty for the metrics that have only one

    def text(self, value: float, signed: bool = False) -> str:
        """The value as printed in a table, e.g. 66.90, −0.12 or ∞."""
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        value = round(value, self.decimals) + 0.0  # the sum turns -0.0 into 0.0
        return f"{value:{'+' if signed else ''}.{self.decimals}f}".replace("-", "−")


@final
@dataclass(frozen=True)
class Cell:
    """What stands behind one number: pooled over the images of all folds, mean and deviation over the folds."""

    pooled: float | None = None  # None where no fold has a result
    mean: float | None = None
    std: float | None = None  # with n - 1 in the denominator; None for a single fold and infinite values
    folds: tuple[int, ...] = ()  # those that stand behind the numbers
    note: str = ""  # why folds are missing; empty where none is
    published: float | None = None
    separable: bool | None = None  # from the best of the column; None for the best itself and where no test is
    trainings: int | None = None  # of the recogniser, behind the numbers; None where nothing was recognised

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        return None if self.pooled is None or self.published is None else self.pooled - self.published


@final
@dataclass(frozen=True)
class TableRow:
    """One method; `cells` goes by position in the table's columns, None where a metric does not apply."""

    name: str
    title: str
    group: Group
    heterogeneous: bool
    stamps: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@final
@dataclass(frozen=True)
class Footnotes:
    """The notes of a table, each told once and at the widest thing that it holds for."""

    remarks: tuple[str, ...]  # sentences below the table, without a mark: of all its rows, or of all translated ones
    marks: Mapping[str, str]  # of each other note by its text, in the order of first appearance
    titles: Mapping[str, tuple[str, ...]]  # by the name of a row: the marks behind its title
    cells: Mapping[tuple[str, int], str]  # by the name of a row and the position of a column: the mark there


@final
@dataclass(frozen=True)
class Table:
    """One table in the order in which it is printed."""

    kind: Kind
    number: int
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    beside_paper: bool = False  # published values and differences are shown
    remarks: tuple[str, ...] = field(default=())  # sentences below the table, before its footnotes

    @property
    def joined(self) -> bool:
        """Whether it has the columns of several records."""
        return len({column.dataset for column in self.columns}) > 1

    def footnotes(self) -> Footnotes:
        """Where each note of the table is told.

        A stamp of a row, and a note that all cells of a row have, hold for the row. What holds for all rows, or for
        just those with translated images, is a remark.
        """
        everything = frozenset(row.name for row in self.rows)
        translated = frozenset(row.name for row in self.rows if row.group not in ("reference", "none"))
        told: dict[str, set[str]] = {}  # the rows that a note holds for, by its text
        for row in self.rows:
            for note in _row_notes(row):
                told.setdefault(note, set()).add(row.name)
        scopes = {translated: "All translated rows"} if len(translated) > 1 else {}
        scopes[everything] = "All rows"
        common = {note: scopes[where] for note, names in told.items() if (where := frozenset(names)) in scopes}
        titles: dict[str, tuple[str, ...]] = {}
        cells: dict[tuple[str, int], str] = {}
        marks: dict[str, str] = {}
        for row in self.rows:
            whole = _row_notes(row)
            for note in whole:
                if note not in common:
                    marks.setdefault(note, _letters(len(marks)))
            titles[row.name] = tuple(marks[note] for note in whole if note not in common)
            for position, cell in enumerate(row.cells):
                if cell is not None and cell.note and cell.note not in whole:
                    cells[row.name, position] = marks.setdefault(cell.note, _letters(len(marks)))
        remarks = tuple(f"{scope}: {note.rstrip('.')}." for note, scope in common.items())
        return Footnotes(remarks, marks, titles, cells)

    def numbers(self) -> list[Cell]:
        """The cells that have a number."""
        return [cell for row in self.rows for cell in row.cells if cell is not None and cell.pooled is not None]

    def best(self, position: int) -> frozenset[str]:
        """The names of the rows whose number in a column is printed bold: those equal, as printed, to the best.

        Reference rows take no part, nor do numbers that lack a fold which other rows of the column have; without a
        second number there is nothing to be best of.
        """
        column = self.columns[position]
        cells = {row.name: cell for row in self.rows if row.group != "reference" and (cell := row.cells[position])}
        everything = {fold for cell in cells.values() for fold in cell.folds}
        values = {
            name: round(cell.pooled, column.decimals)
            for name, cell in cells.items()
            if cell.pooled is not None and set(cell.folds) == everything
        }
        if len(values) < 2:
            return frozenset()
        best = column.best(list(values.values()))
        return frozenset(name for name, value in values.items() if value == best)


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
            [_cell("comparison", record, result, column, beside_paper) for column in columns],
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


def comparison_columns(
    protocol: Protocol, convention: Convention, metrics: Sequence[Metric] = ()
) -> tuple[Column, ...]:
    """The metrics of Table 1 or 2, recognition and image quality, and after them those that were added."""
    return (
        *_recognition_columns(protocol.dataset, "Performance"),
        Column(protocol.dataset, "Image quality", "lpips", "LPIPS ↓", 4, min),
        Column(protocol.dataset, "Image quality", "psnr", "PSNR ↑", 2, max, convention),
        Column(protocol.dataset, "Image quality", "ssim", "SSIM ↑", 4, max, convention),
        *(_column(protocol.dataset, "Image quality", metric) for metric in metrics),
    )


def _column(dataset: str, heading: str, metric: Metric) -> Column:
    arrow, best = ("↑", max) if metric.better == "higher" else ("↓", min)
    return Column(dataset, heading, metric.name, f"{metric.title} {arrow}", metric.decimals, best)


def cells(record: Record, results: Results, columns: Sequence[Column]) -> tuple[Cell | None, ...]:
    """The numbers of a row that stands in no table, as they would stand there; None where a metric does not apply."""
    return tuple(_cell("comparison", record, results, column, False) for column in columns)


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
        [*_recognition_columns(*where), *(_column(*where, metric) for metric in record.metrics())]
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
                    _cell(kind, record, mine[name], column, beside_paper)
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


def blocks(table: Table) -> list[tuple[str, list[TableRow]]]:
    """The rows in blocks that a rule parts from each other, each with its label ("" for none)."""
    if table.kind == "ablation":
        return [("", list(table.rows))]
    labels = {
        "reference": "",
        "none": "",
        "gan": "GAN-based",
        "diffusion": "Diffusion-based",
        "given": "Images by others",
    }
    return [(label, list(rows)) for label, rows in groupby(table.rows, key=lambda row: labels[row.group])]


def _printed_order(kind: Kind, results: Sequence[Results]) -> list[Results]:
    """The paper's order; other methods follow in their group as they were run."""
    groups = {"nir-only": 0, "none": 1, "reference": 2, "gan": 3, "diffusion": 4, "given": 5}

    def place(result: Results) -> tuple[int, int]:
        row = result.row
        group = 0 if kind == "ablation" else groups.get(row.name, groups[row.group])
        return group, paper.printed_position(kind, row.name)

    return sorted(results, key=place)


def _recognition_columns(dataset: str, heading: str) -> tuple[Column, Column]:
    return (
        Column(dataset, heading, "accuracy", "Acc (%)", 2, max),
        Column(dataset, heading, "macro_f1", "F1 (%)", 2, max),
    )


def _row(row: Row, title: str, cells: Sequence[Cell | None]) -> TableRow:
    return TableRow(row.name, title, row.group, row.heterogeneous, row.stamps, tuple(cells))


def _cell(kind: Kind, record: Record, results: Results, column: Column, beside_paper: bool) -> Cell | None:
    outcomes, measure = _measured(results, column, record.protocol.classes)
    if not outcomes and column.metric in RECOGNITION and record.protocol.extra is None:
        return Cell(note=record.protocol.without_extra, trainings=0)
    if not outcomes and column.metric in RECOGNITION and results.row.group == "given":
        why = "no images of the extra set were given; nferbench score --pred-extra adds these numbers"
        return Cell(note=why, trainings=0)
    if not outcomes:
        return None
    published = None
    if beside_paper and column.convention in ("", paper.CONVENTION):
        published = paper.published_value(kind, record.protocol.own_name(), results.row.name, column.metric)
    found = {fold: outcome for fold, outcome in sorted(outcomes.items()) if not isinstance(outcome, Missing)}
    note = lacking(outcomes, record.protocol.folds)
    behind = trainings(results) if column.metric in RECOGNITION else None
    if not found:
        return Cell(note=note, published=published, trainings=behind)
    with np.errstate(invalid="ignore"):  # identical images have an infinite PSNR, and infinity no deviation
        spread = over_folds([measure(frame) for frame in found.values()])
    pooled = measure(pd.concat(list(found.values())))
    std = spread.sd if math.isfinite(spread.sd) else None
    return Cell(pooled, spread.mean, std, tuple(found), note, published, trainings=behind)


def _measured(results: Results, column: Column, classes: Sequence[str]) -> tuple[Mapping[int, Outcome], Measure]:
    if column.metric in RECOGNITION:
        share = accuracy if column.metric == "accuracy" else macro_f1
        return results.predictions, lambda frame: _over_seeds(frame, lambda one: 100 * share(_confusion(one, classes)))
    score = f"{column.metric}_paper" if column.convention == "paper" else column.metric
    return results.scores[score], lambda frame: float(frame[score].mean())


def _over_seeds(frame: pd.DataFrame, measure: Measure) -> float:
    """The mean of what each training of the recogniser scores by itself."""
    return float(np.mean([measure(one) for _, one in frame.groupby(SEED)]))


def _confusion(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(classes)}
    true, predicted = ([index[each] for each in frame[name].tolist()] for name in ("expression", PREDICTED))
    return confusion_matrix(true, predicted, len(classes))


def lacking(outcomes: Mapping[int, Outcome], planned: int) -> str:
    """Which folds are missing and why, equal reasons told once; "" where all planned folds have a result."""
    reasons: dict[str, list[int]] = {}
    everything = sorted(set(outcomes) | set(range(planned)))
    for fold in everything:
        outcome = outcomes.get(fold, Missing("not part of the run"))
        if isinstance(outcome, Missing):
            reason = re.sub(rf"-fold{fold}\b", "", outcome.reason)  # the note names the fold; equal reasons meet
            reasons.setdefault(reason, []).append(fold)
    if not reasons:
        return ""
    behind = len(everything) - sum(len(folds) for folds in reasons.values())
    why = "; ".join(
        (reason if len(folds) == len(everything) else f"fold{'s'[: len(folds) > 1]} {_listed(folds)}: {reason}")
        for reason, folds in reasons.items()
    )
    return f"{behind or 'none'} of {len(everything)} folds: {why}"


def _listed(folds: Sequence[int]) -> str:
    return ", ".join(str(fold) for fold in folds)


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


def _row_notes(row: TableRow) -> tuple[str, ...]:
    """What holds for a row as a whole: its stamps, and the note that all of its cells have."""
    notes = {cell.note for cell in row.cells if cell is not None}
    return tuple(dict.fromkeys(filter(None, [*row.stamps, *(notes if len(notes) == 1 else ())])))


def _letters(i: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letters(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)
