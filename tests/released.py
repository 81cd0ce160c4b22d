"""Files of weights as other code saves them: random numbers under its names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nferbench import FaceSpec, UsageError
from nferbench.contract.initial import hear_initial


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draw every parameter and running average anew, so that no two layers are alike."""
    rng = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=rng) * (
            0.5 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.2
        )
        value.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return network


def saved(recipe: Any, state: Any, path: Path, **how: Any) -> Any:
    """The recipe, told to start from a file of this content."""
    torch.save(state, path, **how)
    return replace(recipe, init=str(path), init_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def started(recipe: Any, size: int, landmarks: int = 0) -> tuple[nn.Module, list[str]]:
    """The network of a training that starts as the recipe says, and what was noted."""
    faces = FaceSpec(size, landmarks)
    torch.manual_seed(1)
    network = recipe.build(faces)
    with hear_initial() as heard:
        recipe.learner(network, faces, pairs=4)
    return network.eval(), heard


def refusal(recipe: Any, size: int) -> str:
    try:
        started(recipe, size)
    except UsageError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError("nothing was refused")


def close(found: Tensor, expected: Tensor) -> bool:
    return expected.std() > 1e-3 and bool(
        (found - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    )
