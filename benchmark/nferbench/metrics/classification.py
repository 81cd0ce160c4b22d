"""Scores of expression recognition: from labels and predictions to accuracy, macro F1, recall and confusion.

Labels are class indices 0 .. classes-1. Pooled over folds means: score the joined labels and predictions of all folds;
per fold means: score each and give the values to `over_folds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nferbench.contract.errors import DataError


@dataclass(frozen=True)
class Spread:
    """A value per fold, summed up."""

    mean: float  # NaN where no fold has a value
    sd: float  # sample standard deviation (n - 1); NaN with fewer than two folds
    n: int  # folds that have a value


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts (classes, classes): row true class, column predicted class.

    Raises:
        DataError: the two differ in length, are empty, or hold something that is no class index.
    """
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.shape != predicted.shape or true.ndim != 1 or not len(true):
        raise DataError(f"labels {true.shape} and predictions {predicted.shape} must be equally long and not empty")
    for name, values in (("labels", true), ("predictions", predicted)):
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() >= classes:
            raise DataError(f"{name} must be integers from 0 to {classes - 1}, but hold {np.unique(values).tolist()}")
    counts = np.bincount(true.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """The share of predictions that are right, in [0, 1]."""
    return float(np.trace(confusion) / confusion.sum())


def per_class_recall(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each true class that is recognised, (classes,) in [0, 1]; NaN for a class without faces."""
    return _ratio(np.diag(confusion), confusion.sum(axis=1), np.nan)


def per_class_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 = 2 TP / (2 TP + FP + FN) of each class, (classes,) in [0, 1].

    It is 0, not undefined, for a class that is neither present nor predicted.
    """
    return _ratio(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1), 0.0)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """The plain mean of F1 over all classes, in [0, 1]: rare expressions weigh as much as frequent ones."""
    return float(per_class_f1(confusion).mean())


def over_folds(values: Sequence[float]) -> Spread:
    """Mean and standard deviation over folds; a NaN marks a fold without a value and is left out."""
    known = np.asarray([value for value in values if not np.isnan(value)], dtype=np.float64)
    mean = float(known.mean()) if len(known) else float("nan")
    sd = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return Spread(mean=mean, sd=sd, n=len(known))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64], undefined: float) -> NDArray[np.float64]:
    out = np.full(len(part), undefined, dtype=np.float64)
    return np.divide(part, whole, out=out, where=whole > 0)
