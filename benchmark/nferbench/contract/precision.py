"""The precision that networks compute in: bfloat16 on a GPU that is fast in it, float32 everywhere else.

It is how a number is computed and not what is: part of no key, recorded with each result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

Precision = Literal["bf16", "float32"]

_on_gpus: Precision = "bf16"
_meta_is_a_gpu = False


def compute_in(precision: Precision) -> None:
    """Choose the precision of all networks that this process evaluates on a GPU from now on."""
    global _on_gpus
    _on_gpus = precision


@contextmanager
def meta_as_gpu() -> Iterator[None]:
    """Let device `meta` stand for a GPU in the block; torch casts nothing there, whoever traces has to."""
    global _meta_is_a_gpu
    before, _meta_is_a_gpu = _meta_is_a_gpu, True
    try:
        yield
    finally:
        _meta_is_a_gpu = before


def precision_on(device: torch.device) -> Precision:
    """The precision that networks compute in on a device: "float32", or "bf16" on a GPU with tensor cores for it."""
    if device.type == "meta":
        return _on_gpus if _meta_is_a_gpu else "float32"
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
        return torch.autocast(_switch(device), torch.bfloat16)
    return full_precision(device)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """The context of what must be float32 even inside `mixed_precision`."""
    if torch.amp.is_autocast_available(_switch(device)):
        return torch.autocast(_switch(device), enabled=False)
    return nullcontext()


def _switch(device: torch.device) -> str:
    """The kind of device whose autocast is switched: for `meta`, which has none, the CPU's, which leaves it alone."""
    return "cpu" if device.type == "meta" else device.type
