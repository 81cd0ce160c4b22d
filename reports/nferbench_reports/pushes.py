"""How strong each push of a guided method was, step by step, as its translations have it stored in pushes.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd

from nferbench.contract.printable import one_line
from nferbench_reports.grid import FOLD
from nferbench_reports.record import Entry, Record
from nferbench_reports.results import Missing, Outcome, read_table
from nferbench_reports.stage_files import folder_of, missing_reason, read_json

FILE = "pushes.csv"
SCORE, NOISE = "score", "noise"  # the terms that are no energies
_NUMBERS = ("t", "k", "rms_mean", "rms_low", "rms_high", "relative", "cosine")


@final
@dataclass(frozen=True)
class Panel:
    """The pushes of one method."""

    title: str
    pushes: pd.DataFrame  # as `read_pushes` returns it


@final
@dataclass(frozen=True)
class Overshoot:
    """Where an energy pushes hardest, beside a score that it outweighs there."""

    term: str
    relative: float  # the size of the push as a multiple of the score's, above 1
    t: int  # index in the training schedule


@final
@dataclass(frozen=True)
class Summary:
    """The pushes of a method in short."""

    steps: int  # taken in all
    terms: tuple[str, ...]  # the score, the energies, the noise
    rows: tuple[tuple[int, tuple[float, ...]], ...]  # t, the score's size, those of the others as multiples of it; NaN
    overshoots: tuple[Overshoot, ...]


def read_pushes(path: Path) -> Outcome:
    """The pushes that a translation stored, a row a step and term; NaN where a cell is empty.

    Columns: t and k (integers), term, and rms_mean, rms_low, rms_high, relative, cosine (numbers).
    """
    table = read_table(path, ("term", *_NUMBERS))
    if isinstance(table, Missing):
        return table
    numbers = table[list(_NUMBERS)].apply(pd.to_numeric, errors="coerce")
    strange = numbers.isna() & (table[list(_NUMBERS)] != "")
    if bool(strange.to_numpy().any()) or not bool(np.isfinite(numbers[["t", "k"]].to_numpy(float)).all()):
        return Missing(f"{path.parent.name}/{path.name} holds something else than numbers")
    pushes: pd.DataFrame = numbers.astype({"t": int, "k": int}).assign(term=table["term"].map(one_line))
    return pushes


def energies(pushes: pd.DataFrame) -> list[str]:
    """The terms that guide the score, in the order in which they were noted."""
    return [str(term) for term in pushes["term"].unique() if term not in (SCORE, NOISE)]


def summarised(pushes: pd.DataFrame, count: int) -> Summary:
    """Pushes in short, at no more than `count` steps, spread evenly from the first one taken to the last."""
    others = (*energies(pushes), NOISE)
    steps = pushes["k"].unique()
    places = np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int)
    rows = []
    for k in steps[places]:
        here = pushes[pushes["k"] == k].drop_duplicates("term").set_index("term")
        sizes = [here["rms_mean"].get(SCORE, np.nan), *(here["relative"].get(term, np.nan) for term in others)]
        rows.append((int(here["t"].iloc[0]), tuple(float(size) for size in sizes)))
    return Summary(len(steps), (SCORE, *others), tuple(rows), _overshoots(pushes))


def _overshoots(pushes: pd.DataFrame) -> tuple[Overshoot, ...]:
    """The energies that push harder than the score at some step, each where it does most."""
    found = []
    for term in energies(pushes):
        harder = pushes[(pushes["term"] == term) & (pushes["relative"] > 1)]
        if not harder.empty:
            t, relative = harder.sort_values("relative").iloc[-1][["t", "relative"]]
            found.append(Overshoot(term, float(relative), int(t)))
    return tuple(found)


def panels_of(workspace: Path, record: Record) -> tuple[list[Panel], list[str]]:
    """The guided methods of a record that stored their pushes on fold 0, and why others are left out, a line each.

    Rows that are one piece of work share a panel; those of studies have none. Translations of earlier versions stored
    no pushes; nothing is said of them.
    """
    titles: dict[str, list[str]] = {}
    entries: dict[str, Entry] = {}
    for row in record.rows:
        for fold in row.folds if row.study is None else ():  # too many to be read
            if fold.fold == FOLD and fold.translation is not None and _has_pushes(workspace, fold.translation):
                titles.setdefault(fold.translation.key, []).append(row.title)
                entries[fold.translation.key] = fold.translation
    panels: list[Panel] = []
    faults: list[str] = []
    for key, entry in entries.items():
        title = ", ".join(dict.fromkeys(titles[key]))
        reason = missing_reason(workspace, entry, FILE)
        table: Outcome = Missing(reason) if reason else read_pushes(folder_of(workspace, entry) / FILE)
        if isinstance(table, Missing):
            faults.append(f"{title}: {table.reason}")
        elif energies(table):
            panels.append(Panel(title, table))
    return panels, faults


def pushes_frame(panels: Mapping[str, Sequence[Panel]]) -> pd.DataFrame:
    """The pushes of all panels, by data set: dataset and method, then the columns of `read_pushes`."""
    tables = [
        panel.pushes.assign(dataset=dataset, method=panel.title)[["dataset", "method", "term", *_NUMBERS]]
        for dataset, mine in panels.items()
        for panel in mine
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _has_pushes(workspace: Path, entry: Entry) -> bool:
    try:
        return FILE in read_json(folder_of(workspace, entry) / "stage.json")["files"]
    except (OSError, ValueError, KeyError, TypeError):  # told of where its scores are read
        return False
