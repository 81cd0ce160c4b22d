"""A run that is reported, and how: what every section of a report is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench_reports.records import Record
from nferbench_reports.results import Results
from nferbench_reports.tables import Convention


@final
@dataclass(frozen=True)
class Run:
    """A record of a workspace, and what its rows measured."""

    workspace: Path
    file: str  # of the record, below the workspace
    record: Record
    results: tuple[Results, ...]  # a row each, in the order of the record; rows of studies too

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
