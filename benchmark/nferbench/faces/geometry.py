"""Squares in a picture: cut out as crops, with the landmarks in them, and carried from one picture to another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Similarity:
    """A shift, turn and scale of the plane, z -> turn z + shift for a point x + iy."""

    turn: complex
    shift: complex

    def inverse(self) -> Similarity:
        """The one that undoes this one."""
        return Similarity(1 / self.turn, -self.shift / self.turn)

    def carry(self, square: Square) -> Square:
        """Where a square comes to lie."""
        middle = self.turn * complex(*square.centre) + self.shift
        side = float(abs(self.turn)) * square.side
        angle = square.angle + float(np.angle(self.turn))
        return Square(float(middle.real) - side / 2, float(middle.imag) - side / 2, side, angle)


def nearest(points: NDArray[Any], others: NDArray[Any]) -> Similarity:
    """The similarity that carries points (K, 2) nearest to others (K, 2), by least squares (Umeyama 1991).

    Args:
        points: finite, and not all in one place.
        others: finite.
    """
    start, end = (each @ np.array([1, 1j]) for each in (points, others))
    spread = start - start.mean()
    turn = np.vdot(spread, end - end.mean()) / np.vdot(spread, spread).real
    return Similarity(complex(turn), complex(end.mean() - turn * start.mean()))


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
