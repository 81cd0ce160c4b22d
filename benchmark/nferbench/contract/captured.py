"""A loss and its gradients as one CUDA graph: what small networks spend on launching kernels is spent once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, final

import torch
from torch import Generator, Tensor, nn

WARM_UP = 3  # uncaptured evaluations, in which cuDNN chooses its algorithms


@final
class CapturedLoss:
    """Evaluates a loss on a GPU and leaves its gradients at the parameters, by replaying what it did the first time.

    Numbers are those of the uncaptured loss. Afterwards the gradients must stay where they are (no `zero_grad`).

    Args:
        network: in train mode, on a GPU.
        loss: (batch, rng) to named terms; all that it does happens on the GPU and follows from batch, rng and weights.
    """

    def __init__(self, network: nn.Module, loss: Callable[[Any, Generator], Mapping[str, Tensor]]) -> None:
        self._network = network
        self._loss = loss
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Any = None
        self._rng: Generator | None = None
        self._terms: Mapping[str, Tensor] = {}

    def __call__(self, batch: Any, rng: Generator) -> Mapping[str, Tensor]:
        """Named terms of the loss, detached; another generator, or a batch of other shapes, is captured anew."""
        if self._graph is None or rng is not self._rng or _shapes(batch) != _shapes(self._batch):
            self._capture(batch, rng)
        for mine, given in zip(_tensors(self._batch), _tensors(batch), strict=True):
            mine.copy_(given)
        self._graph.replay()  # type: ignore[union-attr]
        return {name: term.clone() for name, term in self._terms.items()}

    def _capture(self, batch: Any, rng: Generator) -> None:
        device = next(_tensors(batch)).device
        self._rng = rng
        self._batch = type(batch)(*(None if each is None else each.clone() for each in _values(batch)))
        buffers = [buffer.clone() for buffer in self._network.buffers()]
        drawn, drawn_globally = rng.get_state(), torch.cuda.get_rng_state(device)
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._evaluate()
        torch.cuda.current_stream(device).wait_stream(stream)
        self._network.zero_grad(set_to_none=True)  # so that the graph owns the gradients
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(rng)
        with torch.cuda.graph(self._graph):
            self._terms = self._evaluate()
        # Warming up has drawn numbers and moved running statistics; nothing of it may be seen.
        rng.set_state(drawn)
        torch.cuda.set_rng_state(drawn_globally, device)
        for mine, before in zip(self._network.buffers(), buffers, strict=True):
            mine.copy_(before)

    def _evaluate(self) -> Mapping[str, Tensor]:
        self._network.zero_grad(set_to_none=True)
        terms = self._loss(self._batch, self._rng)  # type: ignore[arg-type]
        sum(terms.values()).backward()  # type: ignore[union-attr]
        return {name: term.detach() for name, term in terms.items()}


def _values(batch: Any) -> list[Tensor | None]:
    return [getattr(batch, field.name) for field in fields(batch)]


def _tensors(batch: Any) -> Iterator[Any]:
    return (value for value in _values(batch) if value is not None)


def _shapes(batch: Any) -> list[tuple[int, ...] | None]:
    return [None if value is None else tuple(value.shape) for value in _values(batch)]
