"""`nferbench check`: whether a plugin keeps the rules, before hours are spent on it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nferbench.cli.options import DataRoot
from nferbench.cli.output import say
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.checking.rules import Check, Verdict


def check(
    plugin: Annotated[str, typer.Argument(help="A Python file, an installed package or its entry point, or a module.")],
    data_root: DataRoot = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="One object with all checks, for other tools.")] = False,
) -> None:
    """Ask a plugin each rule of docs/plugins.md, one line each; ends with 1 where one is broken.

    Networks of published size are built without memory; what is computed is small: seconds to a minute.
    """
    from nferbench.checking.plugin import checks_of

    began = time.monotonic()
    with redirect_stdout(sys.stderr):  # what a plugin prints is no part of the answer
        found = checks_of(plugin, _roots(data_root))
    answers = []
    for each, verdict in _asked(found):
        answers.append((each, verdict))
        if not as_json:
            say(_line(each, verdict))
    count = {state: sum(verdict.state == state for _, verdict in answers) for state in ("ok", "wrong", "skipped")}
    seconds = time.monotonic() - began
    if as_json:
        about = {"plugin": plugin, "ok": not count["wrong"], "seconds": round(seconds, 3)}
        typer.echo(json.dumps({**about, "checks": [_row(*answer) for answer in answers]}, indent=1))
    else:
        say(f"{count['ok']} rules kept, {count['wrong']} broken, {count['skipped']} not asked, in {seconds:.0f} s")
    if count["wrong"]:
        raise typer.Exit(1)


def _asked(found: list[Check]) -> Iterator[tuple[Check, Verdict]]:
    for each in found:
        with redirect_stdout(sys.stderr):
            verdict = each.verdict()
        yield each, verdict


def _line(check: Check, verdict: Verdict) -> str:
    return f"{verdict.state:<8} {check}{f'  ({verdict.said})' if verdict.said else ''}"


def _row(check: Check, verdict: Verdict) -> dict[str, Any]:
    asked = {"subject": check.subject, "check": check.name, "rule": check.says}
    return {**asked, "state": verdict.state, "said": verdict.said, "seconds": round(verdict.seconds, 3)}


def _roots(given: list[str]) -> dict[str, Path]:
    """Data roots by name of the data set, "" for all others."""
    roots = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or Path(text).is_dir():
            name, path = "", text
        if not Path(path).is_dir():
            raise UsageError(f"data root {path} is not a directory; give --data-root PATH or NAME=PATH")
        roots[name] = Path(path)
    return roots
