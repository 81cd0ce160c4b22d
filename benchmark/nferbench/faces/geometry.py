"""Squares in a picture: cut out as crops, with the landmarks in them, and carried from one picture to another.

Similarities are those of scikit-image. Its `resize` and `warp` are not used: their kernels are others than Pillow's, so
that every stored crop would change, and 320 px to 128 take 46 ms where Pillow takes 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from skimage.transform import SimilarityTransform

MIN_OVERLAP = 0.25  # share of a crop that must lie in the picture; the rest repeats the picture's edge


@dataclass(frozen=True)
class Square:
    """A square in pixels; (0, 0) is the outer corner of the first pixel, whose centre is landmark position (0, 0)."""

    left: float  # as it would lie without the angle
    top: float
    side: float
    angle: float = 0.0  # radians by which it is turned about its centre, clockwise as seen

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.side / 2, self.top + self.side / 2


def nearest(points: NDArray[Any], others: NDArray[Any]) -> SimilarityTransform:
    """The shift, turn and scale that carry points (K, 2) nearest to others (K, 2), by least squares (Umeyama 1991).

    Raises:
        DataError: all points are in one place, or all others are.
    """
    from skimage.transform import SimilarityTransform

    # In float64: scikit-image keeps float32, whose rounding would move pixels of a crop.
    found = SimilarityTransform.from_estimate(points.astype(np.float64), others.astype(np.float64))
    if not found:
        raise DataError(f"no similarity carries these {len(points)} points to those: they are in one place")
    return found


def carry(square: Square, similarity: SimilarityTransform) -> Square:
    """Where a square comes to lie by a similarity."""
    ((x, y),) = similarity(np.array([square.centre])).tolist()
    side = float(similarity.scale) * square.side
    return Square(x - side / 2, y - side / 2, side, square.angle + float(similarity.rotation))


def cut(pixels: NDArray[np.uint8], square: Square, size: int) -> NDArray[np.uint8]:
    """Cut a square out of a picture and scale it: bicubic, with the kernel widened (antialiased) where it shrinks.

    Args:
        pixels: (h, w, 3), uint8.
        square: may reach over the picture's edge, which is then repeated; a turned one is turned back first, bicubic.
        size: side of the result in pixels.

    Returns:
        (size, size, 3), uint8.

    Raises:
        DataError: less than `MIN_OVERLAP` of the square, as it would lie without its angle, is in the picture.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    left, top, right, bottom = square.left, square.top, square.left + square.side, square.top + square.side
    overlap = max(min(right, width) - max(left, 0), 0) * max(min(bottom, height) - max(top, 0), 0)
    if overlap < MIN_OVERLAP * square.side**2:
        where = f"{left:.0f} {top:.0f} {right:.0f} {bottom:.0f}"
        raise DataError(f"its crop ({where}) lies mostly outside the {width} x {height} pixels")
    reach = square.side * 0.25 if square.angle else 0.0  # the corners of a turned square stick out by 0.21 of its side
    before = (max(math.ceil(reach - top), 0), max(math.ceil(reach - left), 0))
    after = (max(math.ceil(bottom + reach - height), 0), max(math.ceil(right + reach - width), 0))
    if any(before + after):
        pixels = np.pad(pixels, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="edge")
    box = (left + before[1], top + before[0], right + before[1], bottom + before[0])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if square.angle:
        fine = max(size, round(square.side))  # pixels a side, no fewer than the picture has there
        step = square.side / fine
        cosine, sine = step * math.cos(square.angle), step * math.sin(square.angle)
        x, y = square.centre[0] + before[1], square.centre[1] + before[0]
        half = fine / 2
        place = (cosine, -sine, x - half * (cosine - sine), sine, cosine, y - half * (sine + cosine))
        image = image.transform((fine, fine), Image.Transform.AFFINE, place, Image.Resampling.BICUBIC)
        box = (0, 0, fine, fine)
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box))


def moved(landmarks: NDArray[np.float32], square: Square, size: int) -> NDArray[np.float32]:
    """Landmarks (K, 2) of a picture in pixels of the crop; whole numbers are pixel centres before and after."""
    points = landmarks + 0.5
    if square.angle:
        points = turned(points, np.array(square.centre), -square.angle)
    corner = np.array([square.left, square.top])
    return np.asarray((points - corner) * (size / square.side) - 0.5, dtype=np.float32)


def turned(points: NDArray[Any], pivot: NDArray[Any], angle: float) -> NDArray[Any]:
    """Points (..., 2) turned clockwise, as seen, about a pivot."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.asarray((points - pivot) @ np.array([[cosine, sine], [-sine, cosine]]) + pivot)
