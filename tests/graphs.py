"""Stand-ins on a CPU for the CUDA graphs of a GPU: what is captured is done again when it is replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Graph:
    """Operations with the tensors that they were given, in order."""

    def __init__(self) -> None:
        self.operations: list[Callable[[], None]] = []

    def register_generator_state(self, rng: torch.Generator) -> None: ...

    def replay(self) -> None:
        with torch.no_grad():
            for operation in self.operations:
                operation()


class Capturing(TorchDispatchMode):
    """Notes operations in a graph. Those that the host would wait for cannot be captured."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = graph

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if READS.intersection(func.tags) and not _by_places(func, args):
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        given = kwargs or {}
        result = func(*args, **given)

        def again() -> None:
            for mine, new in zip(tree_leaves(result), tree_leaves(func(*args, **given)), strict=True):
                if isinstance(mine, Tensor) and mine.data_ptr() != new.data_ptr():
                    mine.copy_(new)  # at the place that it had when it was captured

        self.graph.operations.append(again)
        return result


def _by_places(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether this is an index of numbers, whose shape is known where one of truth values would have to be counted."""
    return func is torch.ops.aten.index.Tensor and all(each is None or each.dtype == torch.int64 for each in args[1])


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks on a CPU be captured as those on a GPU are."""

    @contextmanager
    def capturing(graph: Graph, pool: object) -> Iterator[None]:
        with Capturing(graph):
            yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "CUDAGraph": Graph,
        "graph": capturing,
        "graph_pool_handle": lambda: None,
        "Stream": lambda device: stream,
        "current_stream": lambda device: stream,
        "stream": lambda _: nullcontext(),
        "get_rng_state": lambda device: torch.get_rng_state(),
        "set_rng_state": lambda state, device: torch.set_rng_state(state),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    for module in ("nferbench.contract.learning", "nferbench_methods.gan.adversarial"):
        monkeypatch.setattr(f"{module}.can_capture", lambda network: True)
