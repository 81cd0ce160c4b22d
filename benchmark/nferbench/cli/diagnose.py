"""`nferbench diagnose`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.options import Log, RunOptions, Yes, taking_run_options
from nferbench.cli.output import say, table, tell_noted
from nferbench.cli.requests import default_jobs, planned
from nferbench.cli.working import accept_cost, stop_if_failed, whole, work_off
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.contract.translator import Translator
    from nferbench.planning.plan import Work
    from nferbench.workspace.store import Store
    from nferbench_reports import Summary


@taking_run_options
def diagnose(
    chosen: RunOptions,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[METHODS]...", help="Names of methods, as --methods takes them.")
    ] = None,
    faces: Annotated[int, typer.Option(min=1, help="Test faces that are translated, the first by id.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default WORKSPACE/diagnosis.")] = None,
    log: Log = None,
    yes: Yes = False,
) -> None:
    """Show how hard each energy of a guided method pushes beside the score, step by step, on a few faces of one fold.

    nferbench diagnose nfer-sde --dataset synthetic-hfe --preset quick
    """
    from nferbench.cli.events import event_log
    from nferbench.planning.first_faces import first_faces
    from nferbench.planning.remaining import check_remaining
    from nferbench.workspace.stages import Translate
    from nferbench.workspace.store import open_workspace

    fold = _fold(chosen.fold)
    chosen = replace(chosen, methods=_methods(names, chosen.methods), fold=str(fold))
    store = open_workspace(chosen.workspace)
    work, states, setup = planned(chosen, store, lambda work: first_faces(work, fold, faces))
    events = event_log(log, store, setup.device) if log else None
    check_remaining(work, store)
    for note in work.notes:
        say(f"note: {note}")
    to_run = [state.stage for state in states if state.state != "done"]
    say(
        f"{work.settings.dataset.name}, preset {work.settings.preset}, {work.settings.size} px: "
        f"the first {faces} test faces of fold {fold}; {len(states)} stages, {len(to_run)} to run"
    )
    if to_run:
        workers = chosen.jobs or default_jobs(setup)
        if not all(isinstance(stage, Translate) for stage in to_run):
            accept_cost(work, states, setup, store, workers, yes)
        outcome = work_off(states, setup, store, workers, lambda: check_remaining(work, store), log=events)
        tell_noted([stage for stage in outcome.done if isinstance(stage, Translate)], store)
        stop_if_failed(outcome)
    _tell(work, store, out or chosen.workspace / "diagnosis")


def _methods(names: Sequence[str] | None, option: str) -> str:
    """The methods that were named, as arguments or by --methods.

    Raises:
        UsageError: both ways.
    """
    if names and option != RunOptions().methods:
        raise UsageError(f"--methods {option}: methods are named twice, also as {' '.join(names)}; keep one")
    return ",".join(names) if names else option


def _fold(text: str) -> int:
    """The fold that is looked at, 0 where none is named.

    Raises:
        UsageError: something else than one number.
    """
    if text and not text.strip().isdecimal():
        raise UsageError(f"--fold {text}: one fold is looked at; write --fold 0")
    return int(text or 0)


def _tell(work: Work, store: Store, out: Path) -> None:
    """Write the diagnosis, and show of each method its pushes and where an energy outweighs the score."""
    from nferbench.workspace.stages import Translate
    from nferbench_reports import Translated, write_diagnosis

    rows = [(row, stage) for row in work.rows for cell in row.folds if isinstance(stage := cell.translation, Translate)]
    translated = [Translated(row.name, row.title, whole(stage, store).path) for row, stage in rows]
    written = write_diagnosis(whole(work.faces, store).path, translated, out)
    for row, stage in rows:
        if row.name in written.pushes:
            _show(row.name, written.pushes[row.name], stage.translator)
        else:
            say(f"note: {row.name} notes no pushes; docs/plugins.md says how a method does")
    say("written: " + " ".join(str(path) for path in written.paths))


def _show(name: str, pushes: Summary, translator: Translator) -> None:
    say(f"{name}: size of the score's push, and of the others as multiples of it, in {pushes.steps} steps")
    table(["t", *pushes.terms], [[str(t), *map(_number, sizes)] for t, sizes in pushes.rows])
    for each in pushes.overshoots:
        times = f"{each.relative:.1f}" if each.relative < 10 else f"{each.relative:.0f}"
        say(
            f"note: {name}: {each.term} pushes {times} times as hard as the score at t = {each.t}: "
            f"{_weight(translator, each.term)} overshoots in {pushes.steps} steps; try more steps or a smaller weight"
        )


def _number(size: float) -> str:
    return "–" if isnan(size) else f"{size:.3g}"


def _weight(translator: Translator, term: str) -> str:
    """What a term is weighted by: that of E_x is the field lambda_x, where there is one."""
    name = term.replace("E_", "lambda_", 1) if term.startswith("E_") else ""
    value = getattr(translator, name, None)
    return f"the weight {name} = {value:g}" if isinstance(value, int | float) else "its weight"
