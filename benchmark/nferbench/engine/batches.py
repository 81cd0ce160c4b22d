"""How many images are computed at a time: as many as were asked for, or as a device has memory for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from nferbench.contract.exhausted import out_of_memory

T = TypeVar("T")

ON_CPU, ON_GPU = 32, 256  # images at a time where nothing was asked for; a GPU may have memory for fewer


def wanted(asked: int | None, device: torch.device) -> int:
    """Images at a time to begin with.

    Args:
        asked: what the user said, 1 or more; None leaves it to the device.
        device: that translates.
    """
    return asked or (ON_GPU if device.type == "cuda" else ON_CPU)


def halving(batch: int, work: Callable[[int], T]) -> tuple[T, int]:
    """Work on a batch that is halved, and begun anew, as often as memory runs out.

    Args:
        batch: images to begin with, 1 or more.
        work: done with a number of images; leaves nothing behind where it fails.

    Returns:
        What the work gave, and the batch that it was given for.

    Raises:
        Exception: what the work raises; running out of memory only where a single image does.
    """
    while True:
        try:
            return work(batch), batch
        except Exception as error:
            if batch == 1 or not out_of_memory(error):
                raise
        batch //= 2
        torch.cuda.empty_cache()  # once the error is gone, which held on to what the work had allocated


def in_halves(work: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """What a work gives for some images, done in halves where memory runs out, down to one image.

    Args:
        work: of (n, ...) of each of `rows` to (n, ...), each image for itself.
        rows: of equal lengths, 1 or more.

    Raises:
        Exception: what the work raises; running out of memory only where a single image does.
    """
    try:
        return work(*rows)
    except Exception as error:
        if len(rows[0]) == 1 or not out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    half = len(rows[0]) // 2
    first, second = (in_halves(work, *(each[part] for each in rows)) for part in (slice(half), slice(half, None)))
    return torch.cat([first, second])
