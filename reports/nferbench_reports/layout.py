"""Tables as lines of entries, the same for LaTeX and the terminal, and which columns fit beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import final

from nferbench_reports import significance
from nferbench_reports.headroom import Recovery, percent
from nferbench_reports.markdown import DASH
from nferbench_reports.significance import Comparison, p_text, signed
from nferbench_reports.table import Cell, Column, Footnotes, Table, TableRow, blocks


@final
@dataclass(frozen=True)
class Entry:
    """One number as text; "" where there is none."""

    text: str = ""
    spread: str = ""  # mean and deviation over folds
    difference: str = ""  # from a published value
    best: bool = False
    near: bool = False  # not separable from the best, and not as good
    mark: str = ""  # of a footnote


@final
@dataclass(frozen=True)
class Line:
    """One row: what stands before its numbers, and the entries of each unit of columns."""

    title: str
    entries: tuple[tuple[Entry, ...], ...]
    reference: bool = False
    heterogeneous: bool = False
    marks: tuple[str, ...] = ()  # of footnotes that hold for the row


@final
@dataclass(frozen=True)
class Unit:
    """Columns that are never parted; neighbours of one heading are parted only where they do not fit."""

    heading: str
    titles: tuple[str, ...]


@final
@dataclass(frozen=True)
class Layout:
    """A table: its columns, and its lines in blocks that a rule parts, each with a label ("" for none)."""

    units: tuple[Unit, ...]
    blocks: tuple[tuple[str, tuple[Line, ...]], ...]

    def lines(self) -> list[Line]:
        """The lines of all blocks."""
        return [line for _, lines in self.blocks for line in lines]


def of_table(table: Table, notes: Footnotes) -> Layout:
    """Table 1, 2 or 3: a unit for each metric, with the published value where it is shown."""
    beside = ("paper (Δ)",) if table.beside_paper else ()
    units = tuple(Unit(column.heading, (column.title, *beside)) for column in table.columns)
    lines = tuple((label, tuple(_line(table, row, notes) for row in rows)) for label, rows in blocks(table))
    return Layout(units, lines)


def of_comparisons(tested: Sequence[Comparison]) -> Layout:
    """Differences from one row on one data set: a unit for each metric, difference and interval in one entry, and p.

    The p of a reference row stands in brackets, uncorrected. The subjects stand in the heading, or in a column "n"
    where they are not as many in all rows.
    """
    found = {(one.method, one.metric): one for one in tested}
    metrics = {one.metric: one.metric_title for one in tested}
    counts = {metric: sorted({one.found.subjects for one in tested if one.metric == metric}) for metric in metrics}
    units = [
        Unit(
            f"{title}, n = {counts[metric][0]}" if len(counts[metric]) == 1 else title,
            (*(("n",) if len(counts[metric]) > 1 else ()), "difference", "p (Holm)"),
        )
        for metric, title in metrics.items()
    ]
    methods = {one.method: one for one in tested}
    lines = tuple(
        Line(
            first.title,
            tuple(
                _compared(found.get((method, metric)), len(unit.titles) > 2)
                for metric, unit in zip(metrics, units, strict=True)
            ),
            first.reference,
        )
        for method, first in methods.items()
    )
    return Layout(tuple(units), (("", lines),))


def legend(tested: Sequence[Comparison], references: str) -> str:
    """How to read a table of `of_comparisons`; `references` says how reference rows look."""
    text = significance.legend(tested[0].against_title, references if any(one.reference for one in tested) else "")
    if any(one.reference for one in tested):
        text += " Their p stands in brackets and is not corrected."
    return f"{text} n counts subjects."


def of_recovered(recovered: Sequence[Recovery]) -> Layout:
    """What the rows of one data set recover: accuracy, difference and share, both with their interval.

    The subjects have a column where they are not as many in all rows; `counted` says so where they are.
    """
    differ = len({one.subjects for one in recovered}) > 1
    units = [Unit("", (title,)) for title in ("Acc (%)", "Difference", "Share (%)")]
    lines = tuple(
        Line(
            one.title,
            (
                *([(Entry(str(one.subjects)),)] if differ else []),
                (Entry(f"{one.accuracy:.2f}"),),
                (Entry(_interval(signed(one.difference, 2), signed(one.low, 2), signed(one.high, 2))),),
                (Entry(_interval(*map(percent, (one.share.share, one.share.share_low, one.share.share_high)))),),
            ),
            one.reference,
        )
        for one in recovered
    )
    return Layout((*([Unit("", ("n",))] if differ else []), *units), (("", lines),))


def counted(recovered: Sequence[Recovery]) -> str:
    """How many subjects there are, as the end of a legend."""
    counts = {one.subjects for one in recovered}
    return f" n = {counts.pop()} subjects." if len(counts) == 1 else " n counts subjects."


def parts(layout: Layout, widths: Sequence[float], room: float) -> list[Layout]:
    """The table itself where it fits, else tables to stand below each other, with the lines that have something there.

    Args:
        layout: the table.
        widths: of its units.
        room: what there is for units; one that is wider stands alone.
    """
    if sum(widths) <= room:
        return [layout]
    positions = range(len(layout.units))
    headed = [list(same) for _, same in groupby(positions, lambda position: layout.units[position].heading)]
    stacked: list[list[int]] = []
    left = 0.0
    for some in headed:
        whole = sum(widths[i] for i in some) <= room
        for piece in [some] if whole else [[i] for i in some]:
            width = sum(widths[i] for i in piece)
            if not stacked or width > left:
                stacked.append([])
                left = room
            stacked[-1] += piece
            left -= width
    return [_part(layout, piece) for piece in stacked]


def _part(layout: Layout, positions: Sequence[int]) -> Layout:
    blocks = []
    for label, lines in layout.blocks:
        cut = [replace(line, entries=tuple(line.entries[i] for i in positions)) for line in lines]
        if kept := tuple(line for line in cut if any(one != Entry() for unit in line.entries for one in unit)):
            blocks.append((label, kept))
    return Layout(tuple(layout.units[i] for i in positions), tuple(blocks))


def _line(table: Table, row: TableRow, notes: Footnotes) -> Line:
    entries = []
    for position, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        number = _number(column, cell, row.name in table.best(position), notes.cells.get((row.name, position), ""))
        entries.append((number, _published(column, cell)) if table.beside_paper else (number,))
    marks = notes.titles[row.name]
    return Line(row.title, tuple(entries), row.group == "reference", row.heterogeneous, marks)


def _number(column: Column, cell: Cell | None, best: bool, mark: str) -> Entry:
    if cell is None or cell.pooled is None:
        return Entry(mark=mark)
    spread = ""
    if cell.mean is not None and cell.std is not None:
        spread = f"{column.text(cell.mean)} ± {column.text(cell.std)}"
    near = cell.separable is False and not best
    return Entry(column.text(cell.pooled), spread, best=best, near=near, mark=mark)


def _published(column: Column, cell: Cell | None) -> Entry:
    if cell is None or cell.published is None:
        return Entry()
    difference = "" if cell.difference is None else column.text(cell.difference, signed=True)
    return Entry(column.text(cell.published), difference=difference)


def _compared(one: Comparison | None, counted: bool) -> tuple[Entry, ...]:
    if one is None:
        return (Entry(),) * (2 + counted)
    found = one.found
    difference = _interval(*(signed(value, one.decimals) for value in (found.difference, found.low, found.high)))
    texts = (difference, f"({p_text(found.p)})" if one.reference else p_text(one.p_holm))
    return tuple(map(Entry, (str(found.subjects), *texts) if counted else texts))


def _interval(value: str, low: str, high: str) -> str:
    return value if low == DASH else f"{value} [{low}, {high}]"
