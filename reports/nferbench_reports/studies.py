"""Studies as values: what one method reached with each value of one of its fields, before anyone draws or writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from nferbench.contract.printable import Plain, plain
from nferbench_reports import bootstrap
from nferbench_reports.columns import Convention, comparison_columns
from nferbench_reports.record import Record, Varied
from nferbench_reports.results import Results
from nferbench_reports.significance import per_image
from nferbench_reports.table import Cell, Column
from nferbench_reports.table_cells import cells

COLUMNS = (
    *("dataset", "study", "method", "field", "value", "metric", "convention"),
    *("pooled", "low", "high", "folds", "subjects", "images"),
)
METRICS = {"lpips": "LPIPS", "psnr": "PSNR", "ssim": "SSIM", "accuracy": "accuracy"}  # in the order that is shown
REFERENCES = ("none", "cond")  # rows that are shown beside every study where there are results of them


@final
@dataclass(frozen=True)
class Point:
    """One row in one metric."""

    value: Plain
    cell: Cell
    interval: tuple[float, float] | None  # over subjects; None where there is none
    subjects: int  # behind the number
    images: int

    @property
    def height(self) -> float | None:
        """The pooled number, where it can be drawn."""
        return None if self.cell.pooled is None or not math.isfinite(self.cell.pooled) else self.cell.pooled


@final
@dataclass(frozen=True)
class Study:
    """The rows that differ in one field alone."""

    name: str
    method: str
    field: str
    default: Plain  # what the method itself has there
    held: tuple[str, ...]  # what else differs from the method, in words
    curves: tuple[tuple[Point, ...], ...]  # by metric as in `METRICS`, then by value
    stamps: Mapping[str, tuple[Plain, ...]]  # what must be known of how numbers were made, and at which values
    strangers: tuple[str, ...]  # rows of this study that were run with other settings, and are no part of its curves


@final
@dataclass(frozen=True)
class Reference:
    """A row that does not vary."""

    title: str
    cells: tuple[Cell | None, ...]  # by metric as in `METRICS`


@final
@dataclass(frozen=True)
class Studies:
    """All studies of a record."""

    dataset: str
    columns: tuple[Column, ...]  # by metric as in `METRICS`
    studies: tuple[Study, ...]
    references: tuple[Reference, ...]
    averaged: str  # how many trainings stand behind each number of recognition, as the end of a sentence

    def measured(self) -> list[int]:
        """The positions of the metrics of which a study has a number to draw."""
        return [
            i for i in range(len(self.columns)) if any(p.height is not None for s in self.studies for p in s.curves[i])
        ]

    def lacks(self, metric: int, cell: Cell) -> bool:
        """Whether a number lacks folds that another one of its metric has."""
        return not {fold for s in self.studies for p in s.curves[metric] for fold in p.cell.folds} <= set(cell.folds)


def read_studies(record: Record, results: Sequence[Results], convention: Convention) -> Studies | None:
    """The studies of a record, in the order of its rows; None where it has no row of a study."""
    groups: dict[str, list[tuple[Varied, Results]]] = {}
    for one in results:
        if one.row.study is not None:
            groups.setdefault(one.row.study.name, []).append((one.row.study, one))
    if not groups:
        return None
    known = {column.metric: column for column in comparison_columns(record.protocol, convention)}
    columns = tuple(known[metric] for metric in METRICS)
    references = [
        Reference(one.row.title, cells(record, one, columns))
        for name in REFERENCES
        for one in results
        if one.row.name == name
    ]
    studies = tuple(_study(record, group, columns, convention) for group in groups.values())
    return Studies(record.protocol.dataset, columns, studies, tuple(references), record.protocol.averaged())


def studies_frame(records: Sequence[Studies]) -> pd.DataFrame:
    """All points, one a line, in `COLUMNS`; accuracy is a percentage, and `folds` 0 where there is no number yet."""
    lines = [
        (
            *(one.dataset, study.name, study.method, study.field, plain(point.value), column.metric, column.convention),
            *(point.cell.pooled, *(point.interval or (None, None))),
            *(len(point.cell.folds), point.subjects, point.images),
        )
        for one in records
        for study in one.studies
        for column, curve in zip(one.columns, study.curves, strict=True)
        for point in curve
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype({"pooled": float, "low": float, "high": float})


def caption(studies: Studies) -> str:
    """How to read the figure, in sentences."""
    drawn = [[p for s in studies.studies for p in s.curves[i] if p.height is not None] for i in studies.measured()]
    people = _range([point.subjects for points in drawn for point in points])
    images: dict[str, list[str]] = {}
    for i, points in zip(studies.measured(), drawn, strict=True):
        images.setdefault(_range([point.images for point in points]), []).append([*METRICS.values()][i])
    counts = "; ".join(f"{', '.join(names)}: {count} images" for count, names in images.items())
    convention = next(column.convention for column in studies.columns if column.convention)
    across = "; level lines: " + ", ".join(one.title for one in studies.references) if studies.references else ""
    return (
        f"One column a study, one marker a row: the number pooled over the test images of {people} subjects "
        f"({counts}), and its {bootstrap.LEVEL} % interval over subjects (bootstrap, {bootstrap.DRAWS:,} draws, "
        f"expanded percentiles). Grey upright line: what the method itself has{across}. Hollow: without folds that "
        f"others have. PSNR and SSIM: '{convention}' convention{studies.averaged}."
    )


def told(study: Study) -> list[str]:
    """What is varied and what is held, and what is missing in the curves and why, in sentences."""
    values = ", ".join(plain(point.value) for point in study.curves[0])
    held = f"held: {', '.join(study.held)}, and all else as {study.method} has it" if study.held else "held: all else"
    lines = [
        f"{study.name}: varied: {study.field} of {study.method}, {values}, where it has {plain(study.default)}; {held}."
    ]
    for stamp, stamped in study.stamps.items():
        where = f", {study.field} = {', '.join(map(plain, stamped))}" if len(stamped) < len(study.curves[0]) else ""
        lines.append(f"{study.name}{where}: {stamp}.")
    missing: dict[tuple[str, str], list[str]] = {}
    for title, curve in zip(METRICS.values(), study.curves, strict=True):
        reasons: dict[str, list[str]] = {}
        for point in curve:
            if reason := point.cell.note or ("" if point.height is not None else "infinite, so not drawn"):
                reasons.setdefault(reason, []).append(plain(point.value))
        for reason, at in reasons.items():
            missing.setdefault((reason, ", ".join(at)), []).append(title)
    for (reason, places), metrics in missing.items():
        which = "" if len(metrics) == len(METRICS) else f" ({', '.join(metrics)})"
        lines.append(f"{study.name}, {study.field} = {places}{which}: {reason}.")
    if study.strangers:
        lines.append(
            f"{study.name}: {', '.join(study.strangers)} left out, of a run with other settings than the newest; "
            f"nferbench run --methods {study.name} makes all rows alike."
        )
    return lines


def _study(
    record: Record, group: Sequence[tuple[Varied, Results]], columns: Sequence[Column], convention: Convention
) -> Study:
    first, _ = group[0]  # of the newest run
    mine = [(varied, one) for varied, one in group if varied.rest == first.rest and varied.field == first.field]
    mine.sort(key=lambda each: _place(each[0].value))
    stamps = {stamp: tuple(varied.value for varied, one in mine if stamp in one.row.stamps) for stamp in _stamps(mine)}
    measured = [(varied.value, one, cells(record, one, columns)) for varied, one in mine]
    return Study(
        first.name,
        first.method,
        first.field,
        first.default,
        first.held,
        tuple(
            tuple(_point(record, value, one, column, row[i], convention) for value, one, row in measured)
            for i, column in enumerate(columns)
        ),
        stamps,
        tuple(one.row.name for _, one in group if one.row.name not in {own.row.name for _, own in mine}),
    )


def _stamps(group: Sequence[tuple[Varied, Results]]) -> list[str]:
    return list(dict.fromkeys(stamp for _, one in group for stamp in one.row.stamps))


def _point(
    record: Record, value: Plain, results: Results, column: Column, cell: Cell | None, convention: Convention
) -> Point:
    images = per_image(results, column.metric, convention)
    trainings = record.protocol.fer_seeds if column.metric == "accuracy" else 1  # each has a line for each image
    return Point(
        value,
        cell or Cell(note="not measured"),
        _interval(images),
        images["subject"].nunique(),
        len(images) // trainings,
    )


def _interval(images: pd.DataFrame) -> tuple[float, float] | None:
    people = images.groupby("subject")["value"].agg(["sum", "count"]).to_numpy(dtype=float)
    low, high = bootstrap.interval_of_pooled(*people.T)
    return None if np.isnan(low) else (low, high)


def _place(value: Plain) -> tuple[int, float]:
    """Numbers by size, then everything else as it came."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 1, 0.0
    return 0, float(value)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"
