"""The section of the page on costs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from nferbench_reports import costs_figure
from nferbench_reports.costing import COSTS, TRANSLATING, costs
from nferbench_reports.costs_figure import Panel, Point
from nferbench_reports.naming import told_apart_by
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet, Shown

SHEET = "costs"
_TEXT = (
    "What each row takes. Own are the networks that no other row of the record needs, shared those that others need "
    "too. Seconds of training are of one fold; seconds of a face are of its translation, with the loading of networks. "
    "An evaluation is one row of a batch that goes through a network. All are means over the folds.",
    "Seconds compare rows only where they were measured on one device, with nothing else at work on it.",
)
_MEMORY = {
    "training_gpu_mb": "GPU memory of training (MB)",
    "training_process_mb": "Memory of training (MB)",
    "translation_gpu_mb": "GPU memory of translation (MB)",
    "translation_process_mb": "Memory of translation (MB)",
}
_LABELS = {"accuracy": "accuracy (%), higher is better", "lpips": "LPIPS, lower is better"}


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """Costs of all rows, and a figure for each run that has seconds a face; None where no stage says what it took."""
    frame = costs(runs)
    if frame[list(COSTS)].isna().all(axis=None):
        return None
    figures = [figure for run in runs if (figure := _figure(run, _of(frame, run)))]
    return Section("costs", "Costs", _TEXT, (*figures, _sheet(runs, frame)))


def _of(frame: pd.DataFrame, run: Run) -> pd.DataFrame:
    return frame[frame["record"] == run.name]


def _sheet(runs: Sequence[Run], frame: pd.DataFrame) -> Sheet:
    memory = [Shown(name, title, 0) for name, title in _MEMORY.items() if frame[name].notna().any()]
    columns = (
        Shown("title", "Row"),
        Shown("own_seconds", "Own training (s)", 1),
        Shown("shared_seconds", "Shared training (s)", 1),
        Shown("shared_with", "Shared with rows"),
        Shown("seconds_a_face", "Seconds a face", 4),
        Shown("evaluations_a_face", "Evaluations a face", 1),
        Shown("parameters", "Parameters"),
        *memory,
        Shown("recogniser_seconds", "Recogniser (s)", 1),
        Shown("networks", "Networks"),
        Shown("devices", "Devices"),
    )
    return Sheet(SHEET, "Costs of the rows", frame, columns, told_apart_by(runs), tuple(_notes(frame)))


def _notes(frame: pd.DataFrame) -> list[str]:
    short: dict[str, list[str]] = {}
    for line in frame.to_dict("records"):
        counted = {what: line[f"{what}_folds"] for what in ("training", "translation", "recogniser")}
        lacking = [f"{what} {n}" for what, n in counted.items() if pd.notna(n) and n < line["folds"]]
        if lacking:
            reason = f": {line['reason']}" if line["reason"] else ""
            said = f"of {line['folds']} folds stand behind {', '.join(lacking)}{reason}"
            short.setdefault(said, []).append(line["title"])
    notes = [f"{', '.join(titles)}: {said}." for said, titles in short.items()]
    translating = frame[frame["group"].isin(TRANSLATING)]
    if (late := frame[frame["at_least"]])["title"].size:
        notes.append(f"At least, for earlier attempts at their trainings are not counted: {', '.join(late['title'])}.")
    unknown = translating[translating["evaluations_folds"] < translating["translation_folds"]]
    if unknown["title"].size:
        notes.append(
            "Evaluations are not known, or not of all folds, of translations by earlier versions and by compiled "
            f"networks: {', '.join(unknown['title'])}."
        )
    if frame[[name for name in _MEMORY if "process" in name]].notna().any(axis=None):
        notes.append(
            "Memory on a CPU is the most that the whole process held: with libraries, and with what stages before left."
        )
    return notes


def _figure(run: Run, frame: pd.DataFrame) -> Figure | None:
    timed = frame[frame["seconds_a_face"] > 0]
    panels = []
    for metric, label in _LABELS.items():
        points = tuple(
            Point(line["title"], line["group"], line["seconds_a_face"], line[metric], _whole(line, metric))
            for line in timed.to_dict("records")
            if math.isfinite(line[metric])
        )
        without = frame.loc[frame["method"] == "none", metric].dropna()
        if points:
            panels.append(Panel(label, points, float(without.iloc[0]) if len(without) else None))
    if not panels:
        return None
    title = run.record.protocol.dataset_title
    svg = costs_figure.draw(f"costs-{run.name}", panels)
    caption = (
        f"{title}: what rows measure against the seconds that a face takes, on a logarithmic axis. Hollow: folds are "
        "missing. The dashed line is no translation."
    )
    return Figure(svg, f"Accuracy and LPIPS of the rows on {title} against seconds a face", caption, SHEET)


def _whole(line: Mapping[Hashable, Any], metric: str) -> bool:
    return bool(line["folds"] == line["translation_folds"] == line[f"{metric}_folds"])
