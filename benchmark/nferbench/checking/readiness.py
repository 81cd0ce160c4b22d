"""How a recipe or a detector says that something is missing."""

from __future__ import annotations

from collections.abc import Callable

from nferbench.checking.rules import Broken, Skipped, told
from nferbench.contract.errors import UsageError

SAYS = "`ready` raises `UsageError` where something is missing, and nothing else"


def is_ready(ready: Callable[[], object]) -> None:
    """Ask what a run asks before any work.

    Raises:
        Skipped: something is missing.
        Broken: it raises or returns something else.
    """
    try:
        answer = ready()
    except UsageError as error:
        raise Skipped(str(error)) from None
    except Exception as error:
        came = f"{type(error).__name__}: {told(error)}"
        raise Broken(f"ready raises {came}; a UsageError that says what to do is due") from None
    if answer is not None:
        raise Broken(f"ready returns {told(repr(answer))}; it raises UsageError or returns nothing")
