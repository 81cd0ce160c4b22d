"""What stands in the cells of a table: pooled numbers, means over folds, and why something is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench.metrics.classification import accuracy, confusion_matrix, macro_f1, over_folds
from nferbench_reports import paper
from nferbench_reports.record import RECOGNITION, Record
from nferbench_reports.results import PREDICTED, SEED, Missing, Outcome, Results, trainings
from nferbench_reports.table import Cell, Column, Kind

Measure = Callable[[pd.DataFrame], float]


def cells(record: Record, results: Results, columns: Sequence[Column]) -> tuple[Cell | None, ...]:
    """The numbers of a row that stands in no table, as they would stand there; None where a metric does not apply."""
    return tuple(measured_cell("comparison", record, results, column, False) for column in columns)


def measured_cell(kind: Kind, record: Record, results: Results, column: Column, beside_paper: bool) -> Cell | None:
    """The number of a row in a column of a table; None where the metric does not apply to the row.

    Args:
        kind: of the table, by which the paper's numbers are found.
        record: of the row.
        results: what the row measured.
        column: one of the record's.
        beside_paper: put the published value beside ours.
    """
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
