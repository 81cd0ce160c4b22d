"""Paint of the bare face: skin with its pigments and marks, facial hair, lips and the open mouth."""

from __future__ import annotations

import numpy as np

from nferbench.datasets.drawing.curves import Grid, between, bump, grain, height_at, soft, step, window
from nferbench.datasets.drawing.paint import EVERYWHERE, Layer, hair_colour, skin_colour
from nferbench.datasets.drawing.relief import Fold, Head, lip_curves


def skin_layers(
    head: Head, x: Grid, y: Grid, radius: Grid, folds: list[Fold], pixel: float, rng: np.random.Generator
) -> list[Layer]:
    """Skin inside the outline of the head, with moles, beard and stubble."""
    p, person = head.landmarks, head.person
    blotch, mottle, pores = grain(rng, x, y, 3.0), grain(rng, x, y, 11.0), grain(rng, x, y, 45.0)
    cells, moles = grain(rng, x, y, 30.0), rng.uniform((-0.45, -0.1), (0.45, 0.65), (4, 2))
    blood = 0.3 + 0.35 * person.skin_redness + 0.06 * blotch + 0.03 * mottle
    for side in (-1.0, 1.0):
        blood = blood + (0.3 + 0.4 * person.skin_redness) * bump(x, y, (side * 0.33, 0.14), 0.13, 0.11)
    tip = p[30].tolist()
    blood = blood + (0.25 + 0.3 * person.skin_redness) * bump(x, y, (tip[0], tip[1] + 0.03), 0.1, 0.07)
    melanin = person.skin_melanin * (1 + 0.04 * blotch + 0.03 * mottle) + 0.02 * pores
    for eye in (p[36:42], p[42:48]):
        ex, ey = eye.mean(0).tolist()
        melanin = melanin + (0.07 + 0.08 * person.age) * bump(x, y, (ex, ey + 0.06), 0.1, 0.04)
        melanin = melanin + 0.05 * bump(x, y, (ex, ey - 0.03), 0.12, 0.05)
    if person.freckles:
        area = np.exp(-0.5 * ((y - 0.08) / 0.17) ** 2)
        melanin = melanin + 0.22 * person.freckles * area * step(cells, 0.75, 1.8)
    vis, nir = skin_colour(melanin, blood)
    layers = [Layer(EVERYWHERE, soft((1 - radius) * 0.55, max(pixel, 0.008)), vis, nir, 0.35 + 0.65 * person.oiliness)]

    for mx, my in moles[: int(rng.integers(0, 3))].tolist():
        w = window(x, y, [(mx, my)], 0.06)
        layers.append(Layer(w, 0.8 * bump(x[w], y[w], (mx, my), 0.012, 0.011), (0.09, 0.045, 0.03), 0.5))
    for fold in folds:  # they trap light, at their bottom most
        layers.append(Layer(fold.where, min(0.5, 14 * fold.depth) * fold.profile**2, (0.2, 0.09, 0.06), 0.34))
    return layers + _facial_hair(head, x, y, radius, pixel, rng)


def _facial_hair(head: Head, x: Grid, y: Grid, radius: Grid, pixel: float, rng: np.random.Generator) -> list[Layer]:
    person, p = head.person, head.landmarks
    if person.masculinity < 0.5:
        return []
    corner, base = 0.5 * float(p[48, 1] + p[54, 1]), float(p[33, 1])
    half = 0.5 * float(p[54, 0] - p[48, 0])
    edge = soft((1.01 - radius) * 0.5, 0.03)
    jaw = step(np.abs(x) * 1.1 + 0.75 * (y - corner), 0.22, 0.4) * step(y, -0.02, 0.16) * edge
    chin = step(y, float(p[57, 1]) + 0.01, float(p[57, 1]) + 0.07) * step(np.abs(x), 0.3, 0.16) * edge
    lip = (
        step(y, base - 0.01, base + 0.05)
        * step(y, corner + 0.12, corner + 0.02)
        * step(np.abs(x), half * 1.35, half * 0.9)
    )
    hairs = grain(rng, x, y * 0.45, 60.0)
    vis, nir = hair_colour(person)
    grown = np.maximum(person.beard * np.maximum(jaw, chin), person.moustache * lip) * (
        0.86 + 0.14 * np.clip(hairs, -1, 1)
    )
    shadow = 0.22 * person.stubble * (0.4 + 0.6 * person.hair_melanin) * np.maximum(np.maximum(jaw, chin), lip)
    layers = [Layer(EVERYWHERE, shadow * (0.9 + 0.2 * np.clip(hairs, -1, 1)), (0.13, 0.12, 0.12), 0.45)]
    if person.beard:
        layers.append(Layer(EVERYWHERE, np.clip(grown, 0, 0.93), vis, nir))
    return layers


