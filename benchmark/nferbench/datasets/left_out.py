"""Counting what was left out, by reason."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from nferbench.contract.dataset import Dropped


def counted(dropped: Iterable[Dropped]) -> list[str]:
    """One line for each reason, with how often it occurred and the first case; the most frequent reason first.

    >>> counted([Dropped("a.png", "black"), Dropped("b.png", "black"), Dropped("c.png", "empty file")])
    ['2 left out: black (such as a.png)', '1 left out: empty file (c.png)']
    """
    cases: dict[str, list[str]] = defaultdict(list)
    for drop in dropped:
        cases[drop.reason].append(drop.what)
    return [
        f"{len(whats)} left out: {reason} ({'such as ' if len(whats) > 1 else ''}{whats[0]})"
        for reason, whats in sorted(cases.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def by_kind(reasons: Iterable[str]) -> dict[str, int]:
    """How often each kind of reason occurs, the most frequent first; what is said of a single file is cut off.

    >>> by_kind(["black (mean level below 10 of 255)", "not an image; JPEG, PNG are read", "not an image"])
    {'not an image': 2, 'black': 1}
    """
    kinds = Counter(re.sub(r" \(.*\)", "", reason.partition(";")[0]) for reason in reasons)
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
