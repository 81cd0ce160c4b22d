"""Activation checkpointing: memory of a training against a third more time."""

from __future__ import annotations

from torch import nn

from nferbench.contract.captured import ANEW


def recompute(network: nn.Module, on: bool) -> bool:
    """Let the backward pass of a network compute activations anew instead of keeping them, or keep them again.

    Gradients are the same, also with dropout. Parts that can do so are those with the methods that diffusers gives its
    models, `enable_gradient_checkpointing` and `disable_gradient_checkpointing`, but for models that say they cannot.

    Returns:
        Whether any part of the network can.
    """
    able = [
        module
        for module in network.modules()
        if hasattr(module, "enable_gradient_checkpointing")
        and getattr(module, "_supports_gradient_checkpointing", True)
    ]
    for module in able:
        (module.enable_gradient_checkpointing if on else module.disable_gradient_checkpointing)()  # type: ignore[operator]
        setattr(module, ANEW, on)
    return bool(able)
