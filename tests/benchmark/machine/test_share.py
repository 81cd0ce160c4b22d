"""Workers on one GPU plan with their share of its memory."""

from __future__ import annotations

import pytest

from nferbench.machine.share import budget

GB = 10**9


@pytest.mark.parametrize(
    ("total", "free", "sharing", "expected"),
    [
        (24 * GB, 23 * GB, 1, 22_080_000_000),
        (24 * GB, 23 * GB, 2, 11_040_000_000),
        (24 * GB, 5 * GB, 2, 5 * GB),  # the other has more than its share already
        (24 * GB, 0, 1, 0),
    ],
)
def test_a_share_is_what_is_free_and_no_more_than_fair(total: int, free: int, sharing: int, expected: int) -> None:
    assert budget(total, free, sharing) == expected


def test_all_shares_together_fit() -> None:
    assert sum(budget(24 * GB, 24 * GB, 7) for _ in range(7)) <= 24 * GB
