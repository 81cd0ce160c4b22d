"""`nferbench score`."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.devices import device_for
from nferbench.cli.formatting import report_command, typed
from nferbench.cli.options import Log, RunOptions, Yes, taking_run_options
from nferbench.cli.output import say, table, tell_prepared
from nferbench.cli.requests import default_jobs, folds_named, planned
from nferbench.cli.working import accept_cost, stop_if_failed, work_off
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.engine.comparing import Compared
    from nferbench.planning.given import Given

ANYWHERE = ("device", "data_root", "plugin", "workspace")  # options that do no harm where no data set is used
SCORES = {
    "lpips": "LPIPS ↓",
    "psnr": "PSNR ↑",
    "ssim": "SSIM ↑",
    "psnr_paper": "PSNR, paper",
    "ssim_paper": "SSIM, paper",
}
DECIMALS = {"psnr": 2, "psnr_paper": 2}


@partial(taking_run_options, without=("methods", "again", "batch", "piece"))
def score(
    chosen: RunOptions,
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[A B]", help="Two folders: the images of A against those of B.")
    ] = None,
    pred: Annotated[
        list[str], typer.Option(metavar="NAME=DIR", help="Translated test faces; a row NAME. Any number of them.")
    ] = [],  # noqa: B006
    pred_extra: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=DIR", help="The translated extra set of a row: one folder, or fold0, fold1, … in it."
        ),
    ] = [],  # noqa: B006
    resize: Annotated[
        bool, typer.Option("--resize", help="Scale squares of another size; default refuses them.")
    ] = False,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where tested faces are also fitted to; every table says so.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Of A B: a CSV file for the scores of each image.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Of A B: print all scores as JSON.")] = False,
    log: Log = None,
    yes: Yes = False,
) -> None:
    """Score images that others translated: as rows beside the methods, or one folder against another.

    nferbench score --pred mine=DIR --pred-extra mine=DIR --dataset DATA/manifest.csv --extra CFEE/manifest.csv

    nferbench score A B
    """
    if folders and not pred and not pred_extra:
        given = [_option(each.name) for each in fields(chosen) if _changed(chosen, each.name)]
        given += [
            name for name, value in (("--resize", resize), ("--allow-leaks", allow_leaks), ("--log", log)) if value
        ]
        if given:
            raise UsageError(f"{', '.join(given)}: two folders are compared without a data set; leave it out")
        _compare(folders, chosen.device, out, as_json)
    elif folders:
        raise UsageError(f"{folders[0]}: a folder of a row is named by --pred NAME=DIR; two folders go without --pred")
    elif not pred:
        raise UsageError("nothing to score; name translated test faces by --pred NAME=DIR, or two folders A B")
    elif out or as_json:
        raise UsageError("--out and --json are for two folders A B; 'nferbench report' writes the tables of rows")
    else:
        _score(chosen, pred, pred_extra, resize, allow_leaks, log, yes)


def _score(
    chosen: RunOptions,
    pred: Sequence[str],
    pred_extra: Sequence[str],
    resize: bool,
    allow_leaks: bool,
    log: Path | None,
    yes: bool,
) -> None:
    from nferbench.cli.events import event_log
    from nferbench.metrics.perceptual import lpips_identity
    from nferbench.planning.given import given_rows, with_given
    from nferbench.planning.leak_guard import leaks_of, refuse, stamp
    from nferbench.planning.plugins import load_plugins
    from nferbench.planning.records import write_record
    from nferbench.planning.remaining import check_remaining
    from nferbench.planning.status import statuses
    from nferbench.workspace.stages import key
    from nferbench.workspace.store import open_workspace

    given = given_rows(pred, pred_extra, load_plugins(chosen.plugin).translators.items)
    store = open_workspace(chosen.workspace)
    # Rows of methods are left out again; a request names one.
    asked, states, setup = planned(replace(chosen, methods="none"), store)
    for note in asked.notes:
        say(f"note: {note}")
    workers = chosen.jobs or default_jobs(setup)
    events = event_log(log, store, setup.device) if log else None
    # Which images are due is known once the faces are prepared: some may be unusable.
    needed = [asked.faces, *([asked.extra] if asked.extra is not None and _any_extra(given) else [])]
    if any(state.state != "done" for state in states if state.stage in needed):
        stop_if_failed(
            work_off([state for state in states if state.stage in needed], setup, store, workers, log=events)
        )
        tell_prepared(needed, store)
    check_remaining(asked, store)
    leaks = leaks_of(asked, setup.roots, store) or ()
    if not allow_leaks:
        refuse(leaks)
    lpips = lpips_identity(asked.settings.size)
    work = with_given(asked, given, lpips, store, folds_named(chosen.fold), resize=resize)
    for note in work.notes:
        say(f"note: {note}")
    states = statuses(work, store)
    to_run = sum(state.state != "done" for state in states)
    say(
        f"{work.settings.dataset.name}, preset {work.settings.preset}, {work.settings.size} px: images by others in "
        f"{len(given)} row{'s' * (len(given) > 1)}, {len(states)} stages, {to_run} to run"
    )
    if to_run:
        accept_cost(work, states, setup, store, workers, yes)
    record = write_record(work, store, typed(), stamp(leaks), setup.roots.get(key(work.faces)))
    if to_run:
        outcome = work_off(states, setup, store, workers, log=events)
        say(f"{len(outcome.done)} stages done, {len(outcome.failed)} not. Record: {record}")
        stop_if_failed(outcome)
    say(f"Tables: {report_command(chosen.workspace)}")


def _any_extra(given: Sequence[Given]) -> bool:
    return any(each.extra is not None for each in given)


def _option(name: str) -> str:
    return "--set" if name == "change" else f"--{name.replace('_', '-')}"


def _changed(chosen: RunOptions, name: str) -> bool:
    return name not in ANYWHERE and getattr(chosen, name) != getattr(RunOptions(), name)


def _compare(folders: Sequence[Path], device: str, out: Path | None, as_json: bool) -> None:
    from nferbench.engine.comparing import compare

    if len(folders) != 2:
        raise UsageError(f"{len(folders)} folders are named; two are compared: the images of A against those of B")
    if out is not None and (out.exists() or not out.parent.is_dir()):
        reason = "is there already; move it away, or name another" if out.exists() else "lies in no folder; make it"
        raise UsageError(f"--out {out} {reason}")
    on, _ = device_for(device)
    with typer.progressbar(length=1, label="comparing", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        found = compare(folders[0], folders[1], on, progress)
    if out is not None:
        _write(found, out)
    if as_json:
        typer.echo(json.dumps(_as_data(found), indent=1))
    else:
        _show(found)
        if out is not None:
            say(f"written: {out}")


def _write(found: Compared, out: Path) -> None:
    from nferbench.contract.printable import cell
    from nferbench.workspace.files import write_bytes

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", *SCORES])
    for name, scores in found.scores.items():
        writer.writerow([cell(name), *(scores.get(each, "") for each in SCORES)])
    write_bytes(out, text.getvalue().encode(errors="surrogateescape"))


def _as_data(found: Compared) -> dict[str, object]:
    """All scores; the PSNR of equal images, which JSON has no number for, is the text "inf"."""

    def told(scores: dict[str, float]) -> dict[str, float | str | None]:
        values = {name: scores.get(name) for name in SCORES}
        return {name: "inf" if value is not None and math.isinf(value) else value for name, value in values.items()}

    images = [{"image": name, **told(dict(scores))} for name, scores in found.scores.items()]
    reason = {} if found.lpips.startswith("lpips") else {"lpips_reason": found.lpips}
    return {"images": images, "mean": told(found.means()), **reason}


def _show(found: Compared) -> None:
    means = found.means()
    texts = [f"{means[name]:.{DECIMALS.get(name, 4)}f}" if name in means else "–" for name in SCORES]
    table(["images", *SCORES.values()], [[str(len(found.scores)), *(text.replace("inf", "∞") for text in texts)]])
    if not found.lpips.startswith("lpips"):
        say(f"note: {found.lpips}")
