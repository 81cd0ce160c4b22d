"""No network for libraries that fetch weights by themselves: what is not on this machine is refused, not downloaded."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from nferbench.contract.errors import UsageError

_barred: list[str] = []  # what is at work without a network; of all threads, for libraries download in threads


@contextmanager
def without_network(what: str) -> Iterator[None]:
    """Refuse every connection to another machine that Python code of this process asks for meanwhile.

    Raises:
        UsageError: inside, where `what` asks for one.
    """
    _watch()
    _barred.append(what)
    try:
        yield
    finally:
        _barred.remove(what)


@cache
def _watch() -> None:
    """Look at each connection of this process from now on; Python has no way to stop looking."""
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _barred or event not in ("socket.connect", "socket.getaddrinfo"):
        return
    if event == "socket.connect" and getattr(arguments[0], "family", None) == getattr(socket, "AF_UNIX", None):
        return  # another process of this machine
    raise UsageError(
        f"metric '{_barred[-1]}' asks for weights that are not on this machine, and nferbench downloads none; "
        "put them where its library keeps them, or leave it out"
    )
