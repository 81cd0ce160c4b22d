"""A table as a value: columns, rows and cells, its notes, and the blocks that it is printed in; no format yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, final

from nferbench_reports.record import Group

Kind = Literal["comparison", "ablation"]


@final
@dataclass(frozen=True)
class Column:
    """One metric on one dataset."""

    dataset: str
    heading: str  # what stands above a group of columns
    metric: str
    title: str
    decimals: int
    best: Callable[[Sequence[float]], float]  # max or min
    convention: str = ""  # of PSNR and SSIM; empty for the metrics that have only one

    def text(self, value: float, signed: bool = False) -> str:
        """The value as printed in a table, e.g. 66.90, −0.12 or ∞."""
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        value = round(value, self.decimals) + 0.0  # the sum turns -0.0 into 0.0
        return f"{value:{'+' if signed else ''}.{self.decimals}f}".replace("-", "−")


@final
@dataclass(frozen=True)
class Cell:
    """What stands behind one number: pooled over the images of all folds, mean and deviation over the folds."""

    pooled: float | None = None  # None where no fold has a result
    mean: float | None = None
    std: float | None = None  # with n - 1 in the denominator; None for a single fold and infinite values
    folds: tuple[int, ...] = ()  # those that stand behind the numbers
    note: str = ""  # why folds are missing; empty where none is
    published: float | None = None
    separable: bool | None = None  # from the best of the column; None for the best itself and where no test is
    trainings: int | None = None  # of the recogniser, behind the numbers; None where nothing was recognised

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        return None if self.pooled is None or self.published is None else self.pooled - self.published


@final
@dataclass(frozen=True)
class TableRow:
    """One method; `cells` goes by position in the table's columns, None where a metric does not apply."""

    name: str
    title: str
    group: Group
    heterogeneous: bool
    stamps: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@final
@dataclass(frozen=True)
class Footnotes:
    """The notes of a table, each told once and at the widest thing that it holds for."""

    remarks: tuple[str, ...]  # sentences below the table, without a mark: of all its rows, or of all translated ones
    marks: Mapping[str, str]  # of each other note by its text, in the order of first appearance
    titles: Mapping[str, tuple[str, ...]]  # by the name of a row: the marks behind its title
    cells: Mapping[tuple[str, int], str]  # by the name of a row and the position of a column: the mark there


@final
@dataclass(frozen=True)
class Table:
    """One table in the order in which it is printed."""

    kind: Kind
    number: int
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    beside_paper: bool = False  # published values and differences are shown
    remarks: tuple[str, ...] = field(default=())  # sentences below the table, before its footnotes

    @property
    def joined(self) -> bool:
        """Whether it has the columns of several records."""
        return len({column.dataset for column in self.columns}) > 1

    def footnotes(self) -> Footnotes:
        """Where each note of the table is told.

        A stamp of a row, and a note that all cells of a row have, hold for the row. What holds for all rows, or for
        just those with translated images, is a remark.
        """
        everything = frozenset(row.name for row in self.rows)
        translated = frozenset(row.name for row in self.rows if row.group not in ("reference", "none"))
        told: dict[str, set[str]] = {}  # the rows that a note holds for, by its text
        for row in self.rows:
            for note in _row_notes(row):
                told.setdefault(note, set()).add(row.name)
        scopes = {translated: "All translated rows"} if len(translated) > 1 else {}
        scopes[everything] = "All rows"
        common = {note: scopes[where] for note, names in told.items() if (where := frozenset(names)) in scopes}
        titles: dict[str, tuple[str, ...]] = {}
        cells: dict[tuple[str, int], str] = {}
        marks: dict[str, str] = {}
        for row in self.rows:
            whole = _row_notes(row)
            for note in whole:
                if note not in common:
                    marks.setdefault(note, _letters(len(marks)))
            titles[row.name] = tuple(marks[note] for note in whole if note not in common)
            for position, cell in enumerate(row.cells):
                if cell is not None and cell.note and cell.note not in whole:
                    cells[row.name, position] = marks.setdefault(cell.note, _letters(len(marks)))
        remarks = tuple(f"{scope}: {note.rstrip('.')}." for note, scope in common.items())
        return Footnotes(remarks, marks, titles, cells)

    def numbers(self) -> list[Cell]:
        """The cells that have a number."""
        return [cell for row in self.rows for cell in row.cells if cell is not None and cell.pooled is not None]

    def best(self, position: int) -> frozenset[str]:
        """The names of the rows whose number in a column is printed bold: those equal, as printed, to the best.

        Reference rows take no part, nor do numbers that lack a fold which other rows of the column have; without a
        second number there is nothing to be best of.
        """
        column = self.columns[position]
        cells = {row.name: cell for row in self.rows if row.group != "reference" and (cell := row.cells[position])}
        everything = {fold for cell in cells.values() for fold in cell.folds}
        values = {
            name: round(cell.pooled, column.decimals)
            for name, cell in cells.items()
            if cell.pooled is not None and set(cell.folds) == everything
        }
        if len(values) < 2:
            return frozenset()
        best = column.best(list(values.values()))
        return frozenset(name for name, value in values.items() if value == best)


def blocks(table: Table) -> list[tuple[str, list[TableRow]]]:
    """The rows in blocks that a rule parts from each other, each with its label ("" for none)."""
    if table.kind == "ablation":
        return [("", list(table.rows))]
    labels = {
        "reference": "",
        "none": "",
        "gan": "GAN-based",
        "diffusion": "Diffusion-based",
        "given": "Images by others",
    }
    return [(label, list(rows)) for label, rows in groupby(table.rows, key=lambda row: labels[row.group])]


def _row_notes(row: TableRow) -> tuple[str, ...]:
    """What holds for a row as a whole: its stamps, and the note that all of its cells have."""
    notes = {cell.note for cell in row.cells if cell is not None}
    return tuple(dict.fromkeys(filter(None, [*row.stamps, *(notes if len(notes) == 1 else ())])))


def _letters(i: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letters(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)
