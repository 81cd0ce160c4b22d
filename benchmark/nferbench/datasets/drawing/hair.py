"""What frames the face: hair, ears, neck and garment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nferbench.datasets.drawing.curves import Grid, Points, bump, grain, height_at, smooth_curve, soft, step
from nferbench.datasets.drawing.paint import EVERYWHERE, Layer, hair_colour, skin_colour
from nferbench.datasets.drawing.relief import Head


class Solid(NamedTuple):
    """A body with its own relief; those later in a list stand in front."""

    mask: Grid
    height: Grid
    layers: list[Layer]


def torso(head: Head, x: Grid, y: Grid, pixel: float) -> list[Solid]:
    """Neck and garment."""
    person = head.person
    half = 0.33 + 0.07 * person.masculinity
    wide = half + 0.12 * step(y, 0.72, 1.1)
    neck_mask = soft(wide - np.abs(x), max(pixel, 0.01)) * soft(y - 0.3, 0.1)
    height = 0.28 * np.sqrt(np.clip(1 - (x / (wide + 0.02)) ** 2, 0.02, 1)) - 0.42
    height += 0.03 * np.exp(-0.5 * ((np.abs(x) - 0.16 + 0.12 * (y - 0.8)) / 0.03) ** 2)
    vis, nir = skin_colour(person.skin_melanin + 0.03, 0.4)
    neck = Solid(neck_mask, height, [Layer(EVERYWHERE, neck_mask, vis, float(nir), 0.2)])
    collar = 0.93 - 0.16 * step(np.abs(x), 0.18, half + 0.1) + 0.12 * np.clip(np.abs(x) - half - 0.1, 0, 1)
    cloth_mask = soft(y - collar, max(pixel, 0.015))
    folds = 0.03 * np.sin(9 * x + 4 * y) - 0.25 * np.abs(x)
    return [neck, Solid(cloth_mask, folds - 0.25, [Layer(EVERYWHERE, cloth_mask, person.garment, person.garment_nir)])]


def ears(head: Head, x: Grid, y: Grid, pixel: float) -> list[Solid]:
    """Both ears, behind the head."""
    person = head.person
    vis, nir = skin_colour(person.skin_melanin, 0.75)
    solids = []
    for edge, out in ((head.landmarks[0], -1.0), (head.landmarks[16], 1.0)):
        cx, cy = float(edge[0]) + out * 0.015, float(edge[1]) + 0.06
        a, b = (x - cx) * out - 0.12 * (cy - y), y - cy
        r = np.sqrt((a / 0.085) ** 2 + (b / 0.165) ** 2)
        mask = soft((1 - r) * 0.085, max(pixel, 0.01))
        height = 0.02 - 0.05 * r + 0.03 * np.exp(-0.5 * ((r - 0.8) / 0.12) ** 2)
        layers = [Layer(EVERYWHERE, mask, vis, float(nir), 0.2)]
        shell = 0.55 * mask * bump(a, b, (0.008, 0.0), 0.028, 0.07)
        layers.append(Layer(EVERYWHERE, shell, (0.16, 0.06, 0.045), 0.3))
        solids.append(Solid(mask, height, layers))
    return solids


def _hairline(head: Head) -> Points:
    """Where the hair begins, as y over x."""
    person = head.person
    left, right = float(head.landmarks[0, 0]), float(head.landmarks[16, 0])
    top = -0.66 - 0.05 * person.forehead
    burn = -0.02 if person.masculinity > 0.5 else -0.14
    recede = 0.12 * person.age * person.masculinity
    temple, brim = top + 0.13 - recede, top - 0.3 * recede
    middle: list[tuple[float, float]]
    if person.hair_style == "fringe":
        brim = -0.4 - 0.05 * person.forehead
        middle = [(-0.4, brim - 0.02), (-0.2, brim), (0.0, brim + 0.01), (0.2, brim), (0.4, brim - 0.02)]
    elif person.hair_style in ("parted", "long"):
        part = person.hair_part
        middle = [
            (-0.42, temple + 0.06),
            (0.5 * (part - 0.42), brim + 0.08),
            (part, brim - 0.04),
            (0.5 * (part + 0.42), brim + 0.05),
            (0.42, temple + 0.05),
        ]
    else:
        middle = [(-0.4, temple), (-0.2, brim), (0.0, brim + 0.01), (0.2, brim), (0.4, temple)]
    sides = [(left - 0.1, burn), (left + 0.02, burn - 0.02), (left + 0.085, -0.36)]
    points = [*sides, *middle, (right - 0.085, -0.36), (right - 0.02, burn - 0.02), (right + 0.1, burn)]
    return smooth_curve(points, per_segment=5)


def hair(
    head: Head, x: Grid, y: Grid, radius: Grid, pixel: float, rng: np.random.Generator
) -> tuple[list[Solid], list[Solid]]:
    """Hair behind the head and hair in front of it."""
    person = head.person
    vis, nir = hair_colour(person)
    style = person.hair_style
    strands, along = _strands(head, x, y, radius, rng)
    clumps = grain(rng, along * 0.7, radius, 4.0)

    def tint(dark: float) -> tuple[Grid, Grid]:
        shade = dark * np.clip(1 + 0.2 * strands + 0.08 * clumps, 0.3, 1.8)
        return shade[..., None] * np.array(vis, np.float32), nir * shade

    volume = {"cropped": 0.02, "short": 0.07, "parted": 0.1, "fringe": 0.1, "long": 0.1, "tied": 0.03}[style]
    volume *= 0.7 + 0.6 * person.hair_volume
    thick = volume * (step(y, 0.0, -0.5) if style != "long" else 1.0)
    line = height_at(x, _hairline(head))
    edge = max(pixel, {"cropped": 0.05, "short": 0.04, "fringe": 0.018}.get(style, 0.03))
    top = soft(line - y + 0.012 * clumps + 0.006 * strands, edge)
    top *= soft((1 + thick + 0.004 * strands + 0.006 * clumps - radius) * 0.6, max(pixel, 0.015))
    lift = 0.012 + 0.25 * volume * step(line - y, 0.0, 0.2)
    skull = 0.6 * np.sqrt(np.clip(1 - (radius / (1.06 + volume)) ** 2.5, 0.01, 1))
    rise = skull + lift + 0.004 * strands + 0.012 * clumps
    front = [Solid(top, rise, [Layer(EVERYWHERE, top, *tint(1.0), 0.35)])]
    if style != "long":
        return [], front

    half = float(head.landmarks[16, 0])
    fuller = step(y, -0.4, 0.3) * (0.06 + 0.08 * person.hair_volume + 0.015 * np.sin(5 * y + 9 * person.hair_volume))
    width = half * (1.03 + volume) + fuller
    drop = soft(width - np.abs(x) + 0.006 * strands, max(pixel, 0.015)) * soft(y + 0.36, 0.3)
    behind = [Solid(drop, 0.02 * strands - 0.45, [Layer(EVERYWHERE, drop, *tint(0.5))])]
    inner = half * np.interp(y, [-0.6, -0.35, 0.0, 0.4, 1.0], [0.8, 0.86, 0.95, 1.0, 0.86]).astype(np.float32)
    locks = drop * soft(np.abs(x) - inner + 0.012 * clumps, max(pixel, 0.025))
    middle = 0.5 * (half + 0.15 + half)
    fullness = 0.25 * np.sqrt(np.clip(1 - ((np.abs(x) - middle) / 0.2) ** 2, 0.05, 1)) - 0.1 + 0.004 * strands
    return behind, [*front, Solid(locks, fullness, [Layer(EVERYWHERE, locks, *tint(1.0), 0.3)])]


def _strands(head: Head, x: Grid, y: Grid, radius: Grid, rng: np.random.Generator) -> tuple[Grid, Grid]:
    """Fine structure of the hair with standard deviation near one, and a coordinate along the strands."""
    style = head.person.hair_style
    direction = np.arctan2(x, -(y + 0.3))  # from straight up; jumps below, where no hair is
    if style in ("cropped", "short"):  # no strand is long enough to be followed
        return 0.7 * grain(rng, x, y, 26.0) + 0.6 * grain(rng, direction * 1.5, radius * 0.5, 30.0), direction
    if style == "tied":  # combed back from the face
        bend = direction * 1.6 + 0.12 * np.sin(3 * radius)
        return 0.7 * grain(rng, bend, radius * 0.15, 14.0) + 0.5 * grain(rng, bend, radius * 0.2, 38.0), radius
    # From the parting over the crown and down the sides.
    above = np.minimum(y + 0.3, 0.0)
    aside = x - head.person.hair_part * above / -0.75
    across = np.hypot(aside / 0.62, above / 0.75)
    along = 0.6 * np.arctan2(np.abs(aside), -above) + np.maximum(y + 0.3, 0.0)
    wave = np.where(aside < 0, across, -across) + 0.012 * np.sin(7 * along)
    strands = 0.7 * grain(rng, wave, along * 0.12, 20.0) + 0.5 * grain(rng, wave, along * 0.2, 55.0)
    parting = bump(aside, above, (0.0, -0.5), 0.012, 0.3)
    return strands * (1 - step(np.abs(aside), 0.05, 0.0) * (y < -0.3)) - 1.5 * parting, along
