"""Putting a network on a device."""

from __future__ import annotations

import torch
from torch import nn


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network itself on a device, its weights in the layout that is faster there.

    Group normalisation on a GPU knows one layout only: channels-last weights, which a CPU likes, cost a copy of every
    feature map there, 1.4 times the time of an update of the published score network.
    """
    network.to(device)
    return network.to(memory_format=torch.contiguous_format) if device.type == "cuda" else network  # type: ignore[call-overload, no-any-return]
