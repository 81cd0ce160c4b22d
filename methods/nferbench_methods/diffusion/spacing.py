"""Which steps a shortened schedule keeps: the first, the last, and evenly spaced ones between them.

Step k of the shortened schedule lies at k (n - 1) / (steps - 1) of the n that there are, rounded to a whole step. Where
that is half-way between two steps, the last bits of the computation decide; hence two ways of computing it. Settings
are checked while planning, so nothing here needs torch.
"""

from __future__ import annotations

from itertools import accumulate, repeat


def accumulated(available: int, steps: int) -> list[int]:
    """The steps of the authors' code of Nichol & Dhariwal 2021, which adds the stride up; ILVR and T2V-DDPM run it.

    Args:
        available: steps of the whole schedule, n.
        steps: of the shortened one, 2 to n.
    """
    stride = (available - 1) / (steps - 1)
    return [round(place) for place in accumulate(repeat(stride, steps - 1), initial=0.0)]


def nearest(available: int, steps: int) -> list[int]:
    """The nearest steps, counted from both ends; for methods whose authors always take all, so that none is right.

    Args:
        available: steps of the whole schedule, n.
        steps: of the shortened one, 2 to n.
    """
    last, stride = available - 1, (available - 1) / (steps - 1)
    return [round(stride * k if k < steps // 2 else last - stride * (steps - 1 - k)) for k in range(steps)]


def rounding_of(available: int, steps: int, used: int) -> int:
    """Which results belong to a method that keeps `accumulated` steps and once kept the `nearest`.

    Args:
        available: steps of the whole schedule, n.
        steps: of the shortened one, 2 to n.
        used: how many of those count, cleanest first.

    Returns:
        1 where both ways keep the same steps, so that the results from then still hold; else 2.
    """
    return 1 if accumulated(available, steps)[:used] == nearest(available, steps)[:used] else 2
