"""Frozen values as data: described as JSON, hashed, compared field by field, changed by dotted names."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_type_hints

from nferbench.contract.errors import UsageError

T = TypeVar("T")

LATER = "later"  # in the metadata of a field: it came later, and its default does what was done before it was there
LIKE = "like"  # in the metadata of a field of a method, "METHOD.FIELD": in a run it has what that method has there


def describe(value: object) -> Any:
    """A value as plain JSON data, defaults included; two values are the same work iff their descriptions are equal.

    A dataclass becomes the path of its class, its `version` and its fields, but for those that `told` leaves out. A
    class that has moved keeps its first path in `described_as`, for stored results are found by it.

    Raises:
        TypeError: something that is not a value (an open file, a path, a tensor).
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        described: dict[str, Any] = {"is": vars(cls).get("described_as", f"{cls.__module__}.{cls.__qualname__}")}
        if (version := getattr(cls, "version", None)) is not None:
            described["version"] = version
        for field in dataclasses.fields(value):
            if told(field, getattr(value, field.name)):
                described[field.name] = describe(getattr(value, field.name))
        return described
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be part of a value: {value!r}")


def told(field: dataclasses.Field[Any], value: object) -> bool:
    """Whether a field is part of a description: not those declared with ``compare=False``, nor `LATER` defaults.

    So a field that is added to a published value changes the keys of no results that are stored already.
    """
    return field.compare and not (LATER in field.metadata and value == field.default)


def digest(description: object) -> str:
    """SHA-256 (64 hex digits) of JSON data, the same in every process and on every machine."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(description: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of a description as (dotted name, value)."""
    if isinstance(description, Mapping):
        for name, item in description.items():
            yield from flatten(item, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, description


def differences(old: object, new: object) -> list[str]:
    """Where two descriptions differ, as lines such as "recipe.lr 1e-05 -> 2e-05"."""
    return changes(dict(flatten(old)), dict(flatten(new)))


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The same of two that are flattened already."""
    return [
        f"{name} {before.get(name, '-')} -> {after.get(name, '-')}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "-") != after.get(name, "-")
    ]


def replaced(value: T, changes: Mapping[str, Any], where: str) -> T:
    """A copy of a frozen dataclass with some fields changed.

    Args:
        value: the dataclass.
        changes: new values by field name; a dotted name or a nested mapping reaches into a field that is a dataclass.
            What reaches into a field that is given whole as well goes on top of that.
        where: the name of `value` for messages, such as "methods.nfer-sde".

    Raises:
        UsageError: a field that does not exist or a value that it cannot take; all such problems in one message.
    """
    problems: list[str] = []
    result = _replaced(value, changes, where, problems)
    if problems:
        raise UsageError("; ".join(problems))
    return cast("T", result)


def _is_one_of(hint: object, new: object) -> bool:
    """Whether a field takes any value of an abstract class, such as any face detector, and this is one."""
    return inspect.isabstract(hint) and isinstance(new, cast("type", hint))


def _replaced(value: Any, changes: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints = get_type_hints(type(value))
    names = [field.name for field in dataclasses.fields(value) if field.init]
    grouped: dict[str, Any] = {}
    for dotted, new in changes.items():
        first, _, rest = str(dotted).partition(".")
        if rest:
            new = {rest: new}
        before = grouped.get(first)
        if isinstance(new, Mapping) and isinstance(before, dict):
            before.update(new)
        elif isinstance(new, Mapping) and dataclasses.is_dataclass(before):
            grouped[first] = _replaced(before, new, f"{where}.{first}", problems)
        elif dataclasses.is_dataclass(new) and isinstance(before, dict):
            grouped[first] = _replaced(new, before, f"{where}.{first}", problems)
        else:
            grouped[first] = dict(new) if isinstance(new, Mapping) else new
    updates: dict[str, Any] = {}
    for name, new in grouped.items():
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"its fields: {', '.join(names)}"
            problems.append(f"{where} has no field '{name}'; {hint}")
            continue
        current = getattr(value, name)
        if dataclasses.is_dataclass(current):
            if isinstance(new, Mapping):
                updates[name] = _replaced(current, new, f"{where}.{name}", problems)
            elif type(new) is type(current) or _is_one_of(hints[name], new):
                updates[name] = new
            else:
                fields = ", ".join(field.name for field in dataclasses.fields(current))
                problems.append(f"{where}.{name}: {new!r} is not allowed (it has fields: {fields})")
            continue
        if new is None and hints[name] is str:  # YAML's name for a value that was left empty
            new = ""
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(hints[name], config=ConfigDict(arbitrary_types_allowed=True))
            updates[name] = adapter.validate_python(new)
        except ValidationError as error:
            problems.append(f"{where}.{name}: {new!r} is not allowed ({error.errors()[0]['msg']})")
    if problems:
        return value
    try:
        return dataclasses.replace(value, **updates)
    except ValueError as error:
        problems.append(f"{where}: {error}")
        return value
