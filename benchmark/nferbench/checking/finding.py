"""Which plugin a word means, and what it registers, whether the harness takes it or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from nferbench.checking.rules import Broken
from nferbench.contract.errors import UsageError
from nferbench.planning.plugins import (
    BUILT_IN,
    KINDS,
    distribution_of,
    import_file,
    kinds_of,
    managed,
    owner_of,
    reason_of,
)


@final
@dataclass(frozen=True)
class Part:
    """A module with hooks."""

    owner: str  # what the harness calls it
    load: Callable[[], object]
    files: tuple[str, ...] = ()  # to hand to --plugin; none where it is installed
    registered: bool = True  # whether the harness finds it by itself, or by these files


@final
@dataclass(frozen=True)
class Given:
    """What a hook gave."""

    hook: str
    value: Any
    again: Any  # in its place when the hook was asked again


def parts(plugin: str) -> list[Part]:
    """The modules that a word means: a file, else an entry point or a package with entry points, else a module.

    Raises:
        UsageError: there is no such file, package or module; the message names the nearest package.
    """
    if plugin.endswith(".py") or "/" in plugin:
        if not Path(plugin).is_file():
            raise UsageError(f"plugin file {plugin} does not exist; nferbench check takes a file, package or module")
        return [Part(plugin, lambda: import_file(plugin), (plugin,))]
    points = list(entry_points(group="nferbench"))
    named = [point for point in points if _plain(plugin) in map(_plain, (point.name, distribution_of(point)[0]))]
    if named:
        return [Part(owner_of(point), point.load) for point in named]
    if _exists(plugin):
        known = {*BUILT_IN, *(point.module for point in points)}
        return [Part(plugin, lambda: import_module(plugin), registered=plugin in known)]
    near = get_close_matches(
        plugin, [name for point in points for name in (point.name, distribution_of(point)[0])], n=1
    )
    hint = f"did you mean '{near[0]}'?" if near else "nferbench check takes the path of a file, a package or a module"
    raise UsageError(f"'{plugin}' is no plugin file, no installed package with plugins and no module; {hint}")


def hooked(part: Part) -> list[tuple[str, Callable[[], object]]]:
    """The hooks that a module implements, by name.

    Raises:
        Broken: it cannot be imported, or its hooks are not those that there are.
    """
    try:
        manager = managed(part.owner, part.load)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything at import
        raise Broken(reason_of(error)) from None
    found = [(hook, each.function) for hook in KINDS for each in getattr(manager.hook, hook).get_hookimpls()]
    if not found:
        raise Broken(f"has none of the hooks {', '.join(KINDS)}; mark functions of these names with @hookimpl")
    return found


def given(hook: str, function: Callable[[], object]) -> list[Given]:
    """What a hook gives.

    Raises:
        Broken: it raises, or gives no list of what it is for.
    """
    lists = []
    due = kinds_of(hook)
    for _ in range(2):
        try:
            values = function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise Broken(f"{hook} raises {reason_of(error)}") from None
        if not isinstance(values, list | tuple):
            raise Broken(f"{hook} returns a {type(values).__name__}; a list of {due} is due")
        if strange := [value for value in values if not isinstance(value, KINDS[hook])]:
            raise Broken(f"{hook} returns a list with a {type(strange[0]).__name__}; {due} is due")
        lists.append(values)
    once, again = lists
    if len(once) != len(again):
        raise Broken(f"{hook} returns {len(once)} things, and {len(again)} when it is asked again")
    return [Given(hook, value, other) for value, other in zip(once, again, strict=True)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).casefold()


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):  # of a parent that is none, or of no name at all
        return False
