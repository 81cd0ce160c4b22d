"""Do our results say what the paper's say? How alike methods rank, and which published values lie in our intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from nferbench_reports import bootstrap, paper
from nferbench_reports.columns import Convention, comparison_columns
from nferbench_reports.comparisons import run_titles
from nferbench_reports.record import Record
from nferbench_reports.results import PREDICTED, SEED, Missing, Results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Section, Sheet, Shown
from nferbench_reports.significance import per_image
from nferbench_reports.table import Column, Kind
from nferbench_reports.table_cells import cells

AGREEMENT = ("dataset", "table", "metric", "rows", "tau", "p")
PUBLISHED = (
    *("dataset", "table", "metric", "method", "method_name", "folds", "planned_folds", "subjects"),
    *("ours", "low", "high", "published", "difference", "inside"),
)

_TEXT = (
    f"Each number of ours is pooled over the test images as in the tables, with its {bootstrap.LEVEL} % interval "
    f"(subjects drawn with replacement, each with all images, {bootstrap.DRAWS:,} times; expanded percentiles). "
    "Inside: whether the published value lies in it. Intervals tell how other test subjects might have come out with "
    "the same networks; other trainings, crops or data move a number too, so a value outside is no proof of an error, "
    "and one inside none of a reproduction.",
    "Kendall's tau-b compares two rankings of the same rows: 1 where all pairs of rows stand in the same order, −1 "
    "where all are turned around. Its p is exact where no two values are equal, else asymptotic; with few rows even "
    "equal rankings have a large one: 0.33 at three rows, 0.08 at four.",
)


@final
@dataclass(frozen=True)
class Beside:
    """A number of ours beside the published one."""

    table: Kind
    metric: str  # as titled in the tables
    title: str  # of the row
    name: str
    folds: int  # that have a result
    planned: int
    subjects: int
    ours: float  # pooled over images; accuracy and macro F1 in percent
    low: float  # of its interval; NaN where a fold is missing and with fewer than two subjects
    high: float
    published: float


def beside(record: Record, results: Sequence[Results], convention: Convention) -> list[Beside]:
    """Each number of a record that the paper has too; PSNR and SSIM only in the paper's convention."""
    found = []
    kinds: tuple[Kind, ...] = ("comparison", "ablation")
    columns = comparison_columns(record.protocol, convention)
    for kind in kinds:
        for one in results:
            if kind not in one.row.tables:
                continue
            for column, cell in zip(columns, cells(record, one, columns), strict=True):
                value = paper.published_value(kind, record.protocol.own_name(), one.row.name, column.metric)
                if value is None or cell is None or cell.pooled is None or column.convention == "standard":
                    continue
                low, high = (float("nan"), float("nan")) if cell.note else _interval(record, one, column)
                subjects = per_image(one, _scored(column), convention)["subject"].nunique()
                title = paper.ablation_title(one.row.name, one.row.title) if kind == "ablation" else one.row.title
                numbers = (len(cell.folds), record.protocol.folds, subjects, cell.pooled, low, high, value)
                found.append(Beside(kind, column.title, title, one.row.name, *numbers))
    return found


def published_frame(runs: Sequence[Run], asked: Asked) -> pd.DataFrame:
    """Our numbers beside the published ones, in `PUBLISHED`; `inside` is "yes", "no", or "" without an interval."""
    lines = [
        (
            *(title, one.table, one.metric, one.title, one.name, one.folds, one.planned, one.subjects),
            *(one.ours, one.low, one.high, one.published, one.ours - one.published),
            "" if np.isnan(one.low) else "yes" if one.low <= one.published <= one.high else "no",
        )
        for run, title in zip(runs, run_titles(runs), strict=True)
        for one in beside(run.record, run.tabled(), asked.convention)
    ]
    return pd.DataFrame(lines, columns=list(PUBLISHED))


