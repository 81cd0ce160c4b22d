"""What the recognisers of each row answered: expression by expression, as confusions, and subject by subject."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench.contract.printable import one_line
from nferbench.metrics.classification import per_class_f1, per_class_recall
from nferbench_reports.answers import NAMES, Answered, compared_with, shared_folds
from nferbench_reports.results import PREDICTED, SEED
from nferbench_reports.significance import BASE

ITSELF = "itself"
WITHOUT = "without translation"
UNITS = ("percent", "faces")
CLASS = "predicted:"  # and a class: a column of a confusion


def per_expression(found: Sequence[Answered]) -> pd.DataFrame:
    """Recall, precision and F1 of each expression, in percent, a line for each row and expression.

    Each is of all folds together, and the mean of what each training gives by itself, as in the tables. `recall_gain`
    and `f1_gain` are the differences from the row "without translation" over the `shared_folds` folds that both have.
    NaN where there is no number: recall of an expression that no face shows, precision of one that a training never
    predicts, all of a row that has no fold.
    """
    lines: list[dict[str, Any]] = []
    for one in found:
        base = next(iter(compared_with(found, one, [BASE])), None)
        shared = shared_folds(one, base) if base else []
        mine = _scores(one, [*one.counts])
        gains = {}
        if base and base is not one:
            pair = [_scores(each, shared) for each in (one, base)]
            gains = {f"{name}_gain": _minus(pair[0][name], pair[1][name]) for name in ("recall", "f1")}
        support = one.pooled([*one.counts])[:1].sum(axis=(0, 2))  # each training is tested on the same faces
        for i, expression in enumerate(one.protocol.classes):
            lines.append(
                {
                    **one.named(),
                    "expression": expression,
                    "support": int(support[i]),
                    **{name: values[i] for name, values in (mine | gains).items()},
                    "folds": len(one.counts),
                    "shared_folds": len(shared),
                    "trainings": one.trainings(),
                }
            )
    measured = ("recall", "precision", "f1", "recall_gain", "f1_gain")
    columns = [*NAMES, "expression", "support", *measured, "folds", "shared_folds", "trainings"]
    return pd.DataFrame(lines, columns=columns).astype(dict.fromkeys(measured, float))


def confusions(found: Sequence[Answered], against: Sequence[str]) -> pd.DataFrame:
    """Confusion matrices, a line for each row of the tables and true expression; columns "predicted:<class>".

    Both in percent of the faces of the true expression and in faces, of all folds together, averaged over trainings;
    once as they are, and once minus those of each row in `against`, over the folds that both have. Classes that a data
    set does not have are NaN, as is a difference without a fold that both have.

    Args:
        found: all rows; those without predictions have no matrix.
        against: names of rows.
    """
    lines = [
        {
            **one.named(),
            "against": other.method if other else "",
            "unit": unit,
            "shown": f"{_shown(other)}, {unit}",
            "expression": expression,
            "folds": len(folds),
            **{f"{CLASS}{name}": value for name, value in zip(one.protocol.classes, values, strict=True)},
        }
        for one in found
        if one.counts
        for unit in UNITS
        for other in (None, *compared_with(found, one, against))
        for folds in (shared_folds(one, other or one),)
        for expression, values in zip(one.protocol.classes, _confusion(unit, folds, one, other), strict=True)
    ]
    classes = dict.fromkeys(f"{CLASS}{name}" for one in found for name in one.protocol.classes)
    return pd.DataFrame(lines, columns=[*NAMES, "against", "unit", "shown", "expression", "folds", *classes])


def per_subject(found: Sequence[Answered]) -> pd.DataFrame:
    """The accuracy of each subject in percent, beside that without translation; those who gain most come first.

    Of the folds that a row and "without translation" both have, averaged over trainings; `faces` are the test faces of
    a subject.
    """
    tables = []
    for one in found:
        for base in compared_with(found, one, [BASE]):
            folds = shared_folds(one, base)
            if base is one or not folds:
                continue
            mine, theirs = (_accuracies(each.frame(folds)) for each in (one, base))
            both = mine.join(theirs["accuracy"].rename("without"), how="inner")
            both["gain"] = _minus(*(both[name].to_numpy(np.float64) for name in ("accuracy", "without")))
            both = both.sort_index().sort_values("gain", ascending=False, kind="stable").reset_index()
            tables.append(both.assign(**one.named(), subject=both["subject"].map(one_line)))
    columns = [*NAMES, "subject", "faces", "accuracy", "without", "gain"]
    return pd.concat(tables)[columns].reset_index(drop=True) if tables else pd.DataFrame(columns=columns)


def _minus(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    # What is nothing in exact arithmetic shall not look like more or less than nothing.
    return (one - other).round(9) + 0.0


def _scores(one: Answered, folds: Collection[int]) -> dict[str, NDArray[np.float64]]:
    """Recall, precision and F1 by class, in percent; NaN without a fold."""
    if not folds:
        return dict.fromkeys(("recall", "precision", "f1"), np.full(len(one.protocol.classes), np.nan))
    counts = one.pooled(folds)
    # Precision is the recall of what was predicted: rows and columns change places.
    by_training = {
        "recall": [per_class_recall(each) for each in counts],
        "precision": [per_class_recall(each.T) for each in counts],
        "f1": [per_class_f1(each) for each in counts],
    }
    return {name: 100 * np.mean(values, axis=0) for name, values in by_training.items()}


def _shown(other: Answered | None) -> str:
    if other is None:
        return ITSELF
    return f"minus {WITHOUT if other.method == BASE else other.title}"


def _confusion(unit: str, folds: Sequence[int], one: Answered, other: Answered | None) -> NDArray[np.float64]:
    """A confusion matrix, or the difference of two; NaN without a fold, and in percent without a face of a class."""
    if other is not None:
        return _minus(_confusion(unit, folds, one, None), _confusion(unit, folds, other, None))
    faces = one.pooled(folds).mean(axis=0) if folds else np.full((len(one.protocol.classes),) * 2, np.nan)
    with np.errstate(invalid="ignore"):
        return 100 * faces / faces.sum(axis=1, keepdims=True) if unit == "percent" else faces


def _accuracies(frame: pd.DataFrame) -> pd.DataFrame:
    """By subject: accuracy in percent, and the test faces."""
    right = frame.assign(accuracy=100.0 * (frame["expression"] == frame[PREDICTED]))
    faces = right[right[SEED] == right[SEED].min()].groupby("subject").size()
    return pd.DataFrame({"accuracy": right.groupby("subject")["accuracy"].mean(), "faces": faces})
