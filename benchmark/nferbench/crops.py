"""Where in a picture the face is, and cutting it out as a square of a given side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nferbench.datasets.base import Picture
from nferbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Deviation: "cropped using the face detector" is all the paper says, so margin and shift are chosen here: the square
# has 1.3 times the longer side of the landmarks' bounds and lies 8 % of itself higher, to keep brows and forehead.
MARGIN = 1.3
RAISE = 0.08

MIN_OVERLAP = 0.25  # share of a crop that must lie in the picture; the rest repeats the picture's edge


@dataclass(frozen=True)
class Square:
    """A square in pixels; (0, 0) is the outer corner of the first pixel, whose centre is landmark position (0, 0)."""

    left: float
    top: float
    side: float


def centre(picture: Picture) -> Square:
    """The largest square in the middle of the picture."""
    height, width = picture.pixels.shape[:2]
    side = min(height, width)
    return Square((width - side) // 2, (height - side) // 2, side)


def box68(landmarks: NDArray[np.float32]) -> Square:
    """The square around landmarks (K, 2), with a margin and raised; missing (NaN) points do not count.

    Raises:
        DataError: the points are all missing or all in one place.
    """
    points = landmarks[np.isfinite(landmarks).all(axis=1)]
    extent = np.ptp(points, axis=0).max() if len(points) else 0.0
    if extent <= 0:
        raise DataError(f"its {len(landmarks)} landmarks are missing or all in one place")
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2 + 0.5
    side = float(extent) * MARGIN
    return Square(float(x) - side / 2, float(y) - side / 2 - RAISE * side, side)


def given(picture: Picture) -> Square:
    """The face as the data say: their box made square, else the square of their landmarks, else the whole picture.

    A box is taken as it is, by its longer side and without a margin; of a picture without box and landmarks, and of one
    that is already the face, the middle square is taken.
    """
    if picture.cropped:
        return centre(picture)
    if picture.box is not None:
        x1, y1, x2, y2 = picture.box
        side = max(x2 - x1, y2 - y1)
        return Square((x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side)
    if picture.landmarks is not None:
        return box68(picture.landmarks)
    return centre(picture)


Crop = Callable[[Picture], Square]

CROPS: Mapping[str, Crop] = MappingProxyType({"given": given, "none": centre})


def crop_named(name: str) -> Crop:
    """The crop recipe of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in CROPS:
        raise UsageError(f"unknown crop '{name}'; known: {', '.join(CROPS)}")
    return CROPS[name]


def cut(pixels: NDArray[np.uint8], square: Square, size: int) -> NDArray[np.uint8]:
    """Cut a square out of a picture and scale it: bicubic, with the kernel widened (antialiased) where it shrinks.

    Args:
        pixels: (h, w, 3), uint8.
        square: may reach over the picture's edge, which is then repeated.
        size: side of the result in pixels.

    Returns:
        (size, size, 3), uint8.

    Raises:
        DataError: less than `MIN_OVERLAP` of the square lies in the picture.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    left, top, right, bottom = square.left, square.top, square.left + square.side, square.top + square.side
    overlap = max(min(right, width) - max(left, 0), 0) * max(min(bottom, height) - max(top, 0), 0)
    if overlap < MIN_OVERLAP * square.side**2:
        where = f"{left:.0f} {top:.0f} {right:.0f} {bottom:.0f}"
        raise DataError(f"its crop ({where}) lies mostly outside the {width} x {height} pixels")
    before = (max(math.ceil(-top), 0), max(math.ceil(-left), 0))
    after = (max(math.ceil(bottom - height), 0), max(math.ceil(right - width), 0))
    if any(before + after):
        pixels = np.pad(pixels, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="edge")
    box = (left + before[1], top + before[0], right + before[1], bottom + before[0])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box))


def moved(landmarks: NDArray[np.float32], square: Square, size: int) -> NDArray[np.float32]:
    """Landmarks (K, 2) of a picture in pixels of the crop; integer positions are pixel centres before and after."""
    corner = np.array([square.left, square.top])
    return np.asarray((landmarks + 0.5 - corner) * (size / square.side) - 0.5, dtype=np.float32)
