"""Evaluating a network on a CPU so that an image gets the same bits whatever batch it came in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LARGE, SMALL = 4, 16  # images that a CPU evaluates at a time; small ones keep it busy only if they are more
LARGEST_SMALL = 8192  # numbers in a small image: 32 px with a condition beside it has 6144


def in_groups(evaluate: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor) -> Tensor:
    """Apply a network to groups of fixed size, the last one filled up with copies of the last image.

    A CPU's kernels, and with them the last bits, depend on the batch size. From a few images on this costs no time.

    Args:
        evaluate: (G, ...) images and (G,) times to (G, ...) results, each of which depends on its own image only.
        x: (B, ...) images.
        t: (B,) time of each image, or (1,) of all.
    """
    size = SMALL if x[0].numel() <= LARGEST_SMALL else LARGE
    missing = -len(x) % size
    t = t.expand(len(x))
    if missing:
        x, t = (torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) for rows in (x, t))
    groups = zip(torch.split(x, size), torch.split(t, size), strict=True)
    return torch.cat([evaluate(*group) for group in groups])[: len(x) - missing]
