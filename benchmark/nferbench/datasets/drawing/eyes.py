"""Paint of eyes and brows."""

from __future__ import annotations

import numpy as np

from nferbench.datasets.drawing.curves import (
    Grid,
    Points,
    between,
    bump,
    grain,
    height_at,
    smooth_curve,
    soft,
    step,
    stroke,
    window,
)
from nferbench.datasets.drawing.paint import Layer, hair_colour, iris_colour, skin_colour
from nferbench.datasets.drawing.relief import Head


def eye_layers(head: Head, x: Grid, y: Grid, pixel: float) -> list[Layer]:
    """Eyeballs between the lids, irises at the gaze, lashes and the fold of the upper lid."""
    left = _eye(head, x, y, pixel, head.landmarks[36:42], head.rest_eyes[0], -1.0)
    return left + _eye(head, x, y, pixel, head.landmarks[42:48], head.rest_eyes[1], 1.0)


def _eye(head: Head, x: Grid, y: Grid, pixel: float, e: Points, rest: float, out: float) -> list[Layer]:
    """One eye with landmarks `e` (6, 2); `out` is the sign of x on its side, `rest` the y of its centre at rest."""
    person = head.person
    skin, _ = skin_colour(person.skin_melanin + 0.12, 0.8)
    lid = (0.45 * float(skin[0]), 0.4 * float(skin[1]), 0.4 * float(skin[2]))
    w = window(x, y, e, 0.12)
    a, b = x[w], y[w]
    upper, lower = smooth_curve(e[[0, 1, 2, 3]], per_segment=6), smooth_curve(e[[0, 5, 4, 3]], per_segment=6)
    opening = soft(between(a, b, upper, lower), max(pixel, 0.008))

    cx, cy = (e.mean(0) + head.performance.gaze).tolist()
    cy = 0.35 * cy + 0.65 * (rest - 0.004)  # lids move more than the eyeball behind them
    size = 0.062 * person.eye_size**0.5
    r = np.hypot(a - cx, b - cy)
    shade = 0.55 + 0.45 * step(b - height_at(a, upper), 0.0, 0.04)  # of the lid, on the eyeball
    white: Grid = shade[..., None] * np.array([0.46, 0.43, 0.42], np.float32)
    hue, iris_nir = iris_colour(person)
    rays = 1 + 0.1 * np.cos(np.arctan2(b - cy, a - cx) * 17) * step(r, 0.3 * size, 0.8 * size)
    iris = (1 - 0.65 * step(r, 0.8 * size, size)) * rays * shade
    colour = iris[..., None] * np.array(hue, np.float32)
    spot = max(0.008, 0.5 * pixel)
    glint = min(1.0, 0.012 / pixel) * bump(a, b, (cx + 0.014, cy - 0.016), spot, spot)
    canthus = bump(a, b, e[3 if out < 0 else 0], 0.022, 0.02)
    layers = [
        Layer(w, opening, white, 0.47 * shade),
        Layer(w, opening * soft(size - r, max(pixel, 0.01)), colour, iris_nir * iris),
        Layer(w, opening * soft(0.42 * size - r, max(pixel, 0.01)), (0.01, 0.008, 0.008), 0.015),
        Layer(w, 0.9 * opening * glint, (1.3, 1.3, 1.3), 1.2),
        Layer(w, 0.7 * opening * canthus, (0.4, 0.19, 0.17), 0.48),
    ]

    corner = e[0] if out < 0 else e[3]
    wing = corner[None] + [[0.02 * out, -0.008]]
    lash = smooth_curve(np.concatenate([wing, e[:4]] if out < 0 else [e[:4], wing]))
    thick = max(0.0085 if person.masculinity > 0.5 else 0.0125, 0.6 * pixel)
    fine = max(0.006, 0.6 * pixel)
    faint = min(1.0, 0.0115 / thick)  # as much ink however wide the pixels force the line to be
    apart = float(np.mean(e[[4, 5], 1]) - np.mean(e[[1, 2], 1]))
    rise = max(0.012, 0.036 - 0.12 * max(0.0, apart - 0.09))
    fold = smooth_curve(e[:4] - np.array([[0.0, 0.35], [0.0, 1.0], [0.0, 1.0], [0.0, 0.35]]) * rise)
    return [
        *layers,
        Layer(w, 0.95 * faint * stroke(a, b + 0.004, lash, thick), (0.025, 0.016, 0.013), 0.08),
        Layer(w, 0.5 * faint * stroke(a, b - 0.004, smooth_curve(e[[0, 5, 4, 3]]), fine), lid, 0.34),
        Layer(w, 0.6 * stroke(a, b, fold, max(0.007, 0.6 * pixel)), lid, 0.36),
    ]


def brow_layers(head: Head, x: Grid, y: Grid, pixel: float, rng: np.random.Generator) -> list[Layer]:
    """Brows as bands of hair along their landmarks, thick towards the nose."""
    p, person = head.landmarks, head.person
    vis, nir = hair_colour(person)
    vis = (min(vis[0], 0.2) * 0.65, min(vis[1], 0.14) * 0.65, min(vis[2], 0.1) * 0.65)
    layers = []
    for part, out in ((slice(17, 22), -1.0), (slice(22, 27), 1.0)):
        line = smooth_curve(p[part], per_segment=6)
        w = window(x, y, line, 0.07)
        a, b = x[w], y[w]
        ends = float(line[0, 0]), float(line[-1, 0])
        t = np.clip((a - ends[0]) / (ends[1] - ends[0]), 0, 1)
        t = t if out < 0 else 1 - t  # 0 at the tail, 1 at the nose
        profile = np.interp(t, [0, 0.25, 0.75, 1], [0.15, 0.7, 1.0, 0.85]).astype(np.float32)
        half = 0.026 * person.brow_thickness * profile
        off = np.abs(b - height_at(a, line) - 0.008) / half
        hairs = grain(rng, a * 0.5 + 1.1 * out * b, b * 0.3, 70.0)
        along = np.minimum(a - ends[0], ends[1] - a)
        mask = np.clip(1.5 - 1.15 * off**1.6 + 0.22 * hairs, 0, 1) * soft(along - 0.01, 0.06)
        layers.append(Layer(w, 0.93 * person.brow_density * mask, vis, 0.6 * nir))
    return layers
