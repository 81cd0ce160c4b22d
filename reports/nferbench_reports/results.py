"""The stored predictions and image scores of one method, fold by fold, or the reason why there are none."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd

from nferbench.contract.printable import from_cell, one_line
from nferbench_reports.record import SCORES, Entry, FoldEntries, Metric, Row
from nferbench_reports.stage_files import folder_of, missing_reason, read_json

IDENTITY = ("id", "subject", "expression")
PREDICTED = "predicted"
SEED = "seed"
SCORE = "score:"  # and a class: the column of its probabilities; results of earlier versions have none
VALUE = "value"  # column of what a metric beside `SCORES` measured


@final
@dataclass(frozen=True)
class Missing:
    """The place of a result that does not exist."""

    reason: str  # one line without a full stop


Outcome = pd.DataFrame | Missing


@final
@dataclass(frozen=True)
class Results:
    """Everything measured of one row. A fold where a stage does not apply is absent; both maps go by fold number."""

    row: Row
    predictions: Mapping[int, Outcome]  # frames with id, subject, expression, predicted, seed: 0, 1, … a training; and,
    # where they are stored, score:<class>, NaN where a cell is no number
    scores: Mapping[str, Mapping[int, Outcome]]  # by score name: frames with id, subject, expression and that score


def load_results(workspace: Path, row: Row, classes: Sequence[str], metrics: Sequence[Metric] = ()) -> Results:
    """Read what the stages of `row` stored; what is missing or damaged is there as `Missing` with its reason.

    Args:
        workspace: where they lie.
        row: of a record.
        classes: of its protocol.
        metrics: of its record: the row may not be measured by all of them, or by one that only has the name.
    """
    predictions: dict[int, Outcome] = {}
    scores: dict[str, dict[int, Outcome]] = {name: {} for name in (*SCORES, *(each.name for each in metrics))}
    for fold in row.folds:
        if trainings := fold.trainings():
            predictions[fold.fold] = _predictions(workspace, trainings, classes)
        if fold.quality is not None:
            for name, outcome in _scores(workspace, fold.quality).items():
                scores[name][fold.fold] = outcome
            for metric in metrics:
                scores[metric.name][fold.fold] = _measured(workspace, row, fold, metric)
    noted = [_noted(workspace, fold.translation) for fold in row.folds if fold.translation is not None]
    stamps = tuple(dict.fromkeys([*row.stamps, *filter(None, noted)]))
    return Results(row.model_copy(update={"stamps": stamps}), predictions, scores)


def trainings(results: Results) -> int:
    """The trainings of the recogniser behind each fold that has a result, equally many; 0 where none has."""
    frames = [outcome for outcome in results.predictions.values() if not isinstance(outcome, Missing)]
    return int(frames[0][SEED].nunique()) if frames else 0


def _noted(workspace: Path, entry: Entry) -> str:
    """What a reader must know of a translation, as it was found when it was made; "" where there is nothing."""
    try:
        note = read_json(folder_of(workspace, entry) / "stage.json")["result"].get("note", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # told of where its scores are read
        return ""
    return one_line(" ".join(str(note).split()))


def read_table(path: Path, columns: tuple[str, ...]) -> Outcome:
    """Read a CSV file as text cells ("001" stays "001"), `Missing` where it cannot be read or lacks a column."""
    name = f"{path.parent.name}/{path.name}"
    try:
        content = path.read_text(encoding="utf-8")
        # A report reads hundreds of small tables, and what pandas takes to begin with one is most of its time.
        header, *rows = [line for line in csv.reader(StringIO(content, newline=""), strict=True) if line] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        return Missing(f"{name} is damaged ({type(error).__name__})")
    if uneven := next((row for row in rows if len(row) != len(header)), None):
        return Missing(f"{name} is damaged ({len(uneven)} cells below {len(header)} columns)")
    absent = [column for column in columns if column not in header]
    if absent or not rows:
        return Missing(f"{name} " + (f"has no column {absent[0]}" if absent else "is empty"))
    if len(set(header)) < len(header):
        return Missing(f"{name} is damaged (two columns of one name)")
    if "'" in content:  # nothing else is written in another way
        rows = [[from_cell(cell) for cell in row] for row in rows]
    return pd.DataFrame(rows, columns=header, dtype=str)


def _read(workspace: Path, entry: Entry, name: str, columns: tuple[str, ...]) -> Outcome:
    reason = missing_reason(workspace, entry, name)
    return Missing(reason) if reason else read_table(folder_of(workspace, entry) / name, (*IDENTITY, *columns))


def _predictions(workspace: Path, trainings: Sequence[Entry], classes: Sequence[str]) -> Outcome:
    """Those of all trainings below each other; a mean over the ones that happen to be there is another number."""
    tables = [_predicted(workspace, entry, classes) for entry in trainings]
    found = [table for table in tables if not isinstance(table, Missing)]
    missing = [table for table in tables if isinstance(table, Missing)]
    if not missing:
        together = pd.concat(found)
        scores = [name for name in together.columns if name.startswith(SCORE)]
        numbers = {name: pd.to_numeric(together[name], errors="coerce").astype(float) for name in scores}
        return together.assign(**numbers, **{SEED: np.repeat(np.arange(len(found)), [len(table) for table in found])})
    if not found:
        return missing[0]
    return Missing(f"{len(missing)} of {len(tables)} trainings of the recogniser missing: {missing[0].reason}")


def _predicted(workspace: Path, entry: Entry, classes: Sequence[str]) -> Outcome:
    table = _read(workspace, entry, "predictions.csv", (PREDICTED,))
    if isinstance(table, Missing):
        return table
    strange = sorted({*table["expression"], *table[PREDICTED]} - set(classes))
    return Missing(f"'{one_line(strange[0])}' is not a class of the data set") if strange else table


def _scores(workspace: Path, entry: Entry) -> dict[str, Outcome]:
    """What a fold was scored by, by the names of `SCORES`."""
    table = _read(workspace, entry, "scores.csv", SCORES)
    if isinstance(table, Missing):
        return dict.fromkeys(SCORES, table)
    who = table[list(IDENTITY)]
    found: dict[str, Outcome] = {}
    for name in SCORES:
        values = pd.to_numeric(table[name], errors="coerce").astype(float)
        if not np.isnan(values.to_numpy()).any():
            found[name] = who.assign(**{name: values})
            continue
        # A mean over the images that happen to have a score is another number, so the whole fold has none.
        found[name] = Missing(
            _lpips_reason(workspace, entry) if name == "lpips" else f"{name} is not a number for some images"
        )
    return found


def _measured(workspace: Path, row: Row, fold: FoldEntries, metric: Metric) -> Outcome:
    """What a metric measured of a fold; NaN where the real face gave nothing to measure by, whatever the row."""
    entry = next((each for each in fold.metrics if each.name == metric.name), None)
    if entry is None:
        return Missing(f"not measured; nferbench run --metrics {metric.name} does it")
    mine = next((each for each in row.metrics if each.name == metric.name), None)
    if mine is None or mine.identity != metric.identity:
        return Missing(f"measured by {metric.name} with other settings than the newest run; measure it again")
    stage = Entry(key=entry.key, path=entry.path)
    table = _read(workspace, stage, "scores.csv", (VALUE,))
    if isinstance(table, Missing):
        return table
    if _of_other_images(workspace, stage, fold.translation):
        again = f"nferbench run --metrics {metric.name} --again {metric.name}"
        return Missing(f"the translation was done again since this was measured; {again}")
    values = pd.to_numeric(table[VALUE], errors="coerce").astype(float)
    absent = table[VALUE] == ""
    if not np.isfinite(values[~absent]).all() or (absent.any() and not metric.lacking):
        return Missing(f"{metric.name} is not a number for some images")
    if absent.all():
        return Missing(metric.lacking)
    return table[list(IDENTITY)].assign(**{metric.name: values})


def _of_other_images(workspace: Path, measure: Entry, translation: Entry | None) -> bool:
    """Whether a stage measured other images than the translation has now; a bundle has none to compare."""
    if translation is None:
        return False
    try:
        measured = read_json(folder_of(workspace, measure) / "stage.json")["result"]["measured"]
        there = read_json(folder_of(workspace, translation) / "stage.json")["files"]["images.npy"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(measured != there)


def _lpips_reason(workspace: Path, entry: Entry) -> str:
    try:
        result = read_json(folder_of(workspace, entry) / "stage.json")["result"]
        return one_line(" ".join(str(result["lpips_reason"]).split())).rstrip(".")
    except (OSError, ValueError, KeyError, TypeError):
        return "LPIPS was not measured"
