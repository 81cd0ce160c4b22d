"""Random jitter of faces: enlarge, crop back to size, flip (Isola et al. 2017, Appendix 6.2)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from nferbench import UsageError


def jitter(images: Tensor, rng: Generator, ratio: float) -> Tensor:
    """Enlarge square images, cut a random window of the old size out of each, and flip every other one on average.

    All channels of a row move together: stack a pair on channels to jitter it as one, call twice to jitter apart.

    Args:
        images: (B, C, S, S) in [-1, 1].
        rng: source of the offsets (uniform, one per image and axis) and flips (probability 0.5).
        ratio: enlarged side / S, at least 1; 1 only flips.

    Returns:
        (B, C, S, S) in [-1, 1].

    Raises:
        UsageError: `ratio` is below 1.
    """
    count, channels, size, _ = images.shape
    enlarged = round(size * ratio)
    if enlarged < size:
        raise UsageError(f"jitter ratio {ratio} makes faces smaller than the crop; allowed is 1 (flip only) or more")
    if enlarged > size:
        # Deviation: the authors enlarge 8-bit files with PIL, which rounds; here the values stay real numbers.
        # The antialiased kernel is PIL's cubic (a = -0.5); the plain one of torch is another (a = -0.75).
        images = interpolate(images, (enlarged, enlarged), mode="bicubic", antialias=True).clamp(-1, 1)
    top, left = torch.randint(enlarged - size + 1, (2, count, 1), generator=rng, device=rng.device)
    flipped = torch.rand(count, 1, generator=rng, device=rng.device) < 0.5
    forward = torch.arange(size, device=rng.device)
    rows = (top + forward).to(images.device)
    columns = (left + torch.where(flipped, forward.flip(0), forward)).to(images.device)
    return images[
        torch.arange(count, device=images.device)[:, None, None, None],
        torch.arange(channels, device=images.device)[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
