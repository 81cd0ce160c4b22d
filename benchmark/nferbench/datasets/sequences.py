"""Which frames of two videos of one expression belong together, where the two were not recorded in step.

Each policy returns pairs (VIS place, NIR place) of places in the two sequences, in the order of time. A place occurs at
most once on either side, because a face can have one partner only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from nferbench.contract.ibug import EYE_CORNERS, INNER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pairs = list[tuple[int, int]]

NAMED = 5  # cases that a report names


def by_apex(vis: int, nir: int) -> Pairs:
    """Pair the k-th frame from the end with the k-th from the end, as long as both have one.

    Args:
        vis: frames of the VIS sequence.
        nir: frames of the NIR sequence.

    >>> by_apex(5, 3)
    [(2, 0), (3, 1), (4, 2)]
    """
    return [(vis - k, nir - k) for k in range(min(vis, nir), 0, -1)]


def by_progress(vis: int, nir: int) -> Pairs:
    """Pair frames that are equally far between the first and the last of their sequence; first and last are pairs.

    Frame i of N maps to frame round(i (M - 1) / (N - 1)) of M, halves upwards, where N is the shorter sequence: from
    the longer one, two frames would map to the same. One frame alone is paired with the last.

    Args:
        vis: frames of the VIS sequence.
        nir: frames of the NIR sequence.

    >>> by_progress(3, 6)
    [(0, 0), (1, 3), (2, 5)]
    """
    if vis > nir:
        return [(i, j) for j, i in by_progress(nir, vis)]
    if vis < 2:
        return [(0, nir - 1)] * vis
    return [(i, (2 * i * (nir - 1) + vis - 1) // (2 * (vis - 1))) for i in range(vis)]


def by_number(vis: Sequence[int], nir: Sequence[int]) -> Pairs:
    """Pair the frames that bear the same number.

    Args:
        vis: numbers of the frames of the VIS sequence, ascending.
        nir: as `vis`, of the NIR sequence.

    >>> by_number([0, 1, 3, 4], [1, 2, 3])
    [(1, 0), (2, 2)]
    """
    place = {number: j for j, number in enumerate(nir)}
    return [(i, place[number]) for i, number in enumerate(vis) if number in place]


def unguided(vis: Sequence[int], nir: Sequence[int]) -> dict[str, Pairs]:
    """The pairs by each policy that needs no landmarks, by its name in a data set's settings.

    Args:
        vis: numbers of the frames of the VIS sequence, ascending.
        nir: as `vis`, of the NIR sequence.
    """
    return {
        "apex": by_apex(len(vis), len(nir)),
        "relative": by_progress(len(vis), len(nir)),
        "stem": by_number(vis, nir),
    }


def by_landmarks(vis: Sequence[NDArray[np.float32]], nir: Sequence[NDArray[np.float32]], reject: float = 0.0) -> Pairs:
    """Pair frames along the path of dynamic time warping on their landmarks.

    The path may rest on a frame of one sequence while the other goes on. Of all pairs on it, those with the least
    distance are taken first, and no frame is taken twice; of equals the later one, which is nearer to the apex.

    Args:
        vis: landmarks (68, 2) of each frame of the VIS sequence in pixels, iBUG order; at least one frame. A frame
            whose 51 inner points are not all finite is left out.
        nir: as `vis`, of the NIR sequence.
        reject: leave out pairs whose distance (see `distances`) is greater; 0 keeps all.
    """
    import numpy as np

    points = [np.stack(vis), np.stack(nir)]
    places = [np.flatnonzero(np.isfinite(_shapes(frames)).all(axis=(1, 2))).tolist() for frames in points]
    if not all(places):
        return []
    costs = distances(points[0][places[0]], points[1][places[1]])
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for i, j in sorted(warping_path(costs), key=lambda cell: (costs[cell], -cell[0], -cell[1])):
        if i not in pairs and j not in taken and not 0 < reject < costs[i, j]:
            pairs[i] = j
            taken.add(j)
    return [(places[0][i], places[1][j]) for i, j in sorted(pairs.items())]


def distances(vis: NDArray[np.float32], nir: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the faces of two sequences are apart in shape, whatever their place and size in the picture.

    Args:
        vis: landmarks (N, 68, 2) in pixels, iBUG order.
        nir: landmarks (M, 68, 2).

    Returns:
        (N, M): mean distance of the 51 inner points, in units of the distance between the outer corners of the eyes,
        with the means of the points put on top of each other; NaN where a point is missing.
    """
    import numpy as np

    apart = _shapes(vis)[:, None] - _shapes(nir)[None]
    return np.asarray(np.linalg.norm(apart, axis=-1).mean(axis=-1))


