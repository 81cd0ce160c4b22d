"""What reflects how much light where: layers of reflectance, each for visible light and for near-infrared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nferbench.contract.dataset import Modality
from nferbench.datasets.drawing.curves import Grid, Window
from nferbench.datasets.drawing.identity import Person

Colour = tuple[float, float, float]
EVERYWHERE: Window = (slice(None), slice(None))


class Layer(NamedTuple):
    """One coat of paint over those before it."""

    where: Window  # part of the grid that it covers
    mask: Grid  # coverage in [0, 1] there
    vis: Colour | Grid  # linear RGB reflectance: one colour, (3,) or (h, w, 3)
    nir: float | Grid  # reflectance at about 850 nm
    gloss: float = 0.0  # strength of the mirror-like reflection


def skin_colour(melanin: Grid | float, blood: Grid | float) -> tuple[Grid, Grid]:
    """Linear RGB and near-infrared reflectance of skin.

    Melanin and blood absorb exponentially, both far less in near-infrared: there skin is bright and even.
    """
    melanin, blood = np.asarray(melanin, np.float32)[..., None], np.asarray(blood, np.float32)[..., None]
    absorbed = melanin * np.array([1.6, 2.1, 2.45], np.float32) + blood * np.array([0.05, 0.36, 0.28], np.float32)
    vis = np.array([0.76, 0.6, 0.5], np.float32) * np.exp(-absorbed)
    nir: Grid = 0.66 * np.exp(-0.32 * melanin[..., 0] - 0.03 * blood[..., 0])
    return vis, nir


def hair_colour(person: Person) -> tuple[Colour, float]:
    """Linear RGB and near-infrared reflectance of hair: eumelanin absorbs much less in near-infrared."""
    m, red, grey = person.hair_melanin, person.hair_red * (1 - person.hair_melanin), person.hair_grey
    base = np.array([0.62 + 0.05 * red, 0.47 - 0.2 * red, 0.27 - 0.18 * red])
    vis = base * np.exp(-m * np.array([2.9, 3.2, 3.2]))
    vis = (1 - grey) * vis + grey * np.array([0.42, 0.42, 0.42])
    nir = (1 - grey) * 0.56 * float(np.exp(-1.25 * m)) + grey * 0.5
    return (float(vis[0]), float(vis[1]), float(vis[2])), nir


def iris_colour(person: Person) -> tuple[Colour, float]:
    """Linear RGB and near-infrared reflectance of the iris, which near-infrared shows light whatever its colour."""
    m = person.iris_melanin
    pale, brown = np.array([0.2, 0.3, 0.38]), np.array([0.075, 0.035, 0.018])
    vis = pale ** (1 - m) * brown**m
    return (float(vis[0]), float(vis[1]), float(vis[2])), 0.36 - 0.08 * m


def coat(layers: list[Layer], shape: tuple[int, int], modality: Modality) -> tuple[Grid, Grid]:
    """All layers over each other: reflectance (h, w, 3) or (h, w, 1), and gloss (h, w)."""
    reflectance = np.zeros((*shape, 3 if modality == "vis" else 1), np.float32)
    gloss = np.zeros(shape, np.float32)
    for where, mask, vis, nir, shine in layers:
        paint = np.asarray(vis if modality == "vis" else nir, np.float32)
        if modality == "nir":
            paint = paint[..., None]
        area = reflectance[where]
        area += mask[..., None] * (paint - area)
        part = gloss[where]
        part += mask * (shine - part)
    return reflectance, gloss
