"""Rules of everything that is registered: what it is called, and that it is a value."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Collection
from dataclasses import MISSING, dataclass
from difflib import get_close_matches
from typing import Any, final

from nferbench.checking.rules import Broken, Rule
from nferbench.contract.metric import MetricLibrary
from nferbench.contract.translator import Translator
from nferbench.contract.values import LATER, describe, digest
from nferbench.planning.checks import (
    check,
    check_frozen,
    check_group,
    check_name,
    check_networks,
    check_plain,
    check_stamps,
    check_text,
    shown,
)
from nferbench.planning.presets import presets


@final
@dataclass(frozen=True)
class Registered:
    """Something that a hook gave, whatever it is."""

    value: Any
    again: Any  # what the hook gave in its place when it was asked again
    reserved: Collection[str]  # words that may not be its name
    known: Any  # what the harness has under its name; None where it has nothing
    reasons: tuple[str, ...]  # why the harness left out what it left out of this plugin


def is_named(it: Registered) -> None:
    _check_label(it.value, "name")
    name = it.value.name
    check_name(name, it.reserved)
    if name != name.lower():
        raise Broken(f"the name '{name}' has capitals; '{name.lower()}' can be typed, and names files on every disk")


def is_titled(it: Registered) -> None:
    _check_label(it.value, "title")
    check_text("the title", it.value.title)


def _check_label(value: Any, label: str) -> None:
    field = next((field for field in _fields(value) if field.name == label), None)
    if label == "title" and isinstance(getattr(type(value), label, None), property):
        return  # one that tells what fields hold
    if field is None and not hasattr(value, label):
        raise Broken(f'has no {label}; {label}: str = field(default="…", compare=False)')
    if field is None or field.compare:
        raise Broken(f'{label} is no field of its own that counts for no key; field(default="…", compare=False)')


def _fields(value: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()


def is_frozen(it: Registered) -> None:
    _check_frozen("it", it.value)


def _check_frozen(what: str, value: Any) -> None:
    check_frozen(what, value)
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner) and not isinstance(inner, type):
            _check_frozen(f"field {field.name}", inner)


def is_plain(it: Registered) -> None:
    for field in dataclasses.fields(it.value):
        if field.compare:
            _check_plain(field.name, getattr(it.value, field.name))
    check_plain("it", it.value)


def _check_plain(name: str, part: Any) -> None:
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        for field in dataclasses.fields(part):
            if field.compare:
                _check_plain(f"{name}.{field.name}", getattr(part, field.name))
    elif isinstance(part, tuple):
        for item in part:
            _check_plain(name, item)
    elif part is not None and not isinstance(part, bool | int | float | str):
        due = "numbers, texts, tuples and frozen dataclasses are plain"
        raise Broken(f"field {name} is a {type(part).__name__} ({shown(part)}); {due}")


def is_equal(it: Registered) -> None:
    value = it.value
    others = {
        "what the hook gives when it is asked again": it.again,
        "a copy": copy.deepcopy(value),
        "what another process gets": pickle.loads(pickle.dumps(value)),
        "what replace makes without changes": dataclasses.replace(value),
    }
    for what, other in others.items():
        if other != value or hash(other) != hash(value):
            raise Broken(f"{what} is not equal to it")
        if digest(describe(other)) != digest(describe(value)):
            raise Broken(f"{what} has another key")


def has_version(it: Registered) -> None:
    version = getattr(it.value, "version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Broken(f"version is {shown(version)}; a whole number from 1 on is due")
    for field in dataclasses.fields(it.value):
        if LATER in field.metadata and field.default is MISSING:
            raise Broken(f"field {field.name} came later, but has no default that does what was done before it")


def has_presets(it: Registered) -> None:
    known = presets()
    for preset in getattr(it.value, "presets", {}):
        if preset not in known:
            near = get_close_matches(str(preset), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise Broken(f"presets has settings for {shown(preset)}, which is no preset; {hint}")


def is_grouped(it: Registered) -> None:
    if not hasattr(it.value, "group"):
        raise Broken('has no group; group: ClassVar = "gan"')
    check_group(it.value)


def is_stamped(it: Registered) -> None:
    check_stamps(it.value)


def has_recipes(it: Registered) -> None:
    for role, recipe in it.value.networks().items():
        _check_frozen(f"the recipe of network {role}", recipe)
    check_networks(it.value)


def is_accepted(it: Registered) -> str | None:
    check(it.value, it.reserved)
    if it.known is None:
        raise Broken(next((reason for reason in it.reasons if f"'{it.value.name}'" in reason), "is not registered"))
    if type(it.known) is not type(it.value) or it.known != it.value:
        owner = type(it.known).__module__
        raise Broken(f"the name '{it.value.name}' is that of another plugin ({owner}); choose another")
    return None


RULES: tuple[Rule[Registered], ...] = (
    Rule(
        "name",
        "`name` is a field with `compare=False`: small letters, digits and `._+-`, no word of the command line",
        is_named,
    ),
    Rule("title", "`title` is a field with `compare=False`, or a property: one printable line", is_titled),
    Rule("frozen", "it is a frozen dataclass, and so is every dataclass in it", is_frozen),
    Rule("plain", "fields are numbers, texts, tuples and other such dataclasses", is_plain, ("frozen",)),
    Rule(
        "equal",
        "equal fields are equal values with equal keys, copied, pickled, and whenever the hook is asked",
        is_equal,
        ("plain",),
    ),
    Rule(
        "version", "`version` is a whole number, and fields that are `LATER` have a default", has_version, ("frozen",)
    ),
    Rule("presets", "`presets` has settings for presets that there are", has_presets, ("frozen",)),
)
OF_METHODS: tuple[Rule[Registered], ...] = (
    Rule("group", "`group` is `none`, `gan` or `diffusion`", is_grouped),
    Rule("stamps", "`stamps` are one printable line each", is_stamped, ("frozen",)),
    Rule("networks", "`networks()` gives equal recipes whenever it is asked", has_recipes, ("frozen", "plain")),
)
LAST: tuple[Rule[Registered], ...] = (
    Rule(
        "accepted",
        "the harness takes it, at its defaults and at each of its own presets, and no other plugin has its name",
        is_accepted,
    ),
)


def rules(it: Registered) -> list[Rule[None]]:
    """Those of a value, to be asked; `accepted` comes last, behind all others."""
    unversioned = isinstance(it.value, MetricLibrary)  # the release of the package stands in its fields
    of_all = [rule for rule in RULES if rule.name != "version" or not unversioned]
    own = [*of_all, *(OF_METHODS if isinstance(it.value, Translator) else ())]
    behind = tuple(rule.name for rule in own)
    return [*(rule.of(it) for rule in own), *(Rule(r.name, r.says, r.of(it).ask, behind) for r in LAST)]
