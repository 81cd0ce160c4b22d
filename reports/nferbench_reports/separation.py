"""Which numbers of a table cannot be told from the best of their column?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nferbench_reports.paired import smallest_p
from nferbench_reports.significance import Comparison
from nferbench_reports.table import Cell, Table

ALPHA = 0.05  # of p against the best, Holm-corrected over the methods of a data set and metric


def marked(table: Table, comparisons: Sequence[Comparison]) -> Table:
    """The table with `separable` in the cells of columns that have a test, and a remark on those that are too small.

    A column whose test could separate no method from the best, however large the difference, has no marks: there is
    nothing that they would say of the methods.

    Args:
        table: any.
        comparisons: of each row of its data sets with each other.
    """
    found: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in comparisons:
        found.setdefault((one.dataset, one.metric, one.against), []).append(one)
    rows = [list(row.cells) for row in table.rows]
    remarks: dict[str, None] = {}
    for position, column in enumerate(table.columns):
        best = _best(table, position)
        tests = [one for one in found.get((column.dataset, column.metric, best), []) if not one.reference]
        if not tests:
            continue
        if (remark := _too_few(tests)) is not None:
            remarks[f"{column.heading}: {remark}" if table.kind == "ablation" else remark] = None
            continue
        separable = {one.method: one.p_holm < ALPHA for one in tests if not np.isnan(one.p_holm)}
        for cells, row in zip(rows, table.rows, strict=True):
            cell = cells[position]
            if cell is not None and cell.pooled is not None and row.name in separable:
                cells[position] = replace(cell, separable=separable[row.name])
    made = tuple(replace(row, cells=tuple(cells)) for row, cells in zip(table.rows, rows, strict=True))
    return replace(table, rows=made, remarks=(*table.remarks, *remarks))


def _best(table: Table, position: int) -> str:
    """The row with the best number before rounding; "" where there is nothing to be best of."""
    names = table.best(position)
    values = {row.name: _pooled(row.cells[position]) for row in table.rows if row.name in names}
    if not values:
        return ""
    best = table.columns[position].best(list(values.values()))
    return next(name for name, value in values.items() if value == best)


def _pooled(cell: Cell | None) -> float:
    assert cell is not None and cell.pooled is not None  # what is best has a number
    return cell.pooled


def _too_few(tests: Sequence[Comparison]) -> str | None:
    subjects = max(one.found.subjects for one in tests)
    if _could(subjects, len(tests)):
        return None
    needed = next((n for n in range(subjects, 2 * subjects + 64) if _could(n, len(tests))), None)
    wanted = f"; at least {needed} are needed" if needed else ""
    people = f"{subjects} subject{'s'[: subjects != 1]}"
    return (
        f"{people} cannot show that any of {len(tests)} other rows differs from the best (Holm-corrected p < {ALPHA}), "
        f"whatever the difference{wanted}."
    )


def _could(subjects: int, tests: int) -> bool:
    return tests * smallest_p(subjects) < ALPHA
