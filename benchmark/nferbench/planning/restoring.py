"""Stages from what stage.json says of them: the way back from a description to the frozen value that was described."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.datasets.detected import Detected
from nferbench.planning.plugins import Plugins
from nferbench.workspace.entries import Entry, keys_of, misplaced, read_entry
from nferbench.workspace.overview import needs_of
from nferbench.workspace.stages import HeldOut, PrepareFaces, Stage, TrainNetwork, Translate, key, readable
from nferbench.workspace.store import KEY_LETTERS, Store

S = TypeVar("S", bound=Stage)

Classes = Mapping[str, type[Any]]  # by the name under which they are described
Labels = Mapping[str, str]  # fields that no description has, such as a name
NONE: Labels = {}


def classes_of(plugins: Plugins) -> Classes:
    """The classes of all that is registered, and of what their fields hold and may hold."""
    tables = (plugins.translators, plugins.datasets, plugins.detectors)
    values = [value for table in tables for value in table.items.values()]
    found: dict[str, type[Any]] = {}
    left: list[type[Any]] = [HeldOut, Detected, *(type(part) for value in values for part in _parts(value))]
    while left:
        cls = left.pop()
        name = vars(cls).get("described_as", f"{cls.__module__}.{cls.__qualname__}")
        if name not in found:
            found[name] = cls
            left += [each for hint in get_type_hints(cls).values() for each in _dataclasses(hint)]
    return found


def restored_translation(path: Path, classes: Classes, store: Store, translator: Labels, dataset: Labels) -> Translate:
    """The translation that an entry holds, with the stages that it needs.

    Args:
        path: of the entry.
        classes: see `classes_of`.
        store: of the workspace.
        translator: its labels.
        dataset: those of the set that it was fitted on.

    Raises:
        DataError: an entry that it needs is gone or damaged.
        UsageError: it was made by no method, by a plugin that is not loaded, or by another version of what there is.
    """
    entry = read_entry(path)
    if fault := misplaced(entry):
        raise DataError(f"{fault}; start its run again")
    needs = needs_of(entry.info)
    if "translator" not in entry.info["description"] or not needs:
        raise UsageError(f"{path} was made by no method that could translate anything else; name another row")
    source, *networks = (_needed(each, path, store) for each in needs)
    faces = _restored(PrepareFaces, source, classes, dataset=_value(_of(source, "dataset"), classes, dataset))
    trained = tuple(_restored(TrainNetwork, each, classes, faces=faces) for each in networks)
    method = _value(_of(entry, "translator"), classes, translator)
    return _restored(Translate, entry, classes, translator=method, networks=trained, source=faces)


def _of(entry: Entry, field: str) -> Any:
    try:
        return entry.info["description"][field]
    except KeyError:
        raise DataError(f"{entry.path} is not that of a stage of this version; start its run again") from None


def _restored(kind: type[S], entry: Entry, classes: Classes, **known: Any) -> S:
    """A stage of a kind, whose fields an entry describes but for those that are known."""
    described = entry.info["description"]
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    told = {name: _value(value, classes) for name, value in described.items() if name in fields and name not in known}
    try:
        stage = kind(**told, **known)
    except TypeError:
        raise DataError(f"{entry.path} is not that of a stage of this version; start its run again") from None
    if key(stage) != entry.info["key"]:
        raise UsageError(
            f"{readable(stage)} was made by another version of the code than there is now; start its run again"
        )
    return stage


def _needed(needed: str, path: Path, store: Store) -> Entry:
    place = keys_of(store.workspace).get(needed[:KEY_LETTERS])
    entry = read_entry(place) if place else None
    if entry is None or entry.info["key"] != needed:
        raise DataError(
            f"{path} needs stage {needed[:KEY_LETTERS]}, which is not in the workspace any more; start its run again"
        )
    return entry


def _value(described: Any, classes: Classes, labels: Labels = NONE) -> Any:
    """The value that was described; fields that are no part of a description have labels, or their defaults.

    Its own checks are passed over, as in unpickling: it was accepted once, and what they look at may be a label.
    """
    if isinstance(described, list):
        return tuple(_value(item, classes, labels) for item in described)
    if not isinstance(described, Mapping):
        return described
    name = str(described.get("is"))
    if name not in classes:
        raise UsageError(
            f"{one_line(name)} is not registered now; give the file of its plugin with --plugin, or install its package"
        )
    value = object.__new__(classes[name])
    for field in dataclasses.fields(classes[name]):
        if field.name in described:
            content: Any = _value(described[field.name], classes, labels)
        elif not field.compare and field.name in labels:
            content = labels[field.name]
        elif field.default is not dataclasses.MISSING:
            content = field.default
        elif field.default_factory is not dataclasses.MISSING:
            content = field.default_factory()
        else:
            raise UsageError(f"{one_line(name)} has a new field '{field.name}'; start its run again")
        object.__setattr__(value, field.name, content)
    return value


def _parts(value: Any) -> Iterator[Any]:
    """A dataclass and all dataclasses in its fields."""
    if isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))


def _dataclasses(hint: Any) -> Sequence[type[Any]]:
    """The dataclasses that a type hint names."""
    own = [hint] if isinstance(hint, type) and dataclasses.is_dataclass(hint) else []
    return [*own, *(each for part in get_args(hint) for each in _dataclasses(part))]
