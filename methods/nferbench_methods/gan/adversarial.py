"""The learner of every adversarial training: what changes from update to update, whatever the losses are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, final

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from nferbench import Batch, Captured, Learner, Parts, can_capture, do_parts, fuse, load_optimiser

Update = Callable[[Batch, Generator], Parts]


class Stateful(Protocol):
    """What a checkpoint can hold and give back."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


@final
class AdversarialLearner(Learner):
    """Train a generator and its opponents in turn.

    A checkpoint holds every network, optimiser and further part under its name, so no two of them may share one.

    Args:
        networks: every network in training by name, the fitted one first and named "generator"; all are put in train
            mode at every update.
        optimisers: over the parameters of `networks`, by name.
        update: one update of both sides: (batch, rng) to its parts, whose losses are 0-d tensors. It is replayed on a
            GPU: all that a part does happens there and follows from batch, rng and weights.
        rate: learning rate of update k (0-based) as a multiple of each optimiser's initial one.
        further: what else changes from update to update (pools of images), by name.
        divided: rows a piece to an update that does the same in pieces, where this can be done without changing it:
            no part may normalise over a batch or move at a forward.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimisers: Mapping[str, Optimizer],
        update: Update,
        *,
        rate: Callable[[int], float],
        further: Mapping[str, Stateful] = MappingProxyType({}),
        divided: Callable[[int], Update] | None = None,
    ) -> None:
        self._networks = networks
        self._optimisers = optimisers
        self._update = update
        self._rate = rate
        self._divided = divided
        # Batches are of one or two faces: whatever the size of the networks, launching kernels takes the time.
        self._captured = Captured(list(networks.values()), update) if can_capture(networks["generator"]) else None
        self._stateful: dict[str, Stateful] = {**networks, **optimisers, **further}
        for optimiser in optimisers.values():
            fuse(optimiser)
        # Kept apart from the optimisers, whose groups hold the rate of the last update and come back with a checkpoint.
        self._base_rates = {
            name: [group["lr"] for group in optimiser.param_groups] for name, optimiser in optimisers.items()
        }

    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        for network in self._networks.values():
            network.train()
        for name, optimiser in self._optimisers.items():
            for group, base in zip(optimiser.param_groups, self._base_rates[name], strict=True):
                group["lr"] = base * self._rate(k)
        return self._captured(batch, rng) if self._captured else do_parts(self._update(batch, rng))

    def rate_of_last_update(self) -> float:
        fitted = {id(weight) for weight in self._networks["generator"].parameters()}
        groups = [group for optimiser in self._optimisers.values() for group in optimiser.param_groups]
        return float(next(group["lr"] for group in groups if any(id(each) in fitted for each in group["params"])))

    def divide(self, piece: int) -> bool:
        if self._divided is None:
            return False
        self._update = self._divided(piece)
        if piece:
            self._captured = None  # pieces are for want of memory, and graphs keep what they take
        return True

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._stateful.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._stateful.items():
            if name in self._optimisers:
                load_optimiser(self._optimisers[name], state[name])
            else:
                part.load_state_dict(state[name])

    def networks(self) -> Mapping[str, nn.Module]:
        return self._networks

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._networks["generator"].state_dict().items()}
