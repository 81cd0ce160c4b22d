"""The whole subject as one surface in front of the camera: what it reflects, where it faces, what it hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nferbench.contract.dataset import Modality
from nferbench.datasets.drawing.camera import Camera, lift
from nferbench.datasets.drawing.curves import Grid, soft
from nferbench.datasets.drawing.eyes import brow_layers, eye_layers
from nferbench.datasets.drawing.hair import Solid, ears, hair, torso
from nferbench.datasets.drawing.paint import coat
from nferbench.datasets.drawing.relief import Head, head_relief
from nferbench.datasets.drawing.skin import mouth_layers, nostril_layers, skin_layers


@dataclass(frozen=True, eq=False)
class Surface:
    """Fields over the pixels of a picture, all (n, n) but for the reflectance."""

    reflectance: Grid  # (n, n, 3) linear RGB, or (n, n, 1) near-infrared
    gloss: Grid  # strength of the mirror-like reflection
    normal: tuple[Grid, Grid, Grid]  # unit vectors: x right, y down, z to the camera
    height: Grid  # units
    openness: Grid  # share of the light from around that gets in, near 1 where nothing is hollow
    cover: Grid  # 1 where the subject is, 0 where the background shows
    pixel: float  # side of a pixel in units


def build_surface(head: Head, camera: Camera, n: int, modality: Modality) -> Surface:
    """The surface of a head and its surroundings on a grid of side `n`."""
    x, y = lift(camera, n)
    pixel = 2 / n / camera.scale
    solids = _solids(head, x, y, pixel)
    height = np.full_like(x, -0.6)
    slope_x, slope_y, cover = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for mask, own_height, _ in solids:
        # Slopes are taken within each body, so that its edge against the one behind is no cliff.
        own_y, own_x = np.gradient(own_height, np.float32(pixel))
        height += mask * (own_height - height)
        slope_x += mask * (own_x - slope_x)
        slope_y += mask * (own_y - slope_y)
        cover += mask * (1 - cover)
    reflectance, gloss = coat([layer for solid in solids for layer in solid.layers], x.shape, modality)

    up = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    # Hollows see less of the light from around: how far they lie below the mean of their neighbourhood.
    wide = ndimage.gaussian_filter(height, 0.075 / pixel, mode="nearest", truncate=2.5) - height
    near = ndimage.gaussian_filter(height, 0.018 / pixel, mode="nearest", truncate=2.5) - height
    openness = np.clip(1 - 2.2 * np.maximum(wide, 0) - 6.0 * np.clip(near, -0.006, 0.06), 0.25, 1.15)
    return Surface(reflectance, gloss, (-slope_x * up, -slope_y * up, up), height, openness, cover, pixel)


def _solids(head: Head, x: Grid, y: Grid, pixel: float) -> list[Solid]:
    """Everything in front of the background, from back to front."""
    rng = np.random.default_rng(head.person.texture)
    relief, radius, folds = head_relief(head, x, y, pixel)
    behind, front = hair(head, x, y, radius, pixel, rng)
    layers = skin_layers(head, x, y, radius, folds, pixel, rng)
    layers += mouth_layers(head, x, y, pixel) + nostril_layers(head, x, y, pixel)
    layers += eye_layers(head, x, y, pixel) + brow_layers(head, x, y, pixel, rng)
    face = Solid(soft((1 - radius) * 0.55, max(pixel, 0.008)), relief, layers)
    return [*behind, *torso(head, x, y, pixel), *ears(head, x, y, pixel), face, *front]
