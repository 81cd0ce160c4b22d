"""What a report says, before a writer sets it in a format; all text is plain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench_reports.headroom import Recovery
from nferbench_reports.significance import Comparison
from nferbench_reports.tables import Table


@final
@dataclass(frozen=True)
class Picture:
    """A file with a picture, or why there is none."""

    path: Path | None
    alt: str  # what it shows; "" where there is none
    caption: str  # how to read it, or why there is none; may be ""
    lines: tuple[str, ...] = ()  # what else must be known


@final
@dataclass(frozen=True)
class Content:
    """Everything that a report says in words and tables."""

    lines: tuple[str, ...]  # what was run, what was left out and what could not be read
    tables: tuple[Table, ...]
    tested: tuple[Comparison, ...]
    recovered: tuple[Recovery, ...]
    titles: Mapping[str, str]  # the printed name of each data set
    averaged: Mapping[str, str]  # by data set: a sentence on the trainings behind its recognition, where it has several
    pictures: tuple[Picture, ...]
