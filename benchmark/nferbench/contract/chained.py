"""An error with those that led to it, as Python links them."""

from __future__ import annotations

from collections.abc import Iterator


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from and what was being handled then, also where `from None` hides that.

    Each once: links may run in a circle.
    """
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        ahead += [one.__context__, one.__cause__]
