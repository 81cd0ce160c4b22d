"""`nferbench status`."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.formatting import amount, duration
from nferbench.cli.options import Workspace
from nferbench.cli.output import say
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.workspace.overview import Begun, Overview, Running

REDRAWN = 5.0  # seconds between two looks at least; a look at a large workspace takes a third of the time at most
SHOWN = 20  # lines of one kind; --json has all


def status(
    workspace: Workspace = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every few seconds until q or Ctrl-C.")] = False,
) -> None:
    """Show what a workspace holds: done, at work, failed, unfinished, damaged, and its size; change nothing."""
    from nferbench.workspace.overview import overview
    from nferbench.workspace.store import read_workspace

    read_workspace(workspace)
    if not workspace.is_dir():
        raise UsageError(f"no workspace at '{workspace}'; name the one of your run: nferbench status --workspace PATH")

    def look() -> Overview:
        try:
            return overview(workspace)
        except OSError as error:
            raise UsageError(f"{error.filename or workspace} cannot be read ({error.strerror})") from None

    def text() -> str:
        return _json(look()) if as_json else "\n".join(lines(look()))

    if watch:
        _watch(text, live=sys.stdout.isatty() and not as_json)
    else:
        _say(text())


def lines(seen: Overview) -> list[str]:
    """An overview for people."""
    return [
        f"{seen.workspace} at {seen.at:%Y-%m-%d %H:%M:%S} UTC, {amount(sum(each.bytes for each in seen.folders))}",
        f"{seen.done} stages done, {sum(bool(each.key) for each in seen.running)} at work, "
        f"{len(seen.failed)} failed, {seen.waiting} waiting for these, {len(seen.unfinished)} unfinished, "
        f"{len(seen.damaged)} damaged",
        *_part("at work", [_running(each, seen.at) for each in seen.running]),
        *_part("failed", [f"{each.what}: {each.status}: {each.reason}" for each in seen.failed]),
        *_part("unfinished", [_begun(each) for each in seen.unfinished]),
        *_part("damaged", [*seen.damaged, *seen.unreadable]),
        *_part(
            "rows",
            [
                f"{each.record} {each.row}: {each.done} of {each.stages} stages, "
                f"{amount(each.bytes)}, {amount(each.alone)} of it for no other row"
                for each in seen.rows
            ],
            len(seen.rows),
        ),
        *_part(
            "disk",
            [f"{each.name}: {each.items}, {amount(each.bytes)}" for each in seen.folders if each.items],
            len(seen.folders),
        ),
    ]


def _part(head: str, found: Sequence[str], shown: int = SHOWN) -> list[str]:
    more = len(found) - shown
    last = [f"  and {more} more, see --json"] if more > 0 else []
    return [f"{head}:", *(f"  {line}" for line in found[:shown]), *last] if found else []


def _running(each: Running, now: datetime) -> str:
    since = ""
    if each.since:
        since = f", since {each.since:%Y-%m-%d %H:%M:%S} UTC ({duration((now - each.since).total_seconds())})"
    process = "" if each.process is None else f" by process {each.process}"
    return f"{each.what}{process} on {each.host}{since}, last seen {duration(each.silent)} ago"


def _begun(each: Begun) -> str:
    what = "can be gone on with" if each.resumable else "nothing to go on with"
    done = "" if each.done is None else f", {each.done} updates or images done"
    return f"{each.what}: {what}{done}, {amount(each.bytes)}"


def _json(seen: Overview) -> str:
    return json.dumps(dataclasses.asdict(seen), default=datetime.isoformat, ensure_ascii=True)


def _say(text: str) -> None:
    for line in text.splitlines():
        say(line)


def _watch(text: Callable[[], str], live: bool) -> None:
    """Show a text again and again until q or Ctrl-C: in place on a terminal, below each other elsewhere."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with suppress(KeyboardInterrupt), _keys() as quits:
        if not live:
            while True:
                began = time.monotonic()
                _say(text())
                sys.stdout.flush()
                if quits(_pause(began)):
                    return
        console = Console(highlight=False)
        with Live(console=console, auto_refresh=False, screen=True) as shown:
            while True:
                began = time.monotonic()
                shown.update(Text(text(), no_wrap=True, overflow="ellipsis"), refresh=True)
                if quits(_pause(began)):
                    return


def _pause(began: float) -> float:
    return max(REDRAWN, 2 * (time.monotonic() - began))


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds and says whether q was pressed meanwhile, where there is a keyboard."""
    if not sys.stdin.isatty():
        yield _sleep
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def quits(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([keyboard], [], [], left)[0] and os.read(keyboard, 1) in (b"q", b"Q", b""):
                return True
        return False

    try:
        tty.setcbreak(keyboard)
        yield quits
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
