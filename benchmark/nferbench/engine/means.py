"""How much memory an update takes: whole or in pieces, its activations kept or computed anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nferbench.contract.translator import Divisible, Learner
from nferbench.engine.recomputing import recompute


@dataclass(frozen=True)
class Means:
    """The memory that an update is given; gradients differ by rounding alone."""

    piece: int  # rows of the batch at a time
    recompute: bool = False  # whether activations are computed anew in the backward pass

    def recorded(self, batch_size: int) -> dict[str, Any]:
        """What stage.json says of it."""
        return {"piece": min(self.piece, batch_size), "recompute": self.recompute}


def given(learner: object, means: Means, batch_size: int) -> Means:
    """Give a learner the means to go on with; those that it could take."""
    divided = isinstance(learner, Divisible) and learner.divide(means.piece if means.piece < batch_size else 0)
    able = [recompute(network, means.recompute) for network in _networks(learner).values()]
    return Means(means.piece if divided else batch_size, means.recompute and any(able))


def less(learner: object, means: Means, batch_size: int) -> Means | None:
    """Give a learner the next smaller means: half the piece, and at last activations computed anew.

    Returns:
        What it goes on with; None where there is nothing smaller.
    """
    smaller = [Means(max(1, means.piece // 2), means.recompute)] if means.piece > 1 else []
    smaller += [Means(means.piece, True)] if not means.recompute else []
    for each in smaller:
        if (taken := given(learner, each, batch_size)) != means:
            return taken
    return None


def _networks(learner: object) -> Mapping[str, nn.Module]:
    return learner.networks() if isinstance(learner, Learner) else {}
