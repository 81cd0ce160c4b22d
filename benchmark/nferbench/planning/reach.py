"""Whether a setting reaches a value of a run: one that changes nothing is a mistake, and told as one.

Settings are told by their paths, as --set writes them: SECTION.NAME.FIELD, with more fields where values hold values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping

from nferbench.contract.values import LIKE


def leaves(value: object, prefix: str, *, labels: bool = True) -> Iterator[str]:
    """The paths of all fields of a value, those of the values that it holds in place of them.

    Args:
        value: a frozen dataclass, or whatever a field of one may hold.
        prefix: its path.
        labels: whether fields that only say what it is called or where it lies (`compare=False`) count.
    """
    if not dataclasses.is_dataclass(value):
        yield prefix
        return
    for field in dataclasses.fields(value):
        if labels or field.compare:
            yield from leaves(getattr(value, field.name), f"{prefix}.{field.name}", labels=labels)


def paths(fields: Mapping[str, object], prefix: str) -> Iterator[str]:
    """The paths of what nested mappings set; {like: …} is one value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and set(value) != {LIKE}:
            yield from paths(value, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}"


def reaches(path: str, others: Collection[str]) -> bool:
    """Whether a path is one of the others, or one of them lies below it or above it.

    >>> reaches("methods.m.net", ["methods.m.net.lr"]), reaches("methods.m.net", ["methods.m.network"])
    (True, False)
    """
    return any(within(path, other) or within(other, path) for other in others)


def within(path: str, other: str) -> bool:
    """Whether a path is another one, or lies below it.

    >>> within("methods.m.net.lr", "methods.m.net"), within("methods.m.network", "methods.m.net")
    (True, False)
    """
    return f"{path}.".startswith(f"{other}.")


def ineffective(wanted: Collection[str], used: Collection[str]) -> list[str]:
    """One line for each path that reaches nothing.

    Args:
        wanted: SECTION.NAME.FIELD… of each setting.
        used: the paths of all values of the run.
    """
    owners = list(dict.fromkeys(_owner(path) for path in used))
    lines = []
    for path in wanted:
        if reaches(path, used):
            continue
        if _owner(path) in owners:
            why = "what this run uses of it says that by itself"
        else:
            section, _, _ = path.partition(".")
            mine = [owner for owner in owners if owner.startswith(f"{section}.")]
            why = f"this run uses {', '.join(mine) or f'none of the {section}'}"
        lines.append(f"--set {path} changes nothing: {why}; leave it out")
    return lines


def _owner(path: str) -> str:
    return ".".join(path.split(".")[:2])
