"""Updates in parts, and their replay as CUDA graphs: what networks spend on launching kernels is spent once.

A part ends where gradients are at the parameters. What follows is no part of a graph: the step of an optimiser, whose
rate changes, or an exchange of images, which remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, final

import torch
from torch import Generator, Tensor, nn

from nferbench.contract.errors import PluginError

WARM_UP = 3  # uncaptured evaluations, in which cuDNN chooses its algorithms
ANEW = "gradient_checkpointing"  # attribute of parts of a network whose activations are computed anew, as in diffusers
ABLE = True  # whether GPUs have graphs at all; one that is not there has none

# After each part: what is to be done before the next one, and the losses of the part, detached.
Parts = Iterator[tuple[Callable[[], object], Mapping[str, Tensor]]]


def do_parts(parts: Parts) -> dict[str, Tensor]:
    """Do an update as it is written; its losses."""
    losses: dict[str, Tensor] = {}
    for then, found in parts:
        then()
        losses |= found
    return losses


def can_capture(network: nn.Module) -> bool:
    """Whether a network lies where its updates can be captured."""
    return ABLE and next(network.parameters()).is_cuda


@final
class Captured:
    """Does updates on a GPU by replaying what the first one did.

    Numbers are those of the update as it is written. Afterwards the gradients must stay where they are (no
    `zero_grad`).

    Args:
        networks: in train mode, on a GPU: all whose buffers an update moves.
        update: (batch, rng) to its parts; all that they do happens on the GPU and follows from batch, rng and weights.
            It clears gradients by `zero_grad(set_to_none=True)` itself, and gives each weight gradients in one part
            alone. What is done after a part finds tensors of the parts where they were the first time, and may change
            them in place.

    Raises:
        PluginError: at the first update, where a weight is given gradients in more than one part.
    """

    def __init__(self, networks: Sequence[nn.Module], update: Callable[[Any, Generator], Parts]) -> None:
        self._networks = networks
        self._update = update
        self._graphs: list[tuple[torch.cuda.CUDAGraph, Callable[[], object], Mapping[str, Tensor]]] = []
        self._batch: Any = None
        self._rng: Generator | None = None

    def __call__(self, batch: Any, rng: Generator) -> dict[str, Tensor]:
        """The losses of an update; another generator, or a batch of other shapes, is captured anew."""
        if not self._graphs or rng is not self._rng or _shapes(batch) != _shapes(self._batch):
            if any(_computes_anew(network) for network in self._networks):
                return do_parts(self._update(batch, rng))
            self._capture(batch, rng)
        for mine, given in zip(_tensors(self._batch), _tensors(batch), strict=True):
            mine.copy_(given)
        losses: dict[str, Tensor] = {}
        for graph, then, found in self._graphs:
            graph.replay()
            then()
            losses |= {name: loss.clone() for name, loss in found.items()}
        return losses

    def _capture(self, batch: Any, rng: Generator) -> None:
        device = next(_tensors(batch)).device
        self._graphs = []  # should this end half-way, nothing is there to be replayed
        self._rng = rng
        self._batch = type(batch)(*(None if each is None else each.clone() for each in _values(batch)))
        buffers = [(buffer, buffer.clone()) for network in self._networks for buffer in network.buffers()]
        drawn, drawn_globally = rng.get_state(), torch.cuda.get_rng_state(device)
        try:
            self._graphs = self._recorded(device, rng)
        finally:
            # Warming up has drawn numbers and moved running statistics; nothing of it may be seen.
            rng.set_state(drawn)
            torch.cuda.set_rng_state(drawn_globally, device)
            for mine, before in buffers:
                mine.copy_(before)

    def _recorded(
        self, device: torch.device, rng: Generator
    ) -> list[tuple[torch.cuda.CUDAGraph, Callable[[], object], Mapping[str, Tensor]]]:
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                count = sum(1 for _ in self._update(self._batch, rng))
        torch.cuda.current_stream(device).wait_stream(stream)
        for network in self._networks:
            network.zero_grad(set_to_none=True)  # so that the graphs own the gradients
        memory = torch.cuda.graph_pool_handle()  # a part may go on from tensors of the one before
        parts = self._update(self._batch, rng)
        graphs = []
        gradients: dict[nn.Parameter, Tensor] = {}
        for _ in range(count):
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(rng)
            with torch.cuda.graph(graph, pool=memory):
                then, losses = next(parts)
            graphs.append((graph, then, losses))
            here = {weight: weight.grad for weight in self._weights() if weight.grad is not None}
            if any(here.get(weight) is not gradient for weight, gradient in gradients.items()):
                raise PluginError(
                    "an update that is replayed gives a weight gradients in more than one part; a step would be taken "
                    "with those of the wrong one: give each weight to one part, or do the update by do_parts"
                )
            gradients = here
        return graphs

    def _weights(self) -> Iterator[nn.Parameter]:
        return (weight for network in self._networks for weight in network.parameters())


def _computes_anew(network: nn.Module) -> bool:
    """Whether activations are computed anew in the backward pass, for which torch sets generators: no graph can."""
    return any(getattr(module, ANEW, False) for module in network.modules())


def _values(batch: Any) -> list[Tensor | None]:
    return [getattr(batch, field.name) for field in fields(batch)]


def _tensors(batch: Any) -> Iterator[Any]:
    return (value for value in _values(batch) if value is not None)


def _shapes(batch: Any) -> list[tuple[int, ...] | None]:
    return [None if value is None else tuple(value.shape) for value in _values(batch)]
