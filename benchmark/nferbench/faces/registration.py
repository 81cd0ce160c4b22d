"""Pair registration: laying the NIR face of a pair where its VIS face lies, and how far apart two faces are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract.errors import DataError
from nferbench.contract.ibug import EYE_CORNERS, INNER
from nferbench.faces.geometry import Square, carry, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray


def registered(square: Square, vis: NDArray[np.float32], nir: NDArray[np.float32]) -> Square:
    """The square of a NIR picture that shows its face where `square` shows the VIS face.

    The similarity that carries the inner NIR landmarks nearest to the VIS ones (least squares) carries this square to
    `square`: the NIR picture is shifted, turned and scaled by where it is cropped, and never bent.

    Args:
        square: of the VIS picture.
        vis: its landmarks (68, 2) in pixels; missing ones (NaN) do not count.
        nir: those of the NIR picture.

    Raises:
        DataError: fewer than two inner landmarks are known in both pictures.
    """
    known = np.isfinite(np.hstack([vis[INNER:], nir[INNER:]])).all(axis=1)
    there, here = vis[INNER:][known], nir[INNER:][known]
    if known.sum() < 2 or not np.ptp(here, axis=0).any() or not np.ptp(there, axis=0).any():
        raise DataError("cannot be registered: fewer than two inner landmarks are known in both faces of the pair")
    return carry(square, nearest(here + 0.5, there + 0.5).inverse)


def apart(vis: NDArray[np.float32], nir: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the faces of pairs are apart: what pixel metrics of a pair see, whatever the translation.

    Args:
        vis: landmarks (N, 68, 2) in pixels of the crops.
        nir: those of the partners, in pixels of crops of the same size.

    Returns:
        (N,): mean distance of the inner landmarks known in both, in units of the distance between the outer corners of
        the VIS eyes; NaN where that is unknown.
    """
    first, second = (vis[:, corner].astype(np.float64) for corner in EYE_CORNERS)
    gaps = np.linalg.norm(vis[:, INNER:].astype(np.float64) - nir[:, INNER:], axis=-1)
    known = np.isfinite(gaps)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, gaps, 0).sum(axis=1) / known.sum(axis=1)
        distance = mean / np.linalg.norm(second - first, axis=-1)
    return np.where(np.isfinite(distance), distance, np.nan)


def summary(distances: NDArray[Any], before: NDArray[Any]) -> dict[str, Any] | None:
    """The distances of all pairs as JSON data; None where no pair has one.

    Args:
        distances: (N,), see `apart`; NaN where unknown.
        before: (N,), the same with each face cropped by itself; NaN where a pair was not registered.
    """
    known = np.isfinite(distances)
    if not known.any():
        return None
    earlier = before[known & np.isfinite(before)]
    return {
        "pairs": int(known.sum()),
        "median": round(float(np.median(distances[known])), 4),
        "p90": round(float(np.quantile(distances[known], 0.9)), 4),
        "median_before": round(float(np.median(earlier)), 4) if len(earlier) else None,
    }


def told(distance: Mapping[str, Any]) -> str:
    """A summary in words."""
    was = distance["median_before"]
    return (
        f"landmarks of {distance['pairs']} pairs are {distance['median']:.3f} of the distance between the eyes apart "
        f"(median; 90 % below {distance['p90']:.3f})" + ("" if was is None else f", {was:.3f} before registration")
    )
