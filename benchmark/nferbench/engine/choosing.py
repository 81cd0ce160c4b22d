"""Which means an update is given so that it fits into memory."""

from __future__ import annotations

from collections.abc import Callable

from nferbench.engine.means import Means


def pieces(batch: int) -> list[int]:
    """The sizes that are tried: the batch, its half, rounded up, and so on down to one row.

    >>> pieces(12)
    [12, 6, 3, 2, 1]
    """
    sizes = [batch]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def chosen(
    batch: int, room: float, peak: Callable[[Means], float], *, divisible: bool, recomputable: bool, piece: int | None
) -> Means:
    """The fastest means that fit: pieces cost little, computing anew a third more, so it is taken last.

    Args:
        batch: rows of the update, 1 or more.
        room: free bytes.
        peak: bytes that the update takes; asked only as far as needed.
        divisible: whether the update can be done in pieces.
        recomputable: whether activations can be computed anew.
        piece: the only one that is allowed; None allows all of `pieces`.

    Returns:
        The largest piece that fits without computing anew, else with it; else what takes least.
    """
    whole = pieces(batch) if piece is None else [min(piece, batch)]
    sizes = whole if divisible else [batch]
    ways = [Means(size, anew) for anew in (False, True)[: 1 + recomputable] for size in sizes]
    return next((means for means in ways if peak(means) <= room), ways[-1])
