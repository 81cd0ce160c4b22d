"""The two kinds of light: ambient visible light from anywhere, and a near-infrared lamp beside the lens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nferbench.datasets.drawing.camera import Camera
from nferbench.datasets.drawing.curves import Grid, grain
from nferbench.datasets.drawing.surface import Surface


@dataclass(frozen=True)
class Ambient:
    """Visible light of a place: one key light, and light from all around. Angles in radians, seen from the head."""

    azimuth: float  # 0 from the camera, positive from the right of the image
    elevation: float  # positive from above
    key: float  # share of the light that comes from the key, 0 to 1
    nearness: float  # how much faster than a far one the key fades across the picture: log ratio per half side
    key_colour: tuple[float, float, float]
    around_colour: tuple[float, float, float]
    level: float  # exposure, about 1


@dataclass(frozen=True)
class Lamp:
    """Near-infrared lamp beside the lens. Angles as for `Ambient`."""

    azimuth: float
    elevation: float
    level: float  # brightness of the middle of the picture, about 0.6
    reach: float  # what of its light comes back from the background, 0 to 1


def draw_ambient(rng: np.random.Generator) -> Ambient:
    """Light as it happens to be: from anywhere before the face, warm or cool, soft or hard, dim or bright."""
    warm = float(rng.uniform(-0.2, 0.26))
    cool = float(rng.uniform(-0.2, 0.12))
    return Ambient(
        azimuth=float(rng.uniform(-1.75, 1.75)),
        elevation=float(rng.uniform(-0.5, 1.2)),
        key=float(rng.uniform(0.6, 0.98)),
        nearness=float(rng.uniform(0.0, 1.4)),
        key_colour=(1 + warm, 1.0, 1 - warm),
        around_colour=(1 + cool, 1.0, 1 - cool),
        level=float(np.exp(rng.normal(np.log(1.15), 0.5))),
    )


def draw_lamp(rng: np.random.Generator) -> Lamp:
    """The lamp of a near-infrared camera: always about the same."""
    return Lamp(
        azimuth=float(rng.normal(0, 0.04)),
        elevation=float(rng.normal(0.06, 0.04)),
        level=float(np.exp(rng.normal(np.log(0.62), 0.12))),
        reach=float(rng.uniform(0.001, 0.023)),
    )


def visible(surface: Surface, light: Ambient, camera: Camera, scene: np.random.Generator) -> Grid:
    """Linear picture (n, n, 3) in ambient light; `scene` is the random stream of the background."""
    nx, ny, nz = surface.normal
    lx, ly, lz = _towards(light, camera)
    # Light enters skin and leaves it nearby, red the farthest: shading wraps around the terminator, red most.
    wrap = np.array([0.22, 0.1, 0.08], np.float32)
    direct = np.maximum(((nx * lx + ny * ly + nz * lz)[..., None] + wrap) / (1 + wrap), 0)
    lit = _shadow(surface.height, (lx, ly, lz), surface.pixel)
    axis = _axis(len(lit))
    fading = np.exp(light.nearness * (lx * axis[None, :] + ly * axis[:, None]))
    direct *= (fading * (0.08 + 0.92 * lit))[..., None]
    around = surface.openness * (0.42 - 0.2 * ny + 0.08 * nz)
    length = float(np.sqrt(2 + 2 * lz))
    mirror = np.maximum((nx * lx + ny * ly + nz * (lz + 1)) / length, 0)
    shine = surface.gloss * lit * (0.06 * mirror**10 + 0.06 * mirror**50)

    key = np.array(light.key_colour, np.float32) * light.key
    ambient = np.array(light.around_colour, np.float32) * (1 - light.key)
    received = direct * key * (0.5 + 0.5 * surface.openness)[..., None] + around[..., None] * ambient
    image: Grid = surface.reflectance * received + shine[..., None] * key
    wall = np.array(scene.uniform(0.03, 0.7, 3), np.float32) * 0.35 + np.float32(scene.uniform(0.05, 0.9) * 0.65)
    wall = wall * np.float32(light.key * 0.45 * max(lz, 0.25) + 0.55 * (1 - light.key))
    image += ((1 - surface.cover) * _background(len(image), scene))[..., None] * wall
    # The camera meters the middle of the picture, and does not quite make a dark face a bright one.
    image *= np.float32(light.level * (0.25 / _middle(image[..., 1])) ** 0.75)
    return image


def infrared(surface: Surface, lamp: Lamp, camera: Camera, scene: np.random.Generator) -> Grid:
    """Linear picture (n, n, 1) in the light of the lamp, which the background gets little of."""
    nx, ny, nz = surface.normal
    lx, ly, lz = _towards(lamp, camera)
    facing = np.maximum((nx * lx + ny * ly + nz * lz + 0.18) / 1.18, 0)
    fall_off = (3.4 / (4.0 - surface.height)) ** 2  # the lamp is near: what stands out gets more of it
    mirror = np.maximum(nx * lx * 0.5 + ny * ly * 0.5 + nz, 0)
    image: Grid = surface.reflectance[..., 0] * facing * fall_off * surface.openness
    image += surface.gloss * (0.035 * mirror**24 + 0.05 * mirror**90)
    image *= surface.cover
    image += (1 - surface.cover) * (lamp.reach * _background(len(image), scene))
    image *= np.float32(lamp.level / _middle(image))
    axis = _axis(len(image))
    image *= 1 - 0.16 * (axis[:, None] ** 2 + axis[None, :] ** 2)  # the beam is brightest along its axis
    return image[..., None]


def _towards(light: Ambient | Lamp, camera: Camera) -> tuple[float, float, float]:
    """Unit vector to the light from a head that has turned under it."""
    yaw, pitch = light.azimuth - camera.yaw, light.elevation - camera.pitch
    return float(np.sin(yaw) * np.cos(pitch)), float(-np.sin(pitch)), float(np.cos(yaw) * np.cos(pitch))


def _shadow(height: Grid, towards: tuple[float, float, float], pixel: float) -> Grid:
    """Share of the key light that reaches each point: the relief is searched along the way to the light."""
    across, down, up = towards
    flat = float(np.hypot(across, down))
    if flat < 0.12:
        return np.ones_like(height)
    blocked = np.full_like(height, -1.0)
    for distance in (0.03, 0.06, 0.1, 0.15, 0.21, 0.28, 0.37, 0.48):
        way = (-down / flat * distance / pixel, -across / flat * distance / pixel)
        above = ndimage.shift(height, way, order=1, mode="nearest", prefilter=False)
        np.maximum(blocked, (above - height - distance * up / flat) / (0.03 + 0.2 * distance), out=blocked)
    dark = np.clip(blocked + 0.5, 0, 1)
    lit: Grid = 1 - ndimage.gaussian_filter(dark, 0.03 / pixel, mode="nearest", truncate=2.5)
    return lit


def _background(n: int, rng: np.random.Generator) -> Grid:
    """Out-of-focus background with mean near one."""
    axis = _axis(n)
    u, v = np.broadcast_to(axis[None, :], (n, n)), np.broadcast_to(axis[:, None], (n, n))
    slope = rng.uniform(-0.6, 0.6, 2).tolist()
    field: Grid = 1 + slope[0] * u + slope[1] * v + 0.28 * grain(rng, u, v, 1.6)
    return np.clip(field, 0.1, 2.5)


def _axis(n: int) -> Grid:
    """Pixel centres from -1 to 1."""
    return ((np.arange(n) + 0.5) * (2 / n) - 1).astype(np.float32)


def _middle(image: Grid) -> float:
    quarter = len(image) // 4
    return float(image[quarter:-quarter, quarter:-quarter].mean())
