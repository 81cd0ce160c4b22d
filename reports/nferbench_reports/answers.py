"""The answers of the recogniser of each row, counted by fold and training, and which rows they are compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench_reports.columns import comparison_columns
from nferbench_reports.record import Protocol, Record
from nferbench_reports.results import PREDICTED, SEED, Missing, Outcome, Results
from nferbench_reports.runs import Run
from nferbench_reports.table_cells import cells, lacking

NAMES = ("record", "dataset", "dataset_title", "method", "title")  # first columns of each frame


@final
@dataclass(frozen=True)
class Answered:
    """What the recognisers of a row answered; no two of a report have the same titles."""

    record: str  # name of its file
    dataset_title: str
    title: str  # of the row
    method: str
    protocol: Protocol
    outcomes: Mapping[int, Outcome]  # predictions by fold
    counts: Mapping[int, NDArray[np.int64]]  # (trainings, true class, predicted class) by fold that has them
    note: str  # which folds have none and why, "" where all have them

    def named(self) -> dict[str, str]:
        """The first columns of each line about it."""
        values = (self.record, self.protocol.dataset, self.dataset_title, self.method, self.title)
        return dict(zip(NAMES, values, strict=True))

    def frame(self, folds: Collection[int]) -> pd.DataFrame:
        """All predictions of some folds, each of which has them."""
        found = [self.outcomes[fold] for fold in sorted(folds)]
        return pd.concat([one for one in found if not isinstance(one, Missing)])

    def trainings(self) -> int:
        """How many times the recogniser was trained on each fold; 0 where no fold has predictions."""
        return max((len(counts) for counts in self.counts.values()), default=0)

    def pooled(self, folds: Collection[int]) -> NDArray[np.int64]:
        """The counts of some folds together, (trainings, true class, predicted class)."""
        size = len(self.protocol.classes)
        whole = np.zeros((self.trainings(), size, size), np.int64)
        for fold in folds:
            whole[: len(self.counts[fold])] += self.counts[fold]
        return whole


def answered(runs: Sequence[Run]) -> list[Answered]:
    """The rows of tables that a recogniser is trained for, in the order of the records."""
    records = [PurePosixPath(run.file).stem for run in runs]
    datasets = told_apart([run.record.protocol.dataset_title for run in runs], records)
    found = []
    for run, record, dataset in zip(runs, records, datasets, strict=True):
        protocol, rows = run.record.protocol, run.tabled()
        titles = told_apart([one.row.title for one in rows], [one.row.name for one in rows])
        for one, title in zip(rows, titles, strict=True):
            note = _note(run.record, one)
            if note is not None:
                counts = {
                    fold: _counted(outcome, protocol.classes)
                    for fold, outcome in sorted(one.predictions.items())
                    if not isinstance(outcome, Missing)
                }
                named = (record, dataset, title, one.row.name)
                found.append(Answered(*named, protocol, one.predictions, counts, note))
    return found


def told_apart(titles: Sequence[str], names: Sequence[str]) -> list[str]:
    """Titles of things that each have another name, with these behind them where titles are shared."""
    if len(set(titles)) == len(titles):
        return list(titles)
    return [f"{title} ({name})" for title, name in zip(titles, names, strict=True)]


def compared_with(found: Sequence[Answered], one: Answered, names: Collection[str]) -> list[Answered]:
    """The rows of the same record that have these names, in their order."""
    mine = {other.method: other for other in found if other.record == one.record}
    return [mine[name] for name in dict.fromkeys(names) if name in mine]


def shared_folds(one: Answered, other: Answered) -> list[int]:
    """The folds that both have predictions of."""
    return sorted(one.counts.keys() & other.counts.keys())


def _note(record: Record, one: Results) -> str | None:
    """Which folds of a row have no predictions and why; None for a row that no recogniser is trained for."""
    if one.predictions:
        return lacking(one.predictions, record.protocol.folds)
    (accuracy,) = cells(record, one, comparison_columns(record.protocol, "standard")[:1])
    return None if accuracy is None else accuracy.note


def _counted(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(classes)}
    places = [frame[SEED], frame["expression"].map(index), frame[PREDICTED].map(index)]
    counts = np.zeros((int(frame[SEED].max()) + 1, len(classes), len(classes)), np.int64)
    np.add.at(counts, tuple(each.to_numpy(np.int64) for each in places), 1)
    return counts
