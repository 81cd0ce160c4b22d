"""The relief of a face: how far each point stands out, from which the lights compute their shading and shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nferbench.datasets.drawing.curves import (
    Grid,
    Points,
    Window,
    bump,
    height_at,
    polar,
    smooth_curve,
    soft,
    step,
    stroke,
    window,
)
from nferbench.datasets.drawing.expression import Performance
from nferbench.datasets.drawing.identity import Person
from nferbench.datasets.drawing.wrinkles import Crease

CENTRE = (0.0, 0.02)  # pole of the polar coordinates of the head


class Fold(NamedTuple):
    """A crease as it lies on a grid."""

    where: Window
    profile: Grid  # 1 along its bottom, 0 outside
    depth: float  # units


@dataclass(frozen=True, eq=False)
class Head:
    """A person in one expression, in face coordinates."""

    person: Person
    performance: Performance
    landmarks: Points  # (68, 2)
    outline: Points  # closed, (N, 2)
    creases: tuple[Crease, ...]
    rest_eyes: tuple[float, float]  # y of the eye centres at rest: lids move, eyeballs do not


def head_relief(head: Head, x: Grid, y: Grid, pixel: float) -> tuple[Grid, Grid, list[Fold]]:
    """Height of the bare head in units, the radius as a share of its outline (1 at the edge), and its folds.

    Folds narrower than `pixel` (units) are drawn as wide as it and flatter, so that small pictures do not alias.
    """
    p, person = head.landmarks, head.person
    play = head.performance
    radius, _ = polar(x, y, head.outline, CENTRE)
    # A dome that keeps falling outside the outline, so that its edge still faces sideways.
    z = 0.6 * np.sqrt(1 - np.minimum(radius, 0.96) ** 2.5) - 2.27 * np.maximum(radius - 0.96, 0)

    for eye, brow, out, side in ((slice(36, 42), slice(17, 22), -1.0, 0), (slice(42, 48), slice(22, 27), 1.0, 1)):
        ex, ey = p[eye].mean(0).tolist()
        line = smooth_curve(p[brow], per_segment=4)
        ridge = np.exp(-0.5 * ((y - height_at(x, line) - 0.015) / 0.045) ** 2)
        ridge *= step(np.abs(x), 0.56, 0.34)
        strength = 0.01 + 0.01 * person.masculinity + 0.006 * play.units.get(4, (0, 0))[side]
        z += strength * ridge * step(x * out, -0.06, 0.06)
        z -= 0.055 * bump(x, y, (ex - out * 0.03, ey - 0.005), 0.13, 0.075)
        z += 0.032 * bump(x, y, (ex, ey), 0.085, 0.048)
        lifted = play.units.get(6, (0, 0))[side] + 0.6 * play.units.get(12, (0, 0))[side]
        full = 0.045 * person.cheek + 0.035 * lifted
        z += full * bump(x, y, (out * (0.34 + 0.02 * lifted), 0.15 - 0.05 * lifted), 0.14, 0.13)
        z -= 0.03 * person.age * bump(x, y, (out * 0.38, 0.37), 0.1, 0.13)

    z += _nose(head, x, y)
    z += _mouth(head, x, y, pixel)
    cx, cy = p[8].tolist()
    z += 0.05 * bump(x, y, (cx, cy - 0.12), 0.1 + 0.03 * person.masculinity, 0.065)

    folds = []
    for crease in head.creases:
        width = max(crease.width, 0.8 * pixel)
        w = window(x, y, crease.line, 3 * width)
        profile = stroke(x[w], y[w], crease.line, width)
        depth = crease.depth * crease.width / width
        z[w] -= depth * profile
        folds.append(Fold(w, profile, depth))
    return z, radius, folds


def _nose(head: Head, x: Grid, y: Grid) -> Grid:
    p, person = head.landmarks, head.person
    root, tip, base = p[27].tolist(), p[30].tolist(), p[33].tolist()
    wide = person.nose_width
    along = np.clip((y - root[1] + 0.03) / (tip[1] - root[1] + 0.03), 0, 1)
    middle = root[0] + (tip[0] - root[0]) * along
    ends = step(y, root[1] - 0.12, root[1] + 0.04) * step(y, base[1] + 0.02, tip[1] + 0.03)
    bridge = (0.045 + 0.1 * along**1.5) * np.exp(-0.5 * ((x - middle) / (wide * (0.05 + 0.018 * along))) ** 2)
    z: Grid = person.nose_relief * bridge * ends
    z += person.nose_relief * 0.075 * bump(x, y, (tip[0], tip[1] + 0.015), 0.055 * wide, 0.05)
    for ala, out in ((p[31], -1.0), (p[35], 1.0)):
        z += 0.062 * bump(x, y, (float(ala[0]) + out * 0.002, float(ala[1]) - 0.025), 0.034 * wide, 0.04)
        z -= 0.022 * bump(x, y, (float(ala[0]) + out * 0.045, float(ala[1]) - 0.045), 0.02, 0.045)
    z -= 0.02 * bump(x, y, (base[0], base[1] + 0.055), 0.02, 0.04)  # philtrum
    return z


def _mouth(head: Head, x: Grid, y: Grid, pixel: float) -> Grid:
    p = head.landmarks
    top, under = p[51].tolist(), p[57].tolist()
    half = 0.5 * float(p[54, 0] - p[48, 0])
    middle = 0.5 * (top[1] + under[1])
    z: Grid = 0.05 * bump(x, y, (top[0], middle - 0.02), 0.2, 0.15)
    w = window(x, y, p[48:60], 0.06)
    a, b = x[w], y[w]
    lips = lip_curves(p)
    taper = np.sqrt(np.clip(1 - ((a - top[0]) / (half * 1.04)) ** 2, 0, 1))
    for upper, lower, thick in ((lips[0], lips[1], 0.023), (lips[2], lips[3], 0.03)):
        hi, lo = height_at(a, upper), height_at(a, lower)
        centre, spread = 0.5 * (hi + lo), np.maximum(0.42 * (lo - hi), 0.8 * pixel + 0.004)
        z[w] += thick * taper * np.exp(-0.5 * ((b - centre) / spread) ** 2)
    gap = np.minimum(b - height_at(a, lips[1]), height_at(a, lips[2]) - b)
    z[w] -= 0.045 * soft(gap - 0.01, max(0.05, 2 * pixel)) * taper
    return z


def lip_curves(p: Points) -> tuple[Points, Points, Points, Points]:
    """The four edges of the lips from corner to corner: outer upper, inner upper, inner lower, outer lower."""
    edges = (
        [48, 49, 50, 51, 52, 53, 54],
        [48, 60, 61, 62, 63, 64, 54],
        [48, 60, 67, 66, 65, 64, 54],
        [48, 59, 58, 57, 56, 55, 54],
    )
    upper, inner_upper, inner_lower, lower = (smooth_curve(p[edge], per_segment=5) for edge in edges)
    return upper, inner_upper, inner_lower, lower