def mouth_layers(head: Head, x: Grid, y: Grid, pixel: float) -> list[Layer]:
    """Lips, the line between them, and what an open mouth shows."""
    p, person = head.landmarks, head.person
    w = window(x, y, p[48:68], 0.05)
    a, b = x[w], y[w]
    upper, inner_upper, inner_lower, lower = lip_curves(p)
    edge = max(pixel, 0.012)
    skin, skin_nir = skin_colour(person.skin_melanin, 0.6)
    pink = (0.86, 0.55, 0.55) if person.masculinity > 0.5 else (0.86, 0.44, 0.46)
    rose = (float(skin[0]) * pink[0], float(skin[1]) * pink[1], float(skin[2]) * pink[2])
    dark = (rose[0] * 0.82, rose[1] * 0.75, rose[2] * 0.78)
    nir = float(skin_nir)
    layers = [
        Layer(w, 0.9 * soft(between(a, b, upper, inner_upper), edge), dark, 0.97 * nir, 0.9),
        Layer(w, 0.9 * soft(between(a, b, inner_lower, lower), edge), rose, nir, 1.1),
    ]
    # The line between closed lips is a shadow: dark in both kinds of light.
    gap = between(a, b, inner_upper, inner_lower)
    ends = float(inner_upper[0, 0]), float(inner_upper[-1, 0])
    line = np.minimum(gap + 0.004, np.minimum(a - ends[0], ends[1] - a))
    layers.append(Layer(w, 0.92 * soft(line, max(pixel, 0.009)), (0.035, 0.012, 0.011), 0.05))
    opening = float(p[66, 1] - p[62, 1])
    if opening > 0.012:
        top, bottom = height_at(a, inner_upper), height_at(a, inner_lower)
        middle, half = 0.5 * (ends[0] + ends[1]), 0.5 * (ends[1] - ends[0])
        inside = soft(gap - 0.004, max(pixel, 0.006))
        rows = 1 - 0.12 * np.cos((a - middle) * (2 * np.pi / 0.055)) ** 8
        width = step(np.abs(a - middle), 0.82 * half, 0.6 * half)
        shown = min(0.05 - 0.018 * head.performance.mean(26), 0.75 * opening)
        teeth = inside * soft(top + shown - b, max(pixel, 0.006)) * width * rows
        lower_teeth = min(1.0, head.performance.mean(16) + head.performance.mean(20)) * inside * width
        lower_teeth = lower_teeth * soft(b - bottom + 0.35 * min(0.06, opening), max(pixel, 0.008))
        tongue = inside * bump(a, b, (middle, float(p[66, 1])), 0.5 * half, 0.28 * opening) * min(1.0, opening / 0.1)
        layers.append(Layer(w, 0.8 * tongue, (0.19, 0.06, 0.055), 0.17, 0.3))
        layers.append(Layer(w, 0.7 * lower_teeth, (0.45, 0.36, 0.3), 0.34))
        layers.append(Layer(w, 0.9 * teeth, (0.5, 0.46, 0.39), 0.4, 0.4))
    return layers


def nostril_layers(head: Head, x: Grid, y: Grid, pixel: float) -> list[Layer]:
    """Nostrils and the fold around the wings of the nose."""
    p = head.landmarks
    layers = []
    for wing, under, out in ((p[31], p[32], -1.0), (p[35], p[34], 1.0)):
        nx, ny = (0.42 * wing + 0.58 * under).tolist()
        w = window(x, y, [(nx, ny)], 0.1)
        a, b = x[w], y[w]
        hole = bump(a, b - 0.25 * out * (a - nx), (nx, ny - 0.004), max(0.03, 0.6 * pixel), max(0.0145, 0.6 * pixel))
        layers.append(Layer(w, np.clip(1.5 * hole - 0.12, 0, 0.97), (0.05, 0.018, 0.014), 0.07))
        fx, fy = float(wing[0]) + out * 0.03, float(wing[1])
        side = bump(a, b, (fx, fy - 0.035), max(0.011, 0.6 * pixel), 0.03)
        layers.append(Layer(w, 0.35 * side, (0.2, 0.09, 0.06), 0.35))
    return layers
