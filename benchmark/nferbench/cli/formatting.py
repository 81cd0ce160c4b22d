"""Findings in words: spans, sizes, a run in one line, a plan line by line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from nferbench.planning.plan import Work
    from nferbench.planning.status import Status


def duration(seconds: float) -> str:
    """A time span for people, such as "45 s", "7 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def amount(size: float) -> str:
    """A number of bytes for people, such as "12 MB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def headline(work: Work, states: Sequence[Status], fold: str) -> str:
    """A run in one line; people and pairs are those that are listed, or prepared where that is done."""
    to_run = sum(state.state != "done" for state in states)
    settings = work.settings
    count = len(work.rows[0].folds)
    whole = {"folds": "folds", "repeats": "random draws", "fixed": "fixed split" + "s" * (count > 1)}[work.division]
    folds = f"fold {fold} of {count}" if fold else f"{count} {whole}"
    prepared = next((state.entry for state in states if state.stage == work.faces and state.entry), None)
    counts = prepared.info["result"] if prepared else {}
    subjects, pairs = counts.get("subjects", work.subjects), counts.get("pairs", work.pairs)
    return (
        f"{settings.dataset.name} ({subjects} subjects, {pairs} pairs, {len(work.classes)} classes), "
        f"{folds}, preset {settings.preset}, {settings.size} px: {len(states)} stages, {to_run} to run; "
        f"{work.trainings} network trainings instead of {work.trainings_unshared} without sharing"
    )


def plan_lines(states: Sequence[Status]) -> list[str]:
    """One line a stage: what is done, what is to run and why."""
    from nferbench.workspace.stages import readable

    open_stages = {state.stage for state in states if state.state != "done"}
    lines = []
    for state in states:
        reason = state.reason
        waits = [readable(need) for need in state.stage.needs() if need in open_stages]
        if waits and state.state != "done":
            reason += f"; waits for {waits[0]}" + (f" and {len(waits) - 1} more" if len(waits) > 1 else "")
        lines.append(f"{state.state:<8} {readable(state.stage)}{f'  ({reason})' if reason else ''}")
    return lines


def split_lines(work: Work) -> list[str]:
    """The test subjects of every fold, and the fingerprint of all their lists."""
    lines = []
    for cell in work.rows[0].folds:
        if cell.recognition:
            test = cell.recognition[0].fold.test
            lines.append(f"fold {cell.fold}: {len(test)} of {work.subjects} subjects are tested: {' '.join(test)}")
    return [*lines, f"fingerprint of these splits: {work.splits}"]


def report_command(workspace: Path) -> str:
    """What to type for the tables."""
    return "nferbench report" + ("" if workspace == Path("runs") else f" --workspace {workspace}")


def typed() -> str:
    """The command line of this process."""
    return one_line(shlex.join(["nferbench", *sys.argv[1:]]))
