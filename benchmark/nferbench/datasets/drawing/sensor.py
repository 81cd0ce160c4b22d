"""From linear light to eight-bit pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nferbench.datasets.drawing.curves import Grid


def grid_side(size: int) -> int:
    """Side of the grid that a picture of side `size` is drawn on: a multiple, so that small pictures do not alias."""
    return size * -(-96 // size)


def develop(image: Grid, size: int, noise_level: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Linear light (n, n, 3) or (n, n, 1) to a picture (size, size, 3), by averaging, tone curve and noise.

    Args:
        noise_level: standard deviation of the noise in a picture of 256 pixels; in smaller ones averaging lowers it.
    """
    fine = len(image) // size
    image = image.reshape(size, fine, size, fine, -1).mean((1, 3))
    tone = (1 - np.exp(-1.45 * np.maximum(image, 0))) ** np.float32(1 / 2.2)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(noise_level * min(1.0, size / 256))
    tone = tone + noise * (1.3 - 0.6 * tone)  # more of it shows in the dark
    pixels = np.clip(tone * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (size, size, 3)))
