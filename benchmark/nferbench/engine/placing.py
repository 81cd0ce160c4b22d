"""Putting networks and batches on a device, and what it is called."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nferbench.engine.how import AS_USUAL, How


def placed(network: nn.Module, device: torch.device, how: How = AS_USUAL) -> nn.Module:
    """The network itself on a device, its weights in the layout that is faster there, compiled if that was asked for.

    Group normalisation on a GPU knows one layout only: channels-last weights, which a CPU likes, cost a copy of every
    feature map there, 1.4 times the time of an update of the published score network.
    """
    network.to(device)
    if device.type in ("cuda", "meta"):  # `meta` stands for a GPU
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if how.compiled:
        network.compile()
    return network


def sent(values: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on a device, without waiting until a GPU has done what it was given before."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def device_name(device: torch.device) -> str:
    """The hardware a time was measured on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
