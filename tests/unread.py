"""What would make a GPU wait in an update: values that are read back, and constants that are copied there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

READS = {Tensor.tolist, Tensor.item, Tensor.numpy, Tensor.cpu, Tensor.__bool__, Tensor.__index__, Tensor.__float__}
COPIES = {torch.tensor, torch.as_tensor, torch.from_numpy, Tensor.new_tensor}


class Unread(TorchFunctionMode):
    """Fails at what would make a GPU wait, on whatever device it is done here.

    Args:
        host: whether single numbers of a CPU may be read: on other devices than a GPU Adam keeps its counters there.
    """

    def __init__(self, *, host: bool = False) -> None:
        super().__init__()
        self.host = host

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        counter = self.host and func is Tensor.item and args[0].is_cpu and args[0].ndim == 0
        assert counter or func not in READS, f"{func.__name__} reads a tensor"
        assert func not in COPIES, f"{func.__name__} copies values to a device"
        return func(*args, **(kwargs or {}))
