"""Optimisers that update all weights in one kernel where a GPU holds them, and stay so when a training is resumed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def fuse(optimiser: Optimizer) -> None:
    """Fuse the groups whose weights lie on a GPU, where the optimiser can be fused and its maker left the choice."""
    for group in optimiser.param_groups:
        left_to_us = group.get("fused", 0) is None and group.get("foreach") is None
        if left_to_us and all(parameter.is_cuda for parameter in group["params"]):
            group["fused"] = True


def load_optimiser(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Go on from the `state_dict` of a like optimiser, fused as this one is and laid out as its weights are.

    Raises:
        ValueError: the groups are not those of this optimiser.
    """
    # Torch puts the counters of steps beside the weights where the state says fused. Unfused, they are read at every
    # update; so a state that another device has left would make a GPU wait.
    groups = [
        {**theirs, "fused": mine["fused"]} if "fused" in mine else theirs
        for theirs, mine in zip(state["param_groups"], optimiser.param_groups, strict=True)
    ]
    optimiser.load_state_dict({**state, "param_groups": groups})
    # One kernel reads weights and averages side by side as they lie in memory. A state that another device has left may
    # lie otherwise: a CPU would then take the averages of other weights without a word, and a GPU refuse them.
    for weights, held in optimiser.state.items():
        for name, value in held.items():
            if isinstance(value, Tensor) and value.shape == weights.shape and value.stride() != weights.stride():
                held[name] = torch.empty_like(weights, dtype=value.dtype, device=value.device).copy_(value)
