"""What a plugin looks like from another process: which modules it loads, and the keys of its values there."""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import final

from nferbench.checking.finding import given, hooked, parts
from nferbench.checking.rules import Broken
from nferbench.contract.values import describe, digest
from nferbench.planning.plugins import reason_of

PATIENCE = 120.0  # seconds


@final
@dataclass(frozen=True)
class Seen:
    """A plugin as another process has it."""

    torch: bool  # whether torch was loaded by loading the plugin
    keys: dict[tuple[str, str], str]  # by hook and name


def seen(plugin: str) -> Seen:
    """Load a plugin in a process of its own.

    Raises:
        Broken: that process ends, or the plugin cannot be loaded there.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_look, args=(theirs, plugin), daemon=True)
    process.start()
    theirs.close()
    try:
        answer: object = mine.recv() if mine.poll(PATIENCE) else f"is not loaded after {PATIENCE:.0f} s"
    except EOFError:
        process.join()
        answer = f"the process that loads it ends with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()
    if not isinstance(answer, Seen):
        raise Broken(f"in a process of its own: {answer}")
    return answer


def keys(plugin: str) -> dict[tuple[str, str], str]:
    """The keys of all values that a plugin registers, by hook and name; those that have none are left out."""
    found = {}
    for part in parts(plugin):
        for hook, function in hooked(part):
            for each in given(hook, function):
                try:
                    found[hook, str(each.value.name)] = digest(describe(each.value))
                except Exception:  # told by the rules of values
                    continue
    return found


def _look(connection: Connection, plugin: str) -> None:
    try:
        found = keys(plugin)
        connection.send(Seen("torch" in sys.modules, found))
    except BaseException as error:
        connection.send(reason_of(error))
