"""The learning-rate schedule of the GANs: constant, then a straight line towards zero."""

from __future__ import annotations


def linear_decay(epoch: int, constant: int, decay: int) -> float:
    """Learning rate of an epoch as a multiple of the initial one.

    Args:
        epoch: 1-based.
        constant: epochs at the full rate.
        decay: epochs after those; the last of them has 1 / (decay + 1) of the rate.
    """
    # Deviation: the authors' newer versions lower the rate one epoch earlier and spend the last epoch at exactly 0,
    # where nothing is learned; this is the count of their first versions.
    return 1.0 - max(0, epoch - constant) / (decay + 1)
