"""Accuracy, recall and F1 against a confusion matrix worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nferbench.contract.errors import DataError
from nferbench.metrics.classification import (
    Spread,
    accuracy,
    confusion_matrix,
    macro_f1,
    over_folds,
    per_class_f1,
    per_class_recall,
)

# Three classes, ten faces. Class 0: three of four right, one taken for 1. Class 1: two of three right, one taken for 0.
# Class 2: one of three right, one taken for 0, one for 1.
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
PREDICTIONS = [0, 0, 0, 1, 1, 1, 0, 2, 0, 1]
CONFUSION = [[3, 1, 0], [1, 2, 0], [1, 1, 1]]


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    assert confusion_matrix(LABELS, PREDICTIONS, 3).tolist() == CONFUSION


def test_scores_of_the_worked_example() -> None:
    confusion = np.array(CONFUSION)
    assert accuracy(confusion) == pytest.approx(6 / 10)
    assert per_class_recall(confusion).tolist() == pytest.approx([3 / 4, 2 / 3, 1 / 3])
    # precision 3/5, 2/4, 1/1 with the recalls above
    assert per_class_f1(confusion).tolist() == pytest.approx([2 / 3, 4 / 7, 1 / 2])
    assert macro_f1(confusion) == pytest.approx((2 / 3 + 4 / 7 + 1 / 2) / 3)


def test_a_class_that_is_never_present_nor_predicted_has_an_f1_of_zero_and_no_recall() -> None:
    confusion = confusion_matrix([0, 0, 1], [0, 0, 1], 3)
    assert per_class_f1(confusion).tolist() == [1.0, 1.0, 0.0]
    assert macro_f1(confusion) == pytest.approx(2 / 3)
    assert math.isnan(per_class_recall(confusion)[2])


def test_a_class_that_is_present_but_never_found_has_an_f1_and_a_recall_of_zero() -> None:
    confusion = confusion_matrix([0, 1, 1], [0, 0, 0], 2)
    assert per_class_f1(confusion).tolist() == pytest.approx([1 / 2, 0.0])
    assert per_class_recall(confusion).tolist() == [1.0, 0.0]


def test_macro_f1_weighs_a_rare_class_as_much_as_a_frequent_one() -> None:
    confusion = confusion_matrix([0] * 98 + [1, 1], [0] * 100, 2)
    assert accuracy(confusion) == pytest.approx(0.98)
    assert macro_f1(confusion) == pytest.approx(98 * 2 / 198 / 2)


def test_pooled_counts_differ_from_the_mean_of_folds_when_folds_differ_in_size() -> None:
    folds = [([0, 1], [0, 0]), ([0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1])]
    pooled = confusion_matrix(folds[0][0] + folds[1][0], folds[0][1] + folds[1][1], 2)
    spread = over_folds([accuracy(confusion_matrix(true, found, 2)) for true, found in folds])
    assert accuracy(pooled) == pytest.approx(7 / 8)
    assert spread.mean == pytest.approx(3 / 4)
    assert spread.sd == pytest.approx(math.sqrt(1 / 8))
    assert spread.n == 2


def test_folds_without_a_value_are_left_out_and_counted() -> None:
    assert over_folds([0.5, float("nan"), 0.7]) == Spread(mean=pytest.approx(0.6), sd=pytest.approx(0.02**0.5), n=2)
    one = over_folds([0.5])
    assert (one.mean, one.n) == (0.5, 1)
    assert math.isnan(one.sd)
    none = over_folds([float("nan")])
    assert none.n == 0
    assert math.isnan(none.mean)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0], "equally long"),
        ([], [], "not empty"),
        ([0, 3], [0, 1], "labels must be integers from 0 to 2"),
        ([0, 1], [0, -1], "predictions must be integers from 0 to 2"),
        ([0, 1], [0.5, 1.0], "predictions must be integers"),
    ],
)
def test_sequences_that_are_no_labels_are_refused(labels: list[int], predictions: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(labels, predictions, 3)
