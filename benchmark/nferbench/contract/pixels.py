"""The pixel conventions: 8 bits in files, [-1, 1] inside. Nothing else converts between the two."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """Images as networks see them.

    Args:
        images: (B, H, W, 3), uint8.

    Returns:
        (B, 3, H, W), float32 in [-1, 1], contiguous, on the same device; 0 becomes -1 and 255 becomes 1.
    """
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Images as files hold them: the inverse of `to_float`, exact on its results.

    Args:
        images: (B, 3, H, W), floating point, finite; what lies outside [-1, 1] is clamped.

    Returns:
        (B, H, W, 3), uint8, contiguous, on the same device, rounded to the nearest level.
    """
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255)
    return levels.permute(0, 2, 3, 1).to(torch.uint8, memory_format=torch.contiguous_format)


def grey(images: Tensor) -> Tensor:
    """The mean of the three channels, in each of three channels: (B, 3, H, W) in and out, any range."""
    return images.mean(dim=1, keepdim=True).repeat(1, 3, 1, 1)


def luma(images: Tensor) -> Tensor:
    """The brightness of a colour image (ITU-R BT.601) in each of three channels: (B, 3, H, W) in and out, any range."""
    weighted = 0.299 * images[:, 0:1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]
    return weighted.repeat(1, 3, 1, 1)
