"""The six expressions as facial action units, and what each unit does to landmarks.

Action units and the combinations that make the basic emotions: Ekman and Friesen, Facial Action Coding System (1978)
and its investigators' guide. The displacements are this renderer's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nferbench.datasets.drawing.curves import Points
from nferbench.datasets.drawing.identity import Person
from nferbench.datasets.drawing.points import MIRROR

UNITS_OF: Mapping[str, tuple[int, ...]] = {
    "anger": (4, 5, 7, 23),
    "disgust": (9, 15, 16),
    "fear": (1, 2, 4, 5, 20, 26),
    "happiness": (6, 12),
    "sadness": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
}

# Displacement of landmarks at full strength, for the side that lies left in the image (positive x is towards the
# midline); the other side mirrors it, landmarks on the midline take the mean of both sides.
_PULL: Mapping[int, Mapping[tuple[int, ...], tuple[float, float]]] = {
    1: {(21,): (0.0, -0.11), (20,): (0.0, -0.085), (19,): (0.0, -0.04), (18,): (0.0, -0.01)},  # inner brow raiser
    2: {(17,): (0.0, -0.06), (18,): (0.0, -0.095), (19,): (0.0, -0.075), (20,): (0.0, -0.03)},  # outer brow raiser
    4: {(21,): (0.035, 0.062), (20,): (0.03, 0.06), (19,): (0.018, 0.045), (17, 18): (0.005, 0.02)},  # brow lowerer
    5: {(37, 38): (0.0, -0.036), (40, 41): (0.0, 0.004)},  # upper lid raiser
    6: {(40, 41): (0.0, -0.026), (37, 38): (0.0, 0.01), (36,): (0.008, 0.0), (17, 18): (0.0, 0.012)},  # cheek raiser
    7: {(40, 41): (0.0, -0.024), (37, 38): (0.0, 0.022)},  # lid tightener
    9: {  # nose wrinkler, which lifts the upper lip with it
        (31,): (-0.012, -0.045),
        (32, 33): (0.0, -0.03),
        (30,): (0.0, -0.018),
        (20, 21): (0.026, 0.058),
        (19,): (0.012, 0.03),
        (49,): (0.0, -0.035),
        (50, 51): (0.0, -0.045),
        (61, 62): (0.0, -0.032),
        (40, 41): (0.0, -0.024),
        (37, 38): (0.0, 0.02),
    },
    12: {  # lip corner puller
        (48, 60): (-0.08, -0.085),
        (49,): (-0.045, -0.032),
        (59,): (-0.045, -0.04),
        (50, 61, 67): (-0.012, 0.004),
        (51, 62): (0.0, 0.014),
        (58,): (-0.012, 0.0),
        (66, 57): (0.0, 0.01),
        (31,): (-0.014, -0.008),
        (3, 4): (-0.014, -0.012),
        (5,): (-0.008, -0.006),
    },
    15: {  # lip corner depressor
        (48, 60): (-0.012, 0.075),
        (49,): (-0.004, 0.026),
        (59,): (-0.008, 0.042),
        (61, 67): (0.0, 0.008),
        (57, 58): (0.0, -0.008),
        (51, 62, 66): (0.0, -0.006),
    },
    16: {  # lower lip depressor
        (57, 58): (0.0, 0.05),
        (59,): (-0.008, 0.03),
        (66, 67): (0.0, 0.05),
        (7, 8): (0.0, 0.01),
    },
    20: {  # lip stretcher
        (48, 60): (-0.085, 0.022),
        (49, 59): (-0.05, 0.01),
        (50, 58, 61, 67): (-0.02, 0.0),
        (51, 50): (0.0, 0.008),
        (57, 58): (0.0, -0.008),
    },
    23: {  # lip tightener
        (49, 50, 51): (0.008, 0.022),
        (57, 58, 59): (0.008, -0.03),
        (48, 60): (0.026, 0.004),
    },
    25: {(66, 67): (0.0, 0.042), (57, 58): (0.0, 0.03), (59,): (0.0, 0.014), (61, 62): (0.0, -0.008)},  # lips part
    26: {  # jaw drop
        (3,): (0.004, 0.02),
        (4,): (0.012, 0.05),
        (5,): (0.022, 0.1),
        (6,): (0.026, 0.14),
        (7, 8): (0.008, 0.165),
        (57, 58): (0.006, 0.185),
        (59,): (0.014, 0.13),
        (66, 67): (0.004, 0.19),
        (48, 60): (0.04, 0.07),
        (49,): (0.018, 0.006),
        (50, 51, 61, 62): (0.0, -0.01),
    },
}


def _field(pull: Mapping[tuple[int, ...], tuple[float, float]]) -> Points:
    field = np.zeros((68, 2))
    for indices, d in pull.items():
        field[list(indices)] += d
    return field


_FIELD = {unit: _field(pull) for unit, pull in _PULL.items()}
_MIDLINE = np.flatnonzero(np.arange(68) == MIRROR)


@dataclass(frozen=True)
class Performance:
    """One take of one expression: action-unit strengths in [0, 1], left and right in the image, and the gaze."""

    units: Mapping[int, tuple[float, float]]
    gaze: tuple[float, float]  # displacement of the irises in units

    def mean(self, unit: int) -> float:
        """Strength of a unit over both sides; 0 where it rests."""
        left, right = self.units.get(unit, (0.0, 0.0))
        return 0.5 * (left + right)


def perform(expression: str, person: Person, rng: np.random.Generator) -> Performance:
    """A person shows an expression: the units of the expression, as strongly and as unevenly as this person does."""
    level = 0.36 + 0.54 * person.expressivity + float(rng.uniform(-0.12, 0.12))
    strengths = {unit: level * float(rng.uniform(0.65, 1.2)) for unit in UNITS_OF[expression]}
    if expression == "happiness" and rng.random() < 0.62:  # many a smile parts the lips
        strengths[25] = level * float(rng.uniform(0.4, 1.2))
    for unit in (1, 2, 4, 7, 12, 15, 23, 25):  # faces in use carry traces of other units too
        trace = max(0.0, float(rng.normal(-0.07, 0.12)))
        strengths[unit] = strengths.get(unit, 0.0) + trace
    lean = float(rng.normal(0.0, 0.09))
    units = {}
    for unit, strength in strengths.items():
        uneven = lean + float(rng.normal(0.0, 0.06))
        left, right = strength * (1 + uneven), strength * (1 - uneven)
        units[unit] = (float(np.clip(left, 0, 1.1)), float(np.clip(right, 0, 1.1)))
    gaze = (float(rng.normal(0, 0.008)), float(rng.normal(0, 0.004)))
    return Performance(units, gaze)


def displaced(landmarks: Points, performance: Performance) -> Points:
    """Landmarks (68, 2) at rest moved by the action units; upper stays above lower at lids and lips."""
    p = landmarks.copy()
    for unit, (left, right) in performance.units.items():
        field = _FIELD[unit]
        other = field[MIRROR] * [-1.0, 1.0]
        move = left * field + right * other
        move[_MIDLINE] = (0.5 * (left + right) * field * [0.0, 1.0])[_MIDLINE]
        p += move
    for upper, lower, gap in ((37, 41, 0.018), (38, 40, 0.018), (43, 47, 0.018), (44, 46, 0.018)):
        lid = 0.5 * max(0.0, gap - (p[lower, 1] - p[upper, 1]))
        p[upper, 1] -= lid
        p[lower, 1] += lid
    for outer, inner, below, under in ((50, 61, 67, 58), (51, 62, 66, 57), (52, 63, 65, 56)):
        p[below, 1] = max(p[below, 1], p[inner, 1] + 0.002)
        p[outer, 1] = min(p[outer, 1], p[inner, 1] - 0.012)
        p[under, 1] = max(p[under, 1], p[below, 1] + 0.02)
    return p
