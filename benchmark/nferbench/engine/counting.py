"""How often networks were asked, and for how many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def counted(networks: Mapping[str, nn.Module]) -> Iterator[Counter[str]]:
    """Count the rows that go through networks while the block lasts; what they compute stays what it is.

    Args:
        networks: by role. Calls of the network itself count, with the length of the first tensor that they give it;
            calls of a part of it do not.

    Returns:
        Rows by role, those of no call left out.
    """
    rows: Counter[str] = Counter()
    with ExitStack() as hooks:
        for role, network in networks.items():
            hooks.callback(network.register_forward_pre_hook(_adding(rows, role), with_kwargs=True).remove)
        yield rows


def _adding(rows: Counter[str], role: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def add(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = (each for each in (*args, *kwargs.values()) if isinstance(each, Tensor) and each.ndim)
        rows[role] += len(next(given, ()))

    return add
