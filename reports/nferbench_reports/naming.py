"""What data sets and tables are called in names of files and in labels of LaTeX."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from nferbench_reports.runs import Run
from nferbench_reports.table import Table

_PLAIN = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")
_TAKEN = re.compile(r"((^|-)[0-9a-f]{8}|-ablation)$")  # how names end that are made of others


def stem(name: str) -> str:
    """A data set's name as part of the name of a file: another for each name, on disks that know no case too.

    A name of small letters, digits and ".+-" stays as it is; any other has eight digits of its hash behind it.

    >>> stem("oulu-casia"), stem("Set A")
    ('oulu-casia', 'set-a-7781d909')
    """
    if _PLAIN.fullmatch(name) and not _TAKEN.search(name):
        return name
    readable = re.sub(r"[^a-z0-9.+-]+", "-", name.lower())[:40].strip("-.")
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def table_stem(table: Table) -> str:
    """The name of a table, whatever its number: its kind, and the data set of a comparison on one."""
    if table.kind == "ablation" or table.joined:
        return table.kind
    return f"comparison-{stem(table.columns[0].dataset)}"


def told_apart_by(runs: Sequence[Run]) -> tuple[str, ...]:
    """The column by which readers choose one of several runs: the data set, or the record where two share one."""
    if len(runs) < 2:
        return ()
    return ("dataset",) if len({run.record.protocol.dataset for run in runs}) == len(runs) else ("record",)
