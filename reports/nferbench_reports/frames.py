"""What a workspace measured as long frames, one fact a line, for figures and tests of one's own.

Every frame begins with `record` (what the record is chosen by), `dataset`, `method` (the name of a row), `title`,
`group` ("reference", "none", "gan", "diffusion" or "given") and `study` (empty for rows of none). Results that do not
exist have no line; `missing` says which and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from nferbench_reports.columns import comparison_columns
from nferbench_reports.results import SCORE, SEED, Missing, Outcome, Results
from nferbench_reports.runs import Run
from nferbench_reports.table import Column
from nferbench_reports.table_cells import cells as table_cells

ROW = ("record", "dataset", "method", "title", "group", "study")
CELLS = (*ROW, "metric", "convention", "pooled", "mean", "std", "folds", "planned")
SCORES = (*ROW, "fold", "id", "subject", "expression", "metric", "convention", "value")
PREDICTIONS = (*ROW, "fold", "training", "id", "subject", "expression", "predicted")
MISSING = (*ROW, "metric", "convention", "fold", "reason")

_PAPER = "_paper"  # behind the names of PSNR and SSIM in the convention of the published values


def cells(runs: Sequence[Run]) -> pd.DataFrame:
    """The numbers of the tables, one a line, in `CELLS`, PSNR and SSIM in both conventions.

    Accuracy and macro F1 are percentages. `pooled` is over the test images of all `folds` that have a result, of
    `planned` ones; `mean` and `std` (with n - 1) are over these folds. A number of fewer folds than planned is another
    one than that of all.
    """
    lines = []
    for run, one in _rows(runs):
        for column, cell in zip(_columns(run), table_cells(run.record, one, _columns(run)), strict=True):
            if cell is not None and cell.pooled is not None:
                numbers = (cell.pooled, cell.mean, cell.std, len(cell.folds), run.record.protocol.folds)
                lines.append((*_row(run, one).values(), column.metric, column.convention, *numbers))
    return pd.DataFrame(lines, columns=list(CELLS)).astype({"pooled": float, "mean": float, "std": float})


def scores(runs: Sequence[Run]) -> pd.DataFrame:
    """What each translated test image scored, a line an image and metric, in `SCORES`.

    `value` is NaN where the real face gave a metric nothing to measure by, which is so for all rows.
    """
    found = [
        _labelled(frame, run, one, fold).assign(metric=metric, convention=convention).rename(columns={score: "value"})
        for run, one in _rows(runs)
        for score, outcomes in one.scores.items()
        for metric, convention in [_metric(score)]
        for fold, frame in _found(outcomes)
    ]
    return _together(found, SCORES).astype({"value": float})


def predictions(runs: Sequence[Run]) -> pd.DataFrame:
    """What recognisers took each test image for, a line an image and training, in `PREDICTIONS`.

    Behind these stand columns `score:<class>`, numbers, if any of the recognisers gave scores; NaN for the others.
    """
    found = []
    for run, one in _rows(runs):
        for fold, frame in _found(one.predictions):
            found.append(_labelled(frame, run, one, fold).rename(columns={SEED: "training"}))
    given = dict.fromkeys(name for frame in found for name in frame.columns if name.startswith(SCORE))
    return _together(found, (*PREDICTIONS, *given))


def missing(runs: Sequence[Run]) -> pd.DataFrame:
    """The results that do not exist, a line a row, fold and measure, with the reason, in `MISSING`.

    `metric` is "recognition" for predictions. What does not apply to a row, such as the image quality of one that
    translates nothing, is not missing.
    """
    lines = [
        (*_row(run, one).values(), *_metric(name), fold, outcome.reason)
        for run, one in _rows(runs)
        for name, outcomes in (("recognition", _recognition(run, one)), *one.scores.items())
        if outcomes
        for fold in sorted({*outcomes, *range(run.record.protocol.folds)})
        for outcome in [outcomes.get(fold, Missing("not part of the run"))]
        if isinstance(outcome, Missing)
    ]
    return pd.DataFrame(lines, columns=list(MISSING))


def _recognition(run: Run, one: Results) -> Mapping[int, Outcome]:
    """The predictions of a row; where it has none on any fold, the reason that stands in the table, if there is one."""
    if one.predictions:
        return one.predictions
    accuracy = next(column for column in _columns(run) if column.metric == "accuracy")
    (cell,) = table_cells(run.record, one, [accuracy])
    return {} if cell is None else {fold: Missing(cell.note) for fold in range(run.record.protocol.folds)}


def _rows(runs: Sequence[Run]) -> Iterator[tuple[Run, Results]]:
    return ((run, one) for run in runs for one in run.results)


def _row(run: Run, one: Results) -> dict[str, Any]:
    row = one.row
    study = row.study.name if row.study else ""
    return dict(zip(ROW, (run.name, run.record.protocol.dataset, row.name, row.title, row.group, study), strict=True))


def _columns(run: Run) -> tuple[Column, ...]:
    columns = comparison_columns(run.record.protocol, "standard", run.record.metrics())
    paper = comparison_columns(run.record.protocol, "paper")
    return (*columns, *(column for column in paper if column.convention == "paper"))


def _metric(score: str) -> tuple[str, str]:
    """The metric and the convention of a score."""
    if score in ("psnr", "ssim"):
        return score, "standard"
    if score in (f"psnr{_PAPER}", f"ssim{_PAPER}"):
        return score.removesuffix(_PAPER), "paper"
    return score, ""


def _found(outcomes: Mapping[int, Outcome]) -> Iterator[tuple[int, pd.DataFrame]]:
    return ((fold, outcome) for fold, outcome in sorted(outcomes.items()) if not isinstance(outcome, Missing))


def _labelled(frame: pd.DataFrame, run: Run, one: Results, fold: int) -> pd.DataFrame:
    return frame.assign(**_row(run, one), fold=fold)


def _together(found: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    if not found:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(found, ignore_index=True).reindex(columns=list(columns))
