"""Tensors of a file under the names of our network, each held to its shape under the name that the file has for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from nferbench import UsageError, note_initial

COUNTER = "num_batches_tracked"  # of batch norms: torch before 0.4.1 kept none, and nothing is computed from it here


def renamed(
    state: Mapping[str, Tensor], network: nn.Module, theirs: Callable[[str], str], unused: str = r"(?!)"
) -> dict[str, Tensor]:
    """The tensors of a network of ours out of a file of others.

    Args:
        state: the tensors of the file.
        network: of ours.
        theirs: our name of a tensor to that in the file.
        unused: a pattern for the names of tensors that have no place in our network.

    Returns:
        The tensors of `network`, by its names, but for counters that the file lacks.

    Raises:
        UsageError: a tensor is missing, is left over, or has another shape than the network's.
    """
    left = {name: value for name, value in state.items() if not re.fullmatch(unused, name)}
    if kept := len(state) - len(left):
        example = next(name for name in state if name not in left)
        note_initial(f"{kept} tensors are not used, which have no place in the network ('{example}')")
    taken: dict[str, Tensor] = {}
    for ours, value in network.state_dict().items():
        name = theirs(ours)
        if name not in left:
            if ours.endswith(COUNTER):
                continue
            raise UsageError(f"'{name}' is missing; the recipe must be that of the weights")
        taken[ours] = left.pop(name)
        if taken[ours].shape != value.shape:
            shapes = f"{tuple(taken[ours].shape)}, the network's {tuple(value.shape)}"
            raise UsageError(f"'{name}' has shape {shapes}; the recipe must be that of the weights")
    if left:
        raise UsageError(f"'{next(iter(left))}' is left over; the recipe must be that of the weights")
    return taken
