"""How much of a GPU's memory one of several workers may take."""

from __future__ import annotations

TAKEN = 0.92  # of the whole memory; the rest is left to CUDA's contexts and to what allocators cannot fill


def budget(total: int, free: int, sharing: int, held: int = 0) -> int:
    """Bytes that one worker may plan with: what is free now, but no more than is left of its share.

    A worker that starts alone finds all free and would leave nothing to those that follow. Nothing enforces the share:
    torch's limit by process counts neither the context nor what libraries take past its allocator, and would end a
    worker that needs a little more while memory is free.

    Args:
        total: bytes of the device.
        free: bytes of it that no process has taken.
        sharing: workers on the device, this one included; 1 or more.
        held: bytes of tensors that this worker has already, such as faces.

    >>> budget(1000, 990, 1), budget(1000, 990, 4), budget(1000, 100, 4), budget(1000, 790, 4, held=200)
    (920, 230, 100, 30)
    """
    return max(0, min(free, int(total * TAKEN / sharing) - held))
