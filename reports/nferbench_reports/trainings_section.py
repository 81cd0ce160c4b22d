"""The section of the page on trainings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nferbench_reports import trainings_figure
from nferbench_reports.naming import told_apart_by
from nferbench_reports.results import Missing
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet, Shown
from nferbench_reports.training_logs import Training, losses_frame, read_trainings, trainings_frame
from nferbench_reports.trainings_figure import Curve, Panel

SHEET, LONG = "trainings", "losses"
_TEXT = (
    "How the networks behind all rows were trained, those of studies too. In the figures each thin line is a fold and "
    "a term of the loss, on a logarithmic axis where all terms are above 0, with the means of neighbouring updates "
    "where there are many. A triangle below a curve marks the update at which a training was gone on with.",
)
_COLUMNS = (
    Shown("network", "Network"),
    Shown("fold", "Fold"),
    Shown("state", "State"),
    Shown("updates", "Updates"),
    Shown("seconds", "Seconds", 1),
    Shown("lr", "Learning rate", 6),
    Shown("lr_last", "at the end", 6),
    Shown("first_losses", "First losses"),
    Shown("last_losses", "Last losses"),
    Shown("resumed_at", "Resumed at"),
    Shown("piece", "Pairs at a time"),
    Shown("device", "Device"),
    Shown("reason", "Remark"),
)


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """All trainings, their losses, and a figure for each run that has any; None where no row has networks."""
    found = [(run, read_trainings(run)) for run in runs]
    frame = trainings_frame(found)
    if frame.empty:
        return None
    figures = [figure for run, each in found if (figure := _figure(run, each))]
    table = Sheet(SHEET, "Trainings", frame, _COLUMNS, told_apart_by(runs), tuple(_notes(frame)))
    long = losses_frame(found)
    # Too many lines to look at: the figures show them.
    logs = [] if long.empty else [Sheet(LONG, "Losses, update by update", long, ())]
    return Section("trainings", "Trainings", _TEXT, (*figures, table, *logs))


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = []
    given = frame[frame["state"] == "given"]
    if len(given):
        names = ", ".join(dict.fromkeys(given["network"]))
        notes.append(f"Nothing was trained of networks whose weights were given, so they have no curve: {names}.")
    for state, said in (("missing", "Not there"), ("trained", "Losses not shown")):
        lacking = frame[(frame["state"] == state) & (frame["reason"] != "")]
        notes += [f"{said}: {_listed(mine)}: {reason}." for reason, mine in lacking.groupby("reason", sort=False)]
    if len(late := frame[frame["at_least"]]):
        notes.append(f"Seconds are at least those, for earlier attempts are not counted: {_listed(late)}.")
    if len(silent := frame[frame["resumed"] & (frame["resumed_at"] == "")]):
        notes.append(f"Gone on with, and at which update is not known: {_listed(silent)}.")
    return notes


def _listed(frame: pd.DataFrame) -> str:
    """The networks of a frame, each with its folds."""
    folds: dict[str, list[str]] = {}
    for line in frame.to_dict("records"):
        folds.setdefault(line["network"], []).extend([] if pd.isna(line["fold"]) else [str(line["fold"])])
    return "; ".join(
        f"{network} of fold{'s' * (len(each) > 1)} {', '.join(each)}" if each else network
        for network, each in folds.items()
    )


def _figure(run: Run, trainings: Sequence[Training]) -> Figure | None:
    curves: dict[str, list[Curve]] = {}
    for one in trainings:
        if not isinstance(one.log, Missing) and not isinstance(one.network.done, Missing):
            curves.setdefault(one.network.name, []).append(Curve(one.log, one.network.done.result.resumed_at))
    if not curves:
        return None
    title = run.record.protocol.dataset_title
    panels = [Panel(name, tuple(each)) for name, each in curves.items()]
    svg = trainings_figure.draw(f"trainings-{run.name}", panels)
    return Figure(svg, f"Losses of the networks on {title} by update", f"{title}: losses by update.", LONG)
