"""The precision that networks compute in: bfloat16 on a GPU that is fast in it, float32 everywhere else.

It is how a number is computed and not what is: part of no key, recorded with each result.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["bf16", "float32"]

_on_gpus: Precision = "bf16"


def compute_in(precision: Precision) -> None:
    """Choose the precision of all networks that this process evaluates on a GPU from now on."""
    global _on_gpus
    _on_gpus = precision


def precision_on(device: torch.device) -> Precision:
    """The precision that networks compute in on a device: "float32", or "bf16" on a GPU with tensor cores for it."""
    if device.type != "cuda" or _on_gpus == "float32":
        return "float32"
    fast = not torch.cuda.is_available() or torch.cuda.get_device_capability(device) >= (8, 0)
    return "bf16" if fast else "float32"


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """The context of a network's forward: matrix products and convolutions in bfloat16 where that is faster.

    Norms and softmax stay float32. Outputs may be bfloat16 and are cast by the network itself; losses, energies and
    whatever else lies outside the context is float32.
    """
    if precision_on(device) == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return full_precision(device)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """The context of what must be float32 even inside `mixed_precision`."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
