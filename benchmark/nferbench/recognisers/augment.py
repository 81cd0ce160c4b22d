"""Views of faces for training and testing recognisers: batched on the device, one random draw an image.

All random numbers come from the generator that is handed in, so that an update can be repeated exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # on [0, 1]


def at_least_two(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A batch that BatchNorm can train on: one face alone has no spread, so it counts twice, in two views."""
    return (images.repeat(2, 1, 1, 1), labels.repeat(2)) if len(images) == 1 else (images, labels)


def luminance(images: Tensor) -> Tensor:
    """Colour (B, 3, H, W) to its luminance (B, 1, H, W), so that a tint tells a recogniser nothing."""
    return (images * _channels(_LUMA, images)).sum(dim=1, keepdim=True)


def resized(images: Tensor, side: int) -> Tensor:
    """Faces at (side, side), bilinear with antialiasing; at that size already, the same tensor."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def random_view(
    images: Tensor, side: int, rng: Generator, *, window: tuple[float, float], shift: float, degrees: float
) -> Tensor:
    """A square window of the face, moved, turned, and mirrored half of the time.

    Args:
        images: (B, C, H, H).
        side: of the view, in pixels.
        rng: the random stream.
        window: least and greatest side of the window as a share of the face's; uniform between the two.
        shift: the window's centre moves by a uniform ± this share of half the face, along either axis.
        degrees: the turn is uniform in ± degrees.

    Returns:
        (B, C, side, side), bilinear; what lies outside of the face repeats its edge.
    """
    # Shrinking comes first, because sampling at grid points does not antialias; growing is left to the sampling.
    images = resized(images, min(images.shape[-1], round(side / window[0])))
    count = len(images)
    mirror = 1 - 2 * (_uniform(rng, images, count) < 0.5).to(images.dtype)
    angle = math.radians(degrees) * _uniform(rng, images, count, -1, 1)
    share = _uniform(rng, images, count, *window)
    x, y = (_uniform(rng, images, count, -shift, shift) for _ in range(2))
    cos, sin = share * angle.cos(), share * angle.sin()
    # Where each point of the view lies in the face: mirror, turn, scale by the window, move.
    rows = [cos * mirror, -sin, x, sin * mirror, cos, y]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(count, 2, 3), [count, 1, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def jittered(images: Tensor, rng: Generator, *, strength: float) -> Tensor:
    """Brightness, then contrast about the mean of the image, each scaled by 1 ± strength and cut to the range."""
    brightness, contrast = (
        _uniform(rng, images, len(images), 1 - strength, 1 + strength).view(-1, 1, 1, 1) for _ in range(2)
    )
    bright = ((images + 1) / 2 * brightness).clamp(0, 1)
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + contrast * (bright - mean)).clamp(0, 1) * 2 - 1


def erased(
    images: Tensor, rng: Generator, *, p: float, area: tuple[float, float] = (0.02, 0.25), aspect: float = 3.3
) -> Tensor:
    """Random erasing (Zhong et al. 2020): with probability p a rectangle of the image becomes 0.

    Args:
        images: (B, C, H, W), normalised, so that 0 is the mean.
        rng: the random stream.
        p: probability for each image.
        area: least and greatest share of the image.
        aspect: height over width is log-uniform in [1 / aspect, aspect]; `area` times `aspect` must stay below 1.
    """
    count, _, height, width = images.shape
    chosen = _uniform(rng, images, count) < p
    share = _uniform(rng, images, count, *area)
    ratio = _uniform(rng, images, count, -math.log(aspect), math.log(aspect)).exp()
    inside = chosen.view(-1, 1, 1)
    # Pixels whose centre lies in the rectangle, along each axis in units of the image.
    for extent, pixels, shape in (
        ((share * ratio).sqrt(), height, (1, -1, 1)),
        ((share / ratio).sqrt(), width, (1, 1, -1)),
    ):
        start = (1 - extent) * _uniform(rng, images, count)
        centre = (torch.arange(pixels, device=images.device) + 0.5) / pixels
        first, last = start.view(-1, 1, 1), (start + extent).view(-1, 1, 1)
        inside = inside & (centre.view(shape) >= first) & (centre.view(shape) < last)
    return images.masked_fill(inside.unsqueeze(1), 0.0)


def imagenet_normalised(images: Tensor) -> Tensor:
    """[-1, 1] with one or three channels to three channels in the units of networks trained on ImageNet."""
    return ((images + 1) / 2 - _channels(_IMAGENET_MEAN, images)) / _channels(_IMAGENET_STD, images)


def _channels(values: tuple[float, float, float], like: Tensor) -> Tensor:
    """A constant for each channel, (1, 3, 1, 1), filled where it is needed: a GPU would wait for a copy."""
    return torch.cat([like.new_full((1, 1, 1, 1), value) for value in values], dim=1)


def _uniform(rng: Generator, like: Tensor, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    draws = torch.rand(count, generator=rng, device=rng.device).to(like.device)
    return low + (high - low) * draws
