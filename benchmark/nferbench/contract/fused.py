"""Optimisers that update all weights in one kernel where a GPU holds them, and stay so when a training is resumed."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer


def fuse(optimiser: Optimizer) -> None:
    """Fuse the groups whose weights lie on a GPU, where the optimiser can be fused and its maker left the choice."""
    for group in optimiser.param_groups:
        left_to_us = group.get("fused", 0) is None and group.get("foreach") is None
        if left_to_us and all(parameter.is_cuda for parameter in group["params"]):
            group["fused"] = True


def load_optimiser(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Go on from the `state_dict` of a like optimiser, fused as this one is, whatever that one was.

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
