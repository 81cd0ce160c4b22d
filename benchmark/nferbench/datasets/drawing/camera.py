"""Where a head stands before the camera: pixels to face coordinates, and landmarks to pixels, as exact inverses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nferbench.datasets.drawing.curves import Grid, Points


@dataclass(frozen=True)
class Camera:
    """A head's pose in front of an orthographic camera."""

    yaw: float = 0.0  # radians; positive turns the nose to the right of the image
    pitch: float = 0.0  # radians; positive lifts the nose
    roll: float = 0.0  # radians; positive turns clockwise as seen
    scale: float = 1.0  # image half sides per unit
    shift: tuple[float, float] = (0.0, 0.0)  # image half sides


def frame(points: Points, rng: np.random.Generator) -> Camera:
    """A pose a few degrees from straight, cropped as a face detector would: about around the landmarks `points`."""
    yaw, pitch, roll, scale, across, down = rng.standard_normal(6).clip(-2, 2).tolist()
    turned = Camera(yaw=0.13 * yaw, pitch=0.1 * pitch, roll=0.08 * roll)
    placed = _place(turned, points)
    low, high = placed.min(0), placed.max(0)
    zoom = (1.36 + 0.055 * scale) / float((high - low).max())  # the landmarks fill two thirds of the side
    centre = (zoom * (low + high) / 2).tolist()
    return replace(turned, scale=zoom, shift=(0.035 * across - centre[0], 0.12 + 0.035 * down - centre[1]))


def second_camera(camera: Camera, rng: np.random.Generator) -> Camera:
    """A camera beside the first, aligned up to the small error that a calibrated pair of cameras keeps."""
    roll, scale, across, down = rng.standard_normal(4).clip(-2, 2).tolist()
    return replace(
        camera,
        roll=camera.roll + 0.005 * roll,
        scale=camera.scale * (1 + 0.005 * scale),
        shift=(camera.shift[0] + 0.005 * across, camera.shift[1] + 0.005 * down),
    )


def project(camera: Camera, points: Points, size: int) -> NDArray[np.float32]:
    """Points (K, 2) in face coordinates to x, y in pixels of an image of side `size` (pixel centres are integers)."""
    return ((_place(camera, points) + 1) * (size / 2) - 0.5).astype(np.float32)


def _place(camera: Camera, points: Points) -> Points:
    x, y = points[:, 0], points[:, 1]
    depth = _depth(x, y)
    x = x * np.cos(camera.yaw) + depth * np.sin(camera.yaw)
    y = y * np.cos(camera.pitch) - depth * np.sin(camera.pitch)
    c, s = camera.scale * np.cos(camera.roll), camera.scale * np.sin(camera.roll)
    placed: Points = np.stack([c * x - s * y, s * x + c * y], 1) + np.array(camera.shift)
    return placed


def lift(camera: Camera, size: int) -> tuple[Grid, Grid]:
    """Face coordinates x, y, each (size, size), of every pixel centre."""
    axis = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    u, v = axis[None, :] - camera.shift[0], axis[:, None] - camera.shift[1]
    c, s = float(np.cos(camera.roll)) / camera.scale, float(np.sin(camera.roll)) / camera.scale
    across, down = c * u + s * v, c * v - s * u
    tilt = float(np.sin(camera.yaw)), float(np.sin(camera.pitch))
    turn = float(np.cos(camera.yaw)), float(np.cos(camera.pitch))
    x, y = across, down
    for _ in range(4):  # a contraction: the depth is gentle and the angles are small
        depth = _depth(x, y)
        x, y = (across - tilt[0] * depth) / turn[0], (down + tilt[1] * depth) / turn[1]
    return x, y


def _depth(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """How far the head stands out towards the camera: what makes features shift against each other as it turns."""
    return 0.62 * np.exp(-1.1 * (x / 0.6) ** 2 - 0.9 * (y / 0.95) ** 2) + 0.13 * np.exp(
        -0.5 * ((x / 0.12) ** 2 + ((y - 0.13) / 0.15) ** 2)
    )
