"""Lines and soft areas on a grid of face coordinates: what the drawn faces are made of.

Face coordinates: x to the right, y down, the origin between eyes and mouth, one unit half the side of a typical crop.
All grids are float32 of one shape, so a picture is a fixed number of whole-array operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[Any]  # float32; the stubs of NumPy lose that under arithmetic with plain numbers
Points = NDArray[np.float64]
Window = tuple[slice, slice]


def smooth_curve(points: Sequence[Sequence[float]] | Points, per_segment: int = 8, closed: bool = False) -> Points:
    """Catmull-Rom curve through `points` (N, 2), sampled `per_segment` times between neighbours."""
    p = np.asarray(points, dtype=np.float64)
    padded = (
        np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    )
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(per_segment) / per_segment)[None, :, None]
    before, start, end, after = (a[:, None] for a in (before, start, end, after))
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def height_at(x: Grid, curve: Points) -> Grid:
    """The y of a curve (rising x) above each x; the end values beyond its ends."""
    return np.interp(x, curve[:, 0], curve[:, 1]).astype(np.float32)


def soft(distance: Grid, edge: float) -> Grid:
    """Coverage in [0, 1] from a signed distance that is positive inside; `edge` is the width of the transition."""
    return np.clip(distance / edge + 0.5, 0.0, 1.0)


def between(x: Grid, y: Grid, upper: Points, lower: Points) -> Grid:
    """Signed distance, along y, into the area between two curves that meet at both ends."""
    inside = np.minimum(y - height_at(x, upper), height_at(x, lower) - y)
    ends = np.minimum(x - float(upper[0, 0]), float(upper[-1, 0]) - x)
    distance: Grid = np.minimum(inside, ends)
    return distance


def bump(x: Grid, y: Grid, centre: Sequence[float], width: float, height: float) -> Grid:
    """A Gaussian of peak one; `width` and `height` are its standard deviations."""
    peak: Grid = np.exp(-0.5 * (((x - float(centre[0])) / width) ** 2 + ((y - float(centre[1])) / height) ** 2))
    return peak


def step(x: Grid, low: float, high: float) -> Grid:
    """Smooth rise from 0 at `low` to 1 at `high` (which may be the smaller of the two)."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def window(x: Grid, y: Grid, points: Sequence[Sequence[float]] | Points, margin: float) -> Window:
    """The rows and columns of the grid that hold the bounding box of `points`, widened by `margin`."""
    p = np.asarray(points, dtype=np.float64)
    (left, top), (right, bottom) = (p.min(0) - margin).tolist(), (p.max(0) + margin).tolist()
    hit = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
    if rows.size == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def stroke(x: Grid, y: Grid, line: Points, width: float) -> Grid:
    """A line that is one in its middle, fades out across `width` (standard deviation) and tapers to both ends."""
    start = line[:-1].astype(np.float32)[..., None, None]
    dx, dy = np.moveaxis(np.diff(line, axis=0).astype(np.float32), 1, 0)[..., None, None]
    px, py = x - start[:, 0], y - start[:, 1]  # (segments, h, w)
    t = (px * dx + py * dy) / (dx * dx + dy * dy + 1e-12)
    np.minimum(np.maximum(t, 0, out=t), 1, out=t)
    squared = (px - t * dx) ** 2 + (py - t * dy) ** 2
    first = squared.argmin(0)[None]
    along = (first[0] + np.take_along_axis(t, first, 0)[0]) / np.float32(len(line) - 1)
    nearest = np.take_along_axis(squared, first, 0)[0]
    mask: Grid = np.exp(nearest / np.float32(-2 * width * width)) * np.sqrt(np.maximum(4 * along * (1 - along), 0))
    return mask


def polar(x: Grid, y: Grid, outline: Points, centre: Sequence[float]) -> tuple[Grid, Grid]:
    """Radius of each point as a share of the closed outline's radius in that direction, and the direction itself."""
    cx, cy = float(centre[0]), float(centre[1])
    angles = np.arctan2(outline[:, 1] - cy, outline[:, 0] - cx)
    order = np.argsort(angles)
    radii = np.hypot(outline[:, 0] - cx, outline[:, 1] - cy)
    direction = np.arctan2(y - cy, x - cx)
    limit = np.interp(direction, angles[order], radii[order], period=2 * np.pi).astype(np.float32)
    return np.hypot(x - cx, y - cy) / limit, direction


def grain(rng: np.random.Generator, u: Grid, v: Grid, cells: float) -> Grid:
    """Smooth noise with mean 0 and standard deviation near 1 over u, v; `cells` is its grid points per unit."""
    table = rng.standard_normal((64, 64), dtype=np.float32)
    a, b = u * cells + 4096.0, v * cells + 4096.0
    i, j = np.floor(a), np.floor(b)
    s, t = a - i, b - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    i0, j0 = i.astype(np.int32) & 63, j.astype(np.int32) & 63
    i1, j1 = (i0 + 1) & 63, (j0 + 1) & 63
    top = table[j0, i0] * (1 - s) + table[j0, i1] * s
    bottom = table[j1, i0] * (1 - s) + table[j1, i1] * s
    field: Grid = 1.5 * (top * (1 - t) + bottom * t)
    return field
