"""The means that an update is given: the largest piece that fits, computing anew last."""

from __future__ import annotations

import pytest

from nferbench.engine.choosing import chosen, pieces
from nferbench.engine.means import Means


def peak(means: Means) -> float:
    """10 bytes, and 8 a row, of which computing anew keeps 2."""
    return 10 + means.piece * (2 if means.recompute else 8)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (138, Means(16)),
        (137, Means(8)),
        (42, Means(4)),
        (18, Means(1)),
        (17, Means(2, recompute=True)),
        (12, Means(1, recompute=True)),
        (0, Means(1, recompute=True)),  # nothing fits: what takes least
    ],
)
def test_the_largest_piece_that_fits_is_taken_and_computing_anew_last(room: float, expected: Means) -> None:
    assert chosen(16, room, peak, divisible=True, recomputable=True, piece=None) == expected


def test_what_a_learner_cannot_do_is_not_chosen() -> None:
    assert chosen(16, 50, peak, divisible=False, recomputable=True, piece=None) == Means(16, recompute=True)
    assert chosen(16, 50, peak, divisible=True, recomputable=False, piece=None) == Means(4)
    assert chosen(16, 50, peak, divisible=False, recomputable=False, piece=None) == Means(16)


def test_a_piece_that_was_asked_for_is_kept_to() -> None:
    assert chosen(16, 1000, peak, divisible=True, recomputable=True, piece=2) == Means(2)
    assert chosen(16, 20, peak, divisible=True, recomputable=True, piece=3) == Means(3, recompute=True)
    assert chosen(2, 1000, peak, divisible=True, recomputable=True, piece=9) == Means(2)


def test_a_batch_is_halved_down_to_one_row() -> None:
    assert pieces(12) == [12, 6, 3, 2, 1]
    assert pieces(1) == [1]


def test_no_more_is_asked_than_needed() -> None:
    asked = []

    def noted(means: Means) -> float:
        asked.append(means)
        return peak(means)

    chosen(16, 80, noted, divisible=True, recomputable=True, piece=None)
    assert asked == [Means(16), Means(8)]
