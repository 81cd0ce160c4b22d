"""What records a workspace has to choose from, and how much of each is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench_reports import telling
from nferbench_reports.record import Entry, FoldEntries, Record
from nferbench_reports.records import read_all
from nferbench_reports.stage_files import missing_reason


@final
@dataclass(frozen=True)
class Listed:
    """A record in short."""

    name: str  # what it is chosen by
    record: Record
    dataset: str  # its title, with what stands for its place where another one has its name
    done: int  # folds of rows all of whose scores and predictions are stored
    planned: int  # folds of rows
    newest: bool  # of its data set: what a report shows that is asked for none


def list_records(workspace: Path) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """The records of a workspace by data set, newest first, and what of them cannot be read, a line each.

    Raises:
        UsageError: there is no workspace, or nothing was run in it.
    """
    readable, problems = read_all(workspace)
    readable.sort(key=lambda stored: (stored.record.created, stored.file), reverse=True)
    readable.sort(key=lambda stored: _set(stored.record))
    places = Counter(dataset for dataset, _ in {_set(stored.record) for stored in readable})
    seen: set[tuple[str, str]] = set()
    listed = []
    for stored in readable:
        protocol = stored.record.protocol
        place = f" ({telling.place(protocol)})" if places[protocol.dataset] > 1 else ""
        folds = [fold for row in stored.record.rows for fold in row.folds]
        done = sum(_done(workspace, fold) for fold in folds)
        newest = _set(stored.record) not in seen
        title = f"{protocol.dataset_title}{place}"
        listed.append(Listed(stored.name, stored.record, title, done, len(folds), newest))
        seen.add(_set(stored.record))
    return tuple(listed), tuple(line for lines in problems.values() for line in lines)


def _set(record: Record) -> tuple[str, str]:
    return record.protocol.dataset, record.protocol.place


def _done(workspace: Path, fold: FoldEntries) -> bool:
    scored = [Entry(key=each.key, path=each.path) for each in fold.metrics] + ([fold.quality] if fold.quality else [])
    read = [*((entry, "predictions.csv") for entry in fold.trainings()), *((entry, "scores.csv") for entry in scored)]
    return bool(read) and not any(missing_reason(workspace, entry, file) for entry, file in read)