def warping_path(costs: NDArray[np.float64]) -> Pairs:
    """The cheapest path of dynamic time warping through a matrix of costs (N, M), both at least 1.

    It leads from (0, 0) to (N - 1, M - 1) by steps of one down, one to the right or both; its cost is the sum of the
    cells it touches (Sakoe and Chiba 1978, without weights). Of equals it takes the diagonal nearest to the end.
    """
    import numpy as np

    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)  # one row and one column before the first, to need no edge case
    total[0, 0] = 0.0
    for i in range(rows):
        for j in range(columns):
            total[i + 1, j + 1] = costs[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j = rows, columns
    path = [(i - 1, j - 1)]
    while (i, j) != (1, 1):
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda cell: total[cell])
        path.append((i - 1, j - 1))
    return path[::-1]


def compare_lengths(lengths: Mapping[str, tuple[int, int]]) -> list[str]:
    """How far apart the two sequences of each recording are in length, one line each for all and for the worst.

    Args:
        lengths: frames of the VIS and of the NIR sequence by name of the recording; not empty.
    """
    apart = {name: abs(vis - nir) for name, (vis, nir) in lengths.items()}
    equal, one, two = (sum(gap <= most for gap in apart.values()) for most in (0, 1, 2))
    lines = [
        f"of {len(lengths)} recordings VIS and NIR are equally long in {equal}, within 1 frame in {one}, within 2 in "
        f"{two}; difference: median {median(apart.values()):g}, greatest {max(apart.values())}"
    ]
    worst = sorted((name for name in apart if apart[name]), key=lambda name: -apart[name])
    if worst:
        cases = [f"{name} ({lengths[name][0]} VIS, {lengths[name][1]} NIR)" for name in worst[:NAMED]]
        lines.append(f"furthest apart in length: {', '.join(cases)}")
    return lines


def compare_shapes(names: Sequence[str], vis: Sequence[NDArray[np.float32]], nir: Sequence[NDArray[np.float32]]) -> str:
    """How far apart the faces of pairs are in shape, in one line.

    Args:
        names: of the pairs; not empty.
        vis: landmarks (68, 2) of each VIS face.
        nir: as `vis`, of their NIR partners.
    """
    import numpy as np

    apart = np.concatenate([distances(a[None], b[None])[0] for a, b in zip(vis, nir, strict=True)])
    known = np.flatnonzero(np.isfinite(apart))
    if not len(known):
        return f"{len(apart)} pairs, none with the landmarks of both faces"
    middle, high = np.percentile(apart[known], (50, 90))
    worst = known[np.argsort(-apart[known], kind="stable")[:NAMED]]
    return (
        f"landmark distance in {len(known)} pairs, in distances between the eyes: median {middle:.3f}, 90th percentile "
        f"{high:.3f}, greatest {', '.join(f'{apart[row]:.3f} ({names[row]})' for row in worst)}"
    )


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many follow."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shapes(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The 51 inner points around their mean, in units of the distance between the eyes; not finite where unknown."""
    import numpy as np

    inner = points[:, INNER:].astype(np.float64)
    left, right = (points[:, eye].astype(np.float64) for eye in EYE_CORNERS)
    eyes = np.linalg.norm(right - left, axis=-1)[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # coinciding eyes give no scale: the frame is unusable
        return np.asarray((inner - inner.mean(axis=1, keepdims=True)) / eyes)
