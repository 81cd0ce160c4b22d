"""Where the 68 landmarks (iBUG order) of a face at rest lie, and how a person's proportions move them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nferbench.datasets.drawing.curves import Points, smooth_curve
from nferbench.datasets.drawing.points import (
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    MIRROR,
    MOUTH,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
)

if TYPE_CHECKING:
    from nferbench.datasets.drawing.identity import Person


# The half that lies left in the image, with the midline, of an average face (proportions of adult anthropometry).
_LEFT_HALF = {
    0: (-0.565, -0.15),
    1: (-0.563, 0.0),
    2: (-0.55, 0.15),
    3: (-0.525, 0.295),
    4: (-0.475, 0.43),
    5: (-0.395, 0.55),
    6: (-0.285, 0.655),
    7: (-0.15, 0.735),
    8: (0.0, 0.765),
    17: (-0.455, -0.29),
    18: (-0.395, -0.345),
    19: (-0.31, -0.367),
    20: (-0.215, -0.352),
    21: (-0.125, -0.32),
    27: (0.0, -0.165),
    28: (0.0, -0.06),
    29: (0.0, 0.045),
    30: (0.0, 0.15),
    31: (-0.118, 0.225),
    32: (-0.06, 0.252),
    33: (0.0, 0.268),
    36: (-0.385, -0.135),
    37: (-0.312, -0.18),
    38: (-0.215, -0.18),
    39: (-0.14, -0.12),
    40: (-0.215, -0.09),
    41: (-0.305, -0.09),
    48: (-0.215, 0.455),
    49: (-0.135, 0.415),
    50: (-0.05, 0.385),
    51: (0.0, 0.396),
    57: (0.0, 0.548),
    58: (-0.07, 0.541),
    59: (-0.148, 0.507),
    60: (-0.19, 0.456),
    61: (-0.085, 0.452),
    62: (0.0, 0.455),
    66: (0.0, 0.458),
    67: (-0.085, 0.456),
}


def _average() -> Points:
    points = np.zeros((68, 2))
    for index, (x, y) in _LEFT_HALF.items():
        points[index] = x, y
        points[MIRROR[index]] = -x, y
    return points


AVERAGE: Points = _average()
AVERAGE.setflags(write=False)


def at_rest(person: Person) -> Points:
    """Landmarks (68, 2) of a person without expression, in face coordinates."""
    p = AVERAGE.copy()
    low = np.clip((p[JAW, 1] + 0.15) / 0.9, 0, 1)  # 0 at the ears, 1 at the chin
    p[JAW, 0] *= person.face_width * (1 + (person.jaw_width - 1) * np.sin(np.pi * np.minimum(low, 0.62) / 1.24))
    p[JAW, 1] += (person.chin_length - 1) * 0.9 * low**2

    for eye, side in ((LEFT_EYE, -1.0), (RIGHT_EYE, 1.0)):
        centre = p[eye].mean(0)
        d = p[eye] - centre
        d *= person.eye_size * np.array([1.0, person.eye_opening])
        d[:, 1] -= side * person.eye_tilt * d[:, 0]  # positive: outer corners up
        p[eye] = centre + d + [side * 0.263 * (person.eye_spacing - 1), 0.0]

    for brow, side in ((LEFT_BROW, -1.0), (RIGHT_BROW, 1.0)):
        centre = p[brow].mean(0)
        d = p[brow] - centre
        d[:, 1] *= person.brow_arch
        d[:, 1] -= side * person.brow_tilt * d[:, 0]
        p[brow] = centre + d + [side * 0.263 * (person.eye_spacing - 1), -person.brow_height]

    p[NOSE, 0] *= person.nose_width
    p[NOSE, 1] = -0.165 + (p[NOSE, 1] + 0.165) * person.nose_length

    d = p[MOUTH] - [0.0, 0.455]
    d[:, 0] *= person.mouth_width
    d[:, 1] *= np.where(d[:, 1] < 0, person.upper_lip, person.lower_lip)
    d[:, 1] -= person.mouth_tilt * np.abs(d[:, 0])  # positive: corners up at rest
    p[MOUTH] = d + np.array([0.0, 0.455 + person.mouth_height + (person.nose_length - 1) * 0.25])
    return p + person.asymmetry


def head_outline(landmarks: Points, person: Person) -> Points:
    """Closed outline of the head without hair: the jaw landmarks and a cranium that fits them."""
    jaw = landmarks[JAW]
    left, right = float(jaw[0, 0]), float(jaw[16, 0])
    top = -0.98 - 0.05 * person.forehead
    cranium = [
        (right * 0.99, -0.32),
        (right * 0.94, -0.55),
        (right * 0.74, -0.78),
        (right * 0.4, top + 0.045),
        (0.0, top),
    ]
    cranium += [(left * 0.4, top + 0.045), (left * 0.74, -0.78), (left * 0.94, -0.55), (left * 0.99, -0.32)]
    return smooth_curve(np.concatenate([jaw, np.array(cranium)]), closed=True)
