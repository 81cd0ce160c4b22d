"""Where in a picture the face is, and cutting it out as a square of a given side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.datasets.base import Picture
from nferbench.errors import DataError, UsageError
from nferbench.mean_face import MEAN_FACE

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

    left: float  # as it would lie without the angle
    top: float
    side: float
    angle: float = 0.0  # radians by which it is turned about its centre, clockwise as seen

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.side / 2, self.top + self.side / 2


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


def fan(picture: Picture) -> Square:
    """The loose square in which the detector FAN looks for landmarks: about twice the box, and a little higher.

    The geometry of the package face-alignment (Bulat & Tzimiropoulos 2017) for boxes of its detector S3FD.

    Raises:
        DataError: the picture has no box.
    """
    if picture.box is None:
        raise DataError("crop 'fan' needs a box, and this picture has none; choose another crop or a detector")
    x1, y1, x2, y2 = picture.box
    side = 200 * ((x2 - x1) + (y2 - y1)) / 195
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - 0.12 * (y2 - y1)
    return Square(x - side / 2, y - side / 2, side)


def eyes(picture: Picture) -> Square:
    """`box68`, turned so that the eyes are level.

    Raises:
        DataError: the picture does not have 68 landmarks, or not those of both eyes.
    """
    landmarks = _landmarks68(picture, "eyes")
    both = [points[np.isfinite(points).all(axis=1)] for points in (landmarks[36:42], landmarks[42:48])]
    if not all(map(len, both)):
        raise DataError("crop 'eyes' needs landmarks of both eyes, and one eye has none")
    across, down = both[1].mean(axis=0) - both[0].mean(axis=0)
    tilt = math.atan2(down, across)
    pivot = np.nanmean(landmarks, axis=0)
    level = box68(_turned(landmarks, pivot, -tilt).astype(np.float32))
    x, y = _turned(np.array(level.centre), pivot + 0.5, tilt)
    return Square(float(x) - level.side / 2, float(y) - level.side / 2, level.side, tilt)


def template(picture: Picture) -> Square:
    """The square that puts 68 landmarks as near as can be to those of a mean face, which also registers pairs.

    Least squares over shift, turn and scale (Umeyama 1991); missing points do not count.

    Raises:
        DataError: the picture does not have 68 landmarks, or all but one are missing.
    """
    landmarks = _landmarks68(picture, "template")
    known = np.isfinite(landmarks).all(axis=1)
    if known.sum() < 2:
        raise DataError("crop 'template' needs at least two landmarks, and this face has fewer")
    mean, face = (points @ np.array([1, 1j]) for points in (MEAN_FACE[known], landmarks[known] + 0.5))
    spread = mean - mean.mean()
    turn = np.vdot(spread, face - face.mean()) / np.vdot(spread, spread).real  # mean face to picture, as z -> turn z
    middle = face.mean() + turn * (0.5 + 0.5j - mean.mean())
    side = float(abs(turn))
    return Square(float(middle.real) - side / 2, float(middle.imag) - side / 2, side, float(np.angle(turn)))


def _around_landmarks(picture: Picture) -> Square:
    if picture.landmarks is None:
        raise DataError("crop 'box68' needs landmarks, and this picture has none; choose another crop or a detector")
    return box68(picture.landmarks)


Crop = Callable[[Picture], Square]

CROPS: Mapping[str, Crop] = MappingProxyType(
    {"given": given, "none": centre, "box68": _around_landmarks, "fan": fan, "eyes": eyes, "template": template}
)


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
        x, y = square.centre
        pivot = (x + before[1], y + before[0])
        image = image.rotate(math.degrees(square.angle), Image.Resampling.BICUBIC, center=pivot)
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box))


def moved(landmarks: NDArray[np.float32], square: Square, size: int) -> NDArray[np.float32]:
    """Landmarks (K, 2) of a picture in pixels of the crop; whole numbers are pixel centres before and after."""
    points = landmarks + 0.5
    if square.angle:
        points = _turned(points, np.array(square.centre), -square.angle)
    corner = np.array([square.left, square.top])
    return np.asarray((points - corner) * (size / square.side) - 0.5, dtype=np.float32)


def _landmarks68(picture: Picture, crop: str) -> NDArray[np.float32]:
    if picture.landmarks is None or len(picture.landmarks) != len(MEAN_FACE):
        count = 0 if picture.landmarks is None else len(picture.landmarks)
        raise DataError(f"crop '{crop}' needs 68 landmarks, and this picture has {count}; use box68, fan or a detector")
    return picture.landmarks


def _turned(points: NDArray[Any], pivot: NDArray[Any], angle: float) -> NDArray[Any]:
    """Points (..., 2) turned clockwise, as seen, about a pivot."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.asarray((points - pivot) @ np.array([[cosine, sine], [-sine, cosine]]) + pivot)
