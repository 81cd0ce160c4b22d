"""What another method has in a run: {like: METHOD.FIELD} in a row, `LIKE` in the metadata of a field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nferbench.contract.errors import UsageError, unknown
from nferbench.contract.translator import Translator
from nferbench.contract.values import LIKE, replaced
from nferbench.planning.reach import within


@dataclass(frozen=True)
class Follower:
    """A field of a method that has in a run what another method has there."""

    field: str  # its path, as `nferbench.planning.reach` writes them
    to: str  # the path of what it follows
    own: tuple[str, ...]  # what the run or the method's own preset sets at or below the field


def likes(value: object) -> dict[str, Any]:
    """What stands under `LIKE` in the metadata of the fields of a value, and of the values that it holds, by path."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(value) if dataclasses.is_dataclass(value) else ():
        if LIKE in field.metadata:
            found[field.name] = field.metadata[LIKE]
        else:
            below = likes(getattr(value, field.name))
            found |= {f"{field.name}.{path}": to for path, to in below.items()}
    return found


def value_at(reference: str, methods: Mapping[str, Translator]) -> Any:
    """What METHOD.FIELD… stands for, as these methods have it.

    Raises:
        UsageError: no such method, or no such field of it.
    """
    method, fields = _parts(reference, methods)
    found: Any = methods[method]
    for field in fields:
        known = [each.name for each in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else []
        if field not in known:
            hint = f"known there: {', '.join(known) or 'none'}"
            raise UsageError(f"{LIKE}: {reference} leads nowhere, there is no field '{field}'; {hint}")
        found = getattr(found, field)
    return found


def in_run(
    name: str, methods: Mapping[str, Translator], changes: Mapping[str, Mapping[str, Any]], asking: tuple[str, ...] = ()
) -> Translator:
    """A method as it stands in a run: what others have where its fields follow them, and its changes on top of that.

    Args:
        name: of the method.
        methods: all that are registered, at their defaults.
        changes: of their fields by dotted name, by method.
        asking: the methods that follow this one, the first first.

    Raises:
        UsageError: a field that leads nowhere, in a circle or to a value of another type, or a change that a method
            does not take.
    """
    method, asking = methods[name], (*asking, name)
    taken: dict[str, Any] = {}
    for field, to in likes(method).items():
        try:
            other, _ = _parts(to, methods)
            if other in asking:
                circle = " -> ".join((*asking[asking.index(other) :], other))
                raise UsageError(f"{LIKE}: {to} leads in a circle ({circle}); give one of these methods its own values")
            taken[field] = value_at(to, {**methods, other: in_run(other, methods, changes, asking)})
        except UsageError as error:
            raise UsageError(f"{name}.{field}: {error}") from None
        came, due = type(taken[field]), type(value_at(f"{name}.{field}", methods))
        if due not in (came, type(None)) and any(map(dataclasses.is_dataclass, (came, due))):
            raise UsageError(f"{name}.{field}: {LIKE}: {to} is of type {came.__name__}; {due.__name__} is due")
    own = changes.get(name, {})
    return replaced(method, {**taken, **own}, f"methods.{name}") if taken or own else method


def followers(methods: Mapping[str, Translator], changes: Mapping[str, Mapping[str, Any]]) -> tuple[Follower, ...]:
    """All fields of methods that follow others; `changes` are as for `in_run`, and have every method."""
    return tuple(
        Follower(f"methods.{name}.{field}", f"methods.{to}", tuple(f"methods.{name}.{own}" for own in changes[name]))
        for name, method in methods.items()
        for field, to in likes(method).items()
    )


def origins(path: str, followers: Iterable[Follower]) -> Iterator[str]:
    """The path of a field and, where it follows another, the path of that one, and so on.

    >>> fields = [Follower("methods.mine.net", "methods.other.score", own=("methods.mine.net.lr",))]
    >>> list(origins("methods.mine.net.steps", fields)), list(origins("methods.mine.net.lr", fields))
    (['methods.mine.net.steps', 'methods.other.score.steps'], ['methods.mine.net.lr'])
    """
    yield path
    for each in followers:
        if within(path, each.field) and not any(within(path, own) for own in each.own):
            yield from origins(each.to + path.removeprefix(each.field), followers)


def _parts(reference: str, methods: Mapping[str, Translator]) -> tuple[str, list[str]]:
    """The method and the fields of METHOD.FIELD…; names of methods may hold dots too."""
    names = [name for name in methods if within(reference, name)]
    if not names:
        error = unknown("method", reference.partition(".")[0], methods, "nferbench methods")
        raise UsageError(f"{LIKE}: {reference} leads nowhere: {error}")
    method = max(names, key=len)
    return method, reference.removeprefix(method).split(".")[1:]