def agreement_frame(published: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau-b between our ranking and the paper's, in `AGREEMENT`, over the rows that have all folds.

    `tau` and `p` are NaN for fewer than two rows, and where all values of one side are equal.

    Args:
        published: in `PUBLISHED`.
    """
    from scipy.stats import kendalltau

    lines = []
    for (dataset, table, metric), rows in published.groupby(["dataset", "table", "metric"], sort=False):
        whole = rows[rows["folds"] == rows["planned_folds"]]
        tau, p = float("nan"), float("nan")
        if whole["ours"].nunique() > 1 and whole["published"].nunique() > 1:
            tau, p = kendalltau(whole["ours"], whole["published"])
        lines.append((dataset, table, metric, len(whole), float(tau), float(p)))
    return pd.DataFrame(lines, columns=list(AGREEMENT))


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """The section on the paper's numbers; None where nobody asked for them."""
    if not asked.paper:
        return None
    without = [
        title
        for run, title in zip(runs, run_titles(runs), strict=True)
        if run.record.protocol.own_name() not in paper.DATASETS
    ]
    said = [f"The paper has no numbers on {', '.join(without)}."] if without else []
    published = published_frame(runs, asked)
    if published.empty:
        if len(without) < len(runs):
            said.append("No row that the paper has too is measured yet.")
        return Section("agreement", "Beside the paper", tuple(said), ())
    if asked.convention != paper.CONVENTION:
        said.append(
            "The published PSNR and SSIM follow the other convention and are left out; "
            f"--convention {paper.CONVENTION} compares them."
        )
    partial = published[published["folds"] < published["planned_folds"]]
    notes = [
        f"{dataset}: folds are missing of {', '.join(rows['method'].unique())}: no interval there, and no part in the "
        "rankings."
        for dataset, rows in partial.groupby("dataset", sort=False)
    ]
    sheets = (
        Sheet("agreement", "Rankings", agreement_frame(published), _RANKINGS),
        Sheet("published", "Values", published, _VALUES, ("dataset", "table", "metric"), tuple(notes)),
    )
    return Section("agreement", "Beside the paper", (*_TEXT, *said), sheets)


_RANKINGS = (
    Shown("dataset", "Data set"),
    Shown("table", "Table"),
    Shown("metric", "Metric"),
    Shown("rows", "Rows"),
    Shown("tau", "Kendall's tau-b", 2, signed=True),
    Shown("p", "p", 4),
)
_VALUES = (
    Shown("method", "Method"),
    Shown("ours", "Ours", 3),
    Shown("low", "Low", 3),
    Shown("high", "High", 3),
    Shown("published", "Published", 3),
    Shown("difference", "Difference", 3, signed=True, shaded=True),
    Shown("inside", "Inside"),
    Shown("subjects", "Subjects"),
)


def _scored(column: Column) -> str:
    return "accuracy" if column.metric == "macro_f1" else column.metric  # both are of the same predictions


def _interval(record: Record, results: Results, column: Column) -> tuple[float, float]:
    if column.metric == "macro_f1":
        return _interval_of_f1(results, record.protocol.classes)
    convention: Convention = "paper" if column.convention == "paper" else "standard"
    images = per_image(results, column.metric, convention)
    people = images.groupby("subject")["value"].agg(["sum", "count"]).to_numpy(dtype=float)
    return bootstrap.interval_of_pooled(*people.T)


def _interval_of_f1(results: Results, classes: Sequence[str]) -> tuple[float, float]:
    """Of macro F1 in percent, pooled over images and averaged over trainings: the confusions of drawn subjects."""
    images = pd.concat([frame for frame in results.predictions.values() if not isinstance(frame, Missing)])
    index = {name: i for i, name in enumerate(classes)}
    people, person = np.unique(images["subject"], return_inverse=True)
    if len(people) < 2:
        return float("nan"), float("nan")
    counts = np.zeros((int(images[SEED].max()) + 1, len(classes), len(classes), len(people)))
    np.add.at(counts, (images[SEED], images["expression"].map(index), images[PREDICTED].map(index), person), 1)
    drawn = bootstrap.resampled(counts)  # (trainings, true, predicted, draws)
    right = np.diagonal(drawn, axis1=1, axis2=2).swapaxes(1, 2)
    whole = drawn.sum(axis=1) + drawn.sum(axis=2)
    f1 = np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0)
    return bootstrap.interval(100 * f1.mean(axis=(0, 1)), len(people))
