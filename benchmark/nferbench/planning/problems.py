"""Problems of a request, collected so that all of them are shown together."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from nferbench.contract.errors import NferbenchError

P = ParamSpec("P")
R = TypeVar("R")


def attempt(problems: list[str], make: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What `make` returns, or None after noting what it raised."""
    try:
        return make(*args, **kwargs)
    except NferbenchError as error:
        problems.append(str(error))
        return None
