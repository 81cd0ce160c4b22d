"""What a value, its class and its module hold: equal marks before and after say that nothing was kept there."""

from __future__ import annotations

import hashlib
import pickle
import sys
from functools import cached_property
from typing import Any

HARNESS = ("nferbench", "builtins", "abc", "typing")


def of_instance(value: object) -> dict[str, str]:
    """Marks of what lies in an instance, by name; properties that are worked out once are no state."""
    cls = type(value)
    return {name: _mark(part) for name, part in vars(value).items() if not _cached(cls, name)}


def around(value: object) -> dict[str, str]:
    """Marks of what lies in the class of a value and in its module, by name, where these are a plugin's."""
    marks: dict[str, str] = {}
    for cls in type(value).__mro__:
        if cls.__module__.partition(".")[0] not in HARNESS:
            marks |= {f"{cls.__name__}.{name}": _mark(part) for name, part in vars(cls).items() if not _dunder(name)}
            module = sys.modules.get(cls.__module__)
            parts = vars(module) if module else {}
            marks |= {f"{cls.__module__}.{name}": _mark(part) for name, part in parts.items() if not _dunder(name)}
    return marks


def changed(before: dict[str, str], after: dict[str, str]) -> str:
    """The first name whose mark is another one; "" where there is none."""
    return next((name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)), "")


def _mark(part: Any) -> str:
    try:
        return hashlib.sha256(pickle.dumps(part)).hexdigest()
    except Exception:  # a function, a module, a class of a function: it is what it is
        return str(id(part))


def _cached(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), cached_property)


def _dunder(name: str) -> bool:
    return name.startswith("__")
