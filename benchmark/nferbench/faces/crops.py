"""Crop recipes: where in a picture the face is, as a square."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nferbench.contract.dataset import Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.ibug import POINTS
from nferbench.faces.geometry import Square, carry, nearest, turned
from nferbench.faces.mean_face import MEAN_FACE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Deviation: "cropped using the face detector" is all the paper says, so margin and shift are chosen here: the square
# has 1.3 times the longer side of the landmarks' bounds and lies 8 % of itself higher, to keep brows and forehead.
MARGIN = 1.3
RAISE = 0.08


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

    The geometry of the package face-alignment (Bulat & Tzimiropoulos 2017) for boxes of its detector S3FD. A picture
    that is already the face has no loose square in it, and its middle one is taken.

    Raises:
        DataError: the picture has no box.
    """
    if picture.cropped:
        return centre(picture)
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
    level = box68(turned(landmarks, pivot, -tilt).astype(np.float32))
    x, y = turned(np.array(level.centre), pivot + 0.5, tilt)
    return Square(float(x) - level.side / 2, float(y) - level.side / 2, level.side, tilt)


def template(picture: Picture) -> Square:
    """The square that puts 68 landmarks as near as can be to those of a mean face, which also registers pairs.

    Least squares over shift, turn and scale (Umeyama 1991); missing points do not count.

    Raises:
        DataError: the picture does not have 68 landmarks, all but one are missing, or all are in one place.
    """
    landmarks = _landmarks68(picture, "template")
    known = np.isfinite(landmarks).all(axis=1)
    if known.sum() < 2:
        raise DataError("crop 'template' needs at least two landmarks, and this face has fewer")
    return carry(Square(0, 0, 1), nearest(MEAN_FACE[known], landmarks[known] + 0.5))


def _around_landmarks(picture: Picture) -> Square:
    if picture.landmarks is None and picture.cropped:
        return centre(picture)
    if picture.landmarks is None:
        raise DataError("crop 'box68' needs landmarks, and this picture has none; choose another crop or a detector")
    return box68(picture.landmarks)


def median(squares: Sequence[Square]) -> Square:
    """The square whose centre, side and angle are the medians of those of others: it does not jump with each frame."""
    x, y, side, angle = np.median([(*each.centre, each.side, each.angle) for each in squares], axis=0).tolist()
    return Square(x - side / 2, y - side / 2, side, angle)


Crop = Callable[[Picture], Square]

CROPS: Mapping[str, Crop] = MappingProxyType(
    {"given": given, "none": centre, "box68": _around_landmarks, "fan": fan, "eyes": eyes, "template": template}
)


ALL_POINTS = ("eyes", "template")  # recipes that need the 68 landmarks


def crop_named(name: str) -> Crop:
    """The crop recipe of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in CROPS:
        raise UsageError(f"unknown crop '{name}'; known: {', '.join(CROPS)}")
    return CROPS[name]


def _landmarks68(picture: Picture, crop: str) -> NDArray[np.float32]:
    if picture.landmarks is None or len(picture.landmarks) != POINTS:
        count = 0 if picture.landmarks is None else len(picture.landmarks)
        raise DataError(f"crop '{crop}' needs 68 landmarks, and this picture has {count}; use box68, fan or a detector")
    return picture.landmarks
