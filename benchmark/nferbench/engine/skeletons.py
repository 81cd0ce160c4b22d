"""Networks without memory for their weights, to be counted and rehearsed, and answers of networks as tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from nferbench.contract.errors import NferbenchError
from nferbench.contract.translator import FaceSpec, NetworkRecipe
from nferbench.engine.translating import build


def skeleton(recipe: NetworkRecipe, spec: FaceSpec) -> nn.Module:
    """A network without memory for its weights, for counting; with memory where it cannot do without."""
    try:
        with torch.device("meta"):
            return recipe.build(spec)
    except NferbenchError:
        raise
    except Exception:
        return build(recipe, spec)


def parameters(recipe: NetworkRecipe, spec: FaceSpec) -> dict[str, int]:
    """Parameter counts of every network that a training of the recipe involves, by name."""
    with torch.device("meta"):
        networks = recipe.learner(skeleton(recipe, spec), spec, 100).networks()
    return {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in networks.items()}


def each_tensor(answer: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """What a network answered, one tensor or several, with each tensor changed."""
    return tree_map_only(Tensor, change, answer)


def repeated(answer: Any, asked: Any) -> Any:
    """An answer given again, with a gradient of zero of whatever was asked with one."""
    slopes = [each.sum() for each in tree_leaves(asked) if isinstance(each, Tensor) and each.requires_grad]
    return each_tensor(answer, lambda each: each + 0 * sum(slopes)) if slopes else answer
