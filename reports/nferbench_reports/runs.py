"""A run that is reported, and how: what every section of a report is made from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from nferbench_reports.columns import Convention
from nferbench_reports.paper import DATASETS
from nferbench_reports.record import Record
from nferbench_reports.records import Stored, read_records
from nferbench_reports.results import Missing, Outcome, Results, load_results


@final
@dataclass(frozen=True)
class Run:
    """A record of a workspace, and what its rows measured."""

    workspace: Path
    file: str  # of the record, below the workspace
    record: Record
    results: tuple[Results, ...]  # a row each, in the order of the record; rows of studies too

    @property
    def name(self) -> str:
        """What the record is chosen by."""
        return PurePosixPath(self.file).stem

    def counted(self) -> dict[str, int]:
        """How many results each row has, one a measure and fold."""
        return {
            one.row.name: sum(not isinstance(outcome, Missing) for outcome in _outcomes(one)) for one in self.results
        }

    def reasons(self) -> dict[str, str]:
        """Why a row lacks results, where it does: the first reason of each."""
        found: dict[str, str] = {}
        for one in self.results:
            for outcome in _outcomes(one):
                if isinstance(outcome, Missing):
                    found.setdefault(one.row.name, outcome.reason)
        return found

    def tabled(self) -> tuple[Results, ...]:
        """The rows that stand in a table; those of studies are drawn as curves."""
        return tuple(one for one in self.results if one.row.study is None)


@final
@dataclass(frozen=True)
class Asked:
    """What a reader of the report asked for."""

    convention: Convention = "standard"  # of PSNR and SSIM
    paper: bool = False  # published values beside ours
    against: tuple[str, ...] = ("none", "nfer-sde")  # rows that the others are compared with
    faces: bool = True  # whether pictures of faces may be part of it
    title: str = "Results"  # of the whole, plain text


def _outcomes(results: Results) -> list[Outcome]:
    return [outcome for measured in (results.predictions, *results.scores.values()) for outcome in measured.values()]


def load_run(workspace: Path, stored: Stored) -> Run:
    """A record with all that its rows measured."""
    record = stored.record
    results = [load_results(workspace, row, record.protocol.classes, record.metrics()) for row in record.rows]
    return Run(workspace, stored.file, record, tuple(results))


def load_runs(workspace: str | Path, records: Sequence[str] = (), preset: str | None = None) -> tuple[Run, ...]:
    """The runs of a workspace that a report shows.

    Warns of each record and row that cannot be read, in a line.

    Args:
        workspace: where the results are stored.
        records: exactly these, by names that `nferbench report --list` has, or beginnings of names; without any the
            newest of each data set.
        preset: only results of this preset; None takes all.

    Raises:
        UsageError: nothing is stored there, or nothing of this preset; a name is that of no record, or of several.
        DataError: no record, or not one that is named, can be read.
    """
    workspace = Path(workspace)
    found = read_records(workspace, DATASETS, preset, records)
    for problem in found.problems:
        warnings.warn(problem, stacklevel=2)
    return tuple(load_run(workspace, stored) for stored in found.chosen)
