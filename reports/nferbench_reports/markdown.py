"""Tables in Markdown, padded so that they read well as plain text too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nferbench.contract.printable import one_line
from nferbench_reports.table import Cell, Column, Footnotes, Table, TableRow, blocks

DASH = "–"

# What Markdown, and GitHub's, takes for more than text.
_LIVE = re.compile(
    r"[\\`*|<~]"
    r"|(?<!\w)_|_(?!\w)"  # an underscore inside a word is harmless
    r"|\](?=[(\[:])"  # brackets alone are no link
    r"|&(?=#?\w+;)"
    r"|(?<=\w):(?=//)|(?<=\bwww)\.(?=\w)"  # bare addresses
    r"|^[#>+-]",
    re.IGNORECASE,
)


def write_table(table: Table) -> str:
    """One table: caption, grid, remarks and footnotes."""
    notes = table.footnotes()
    rows = [
        [label if i == 0 else "", *_row(table, row, notes)]
        for label, block in blocks(table)
        for i, row in enumerate(block)
    ]
    header = ["", "Method"]
    for column in table.columns:
        name = f"{column.heading} {column.title}" if table.kind == "ablation" or table.joined else column.title
        header += [name, "paper (Δ)"] if table.beside_paper else [name]
    if not any(row[0] for row in rows):  # no groups
        header, rows = header[1:], [row[1:] for row in rows]
    first_number = header.index("Method") + 1
    parts = [
        f"**Table {table.number}.** {escape(table.caption)}{legend(table, 'in brackets')}",
        grid(header, rows, "l" * first_number + "r" * (len(header) - first_number)),
    ]
    parts += [escape(remark) for remark in (*table.remarks, *notes.remarks)]
    parts += ["\n".join(f"- [{mark}] {escape(text)}" for text, mark in notes.marks.items())] if notes.marks else []
    return "\n\n".join(parts) + "\n"


def legend(
    table: Table, spread: str, best: str = "Best in bold", references: str = "rows in italics are references"
) -> str:
    """How to read the table, as sentences that follow its caption.

    Args:
        table: the table.
        spread: where the deviations stand; "" where they are not shown.
        best: how the best numbers are marked.
        references: how reference rows are marked.
    """
    text = f" Each number is pooled over the test images of {_folds(table)}"
    if spread and any(cell.std is not None for cell in table.numbers()):
        text += f", mean ± standard deviation over folds {spread}"
    text += "."
    if table.beside_paper:
        text += " Beside it the published value and the difference from it (Δ)."
    if any(row.heterogeneous for row in table.rows):
        text += " † made for heterogeneous faces."
    text += f" {best}"
    if any(row.group == "reference" for row in table.rows):
        text += f"; {references} and take no part"
    if any(cell.separable is not None for cell in table.numbers()):
        text += "; ≈ not separable from the best (paired over subjects, Holm-corrected p ≥ 0.05; F1 is not tested)"
    return text + "."


def _folds(table: Table) -> str:
    """The folds behind the numbers of a table, in words."""
    found = {cell.folds for cell in table.numbers()}
    if not any(cell.note for cell in table.numbers()):
        return "the only fold" if {len(folds) for folds in found} == {1} else "all folds"
    if len(found) > 1:
        return "the folds that have a result (footnotes name the others)"
    (folds,) = found
    return f"fold{'s'[: len(folds) > 1]} {', '.join(map(str, folds))} alone"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table; `align` has "l" or "r" for each column."""
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            f"{cell:<{width}}" if side == "l" else f"{cell:>{width}}"
            for cell, width, side in zip(cells, widths, align, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if side == "l" else "-" * (width - 1) + ":" for width, side in zip(widths, align, strict=True)]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])


def escape(text: str) -> str:
    """Plain text as Markdown that shows it unchanged, on one line: no link, no HTML, no heading comes out of it."""
    return _LIVE.sub(r"\\\g<0>", one_line(" ".join(text.split())))


def inside_brackets(text: str) -> str:
    """Plain text as the text of a link or of a picture."""
    return re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", escape(text))


def _row(table: Table, row: TableRow, notes: Footnotes) -> list[str]:
    title = escape(row.title)
    title = f"*{title}*" if row.group == "reference" else title
    title += " †" if row.heterogeneous else ""
    texts = [title + "".join(f" [{mark}]" for mark in notes.titles[row.name])]
    for position, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        mark = notes.cells.get((row.name, position), "")
        texts.append(_number(column, cell, row.name in table.best(position), row.group == "reference", mark))
        if table.beside_paper:
            texts.append(_beside(column, cell))
    return texts


def _number(column: Column, cell: Cell | None, bold: bool, italic: bool, mark: str) -> str:
    mark = f" [{mark}]" if mark else ""
    if cell is None or cell.pooled is None:
        return DASH + mark
    text = column.text(cell.pooled)
    near = " ≈" if cell.separable is False and not bold else ""
    text = f"**{text}**" if bold else f"*{text}*" if italic else text
    return f"{text}{_spread(column, cell)}{near}{mark}"


def _spread(column: Column, cell: Cell) -> str:
    if cell.mean is None or cell.std is None:
        return ""
    return f" ({column.text(cell.mean)} ± {column.text(cell.std)})"


def _beside(column: Column, cell: Cell | None) -> str:
    if cell is None or cell.published is None:
        return DASH
    difference = f" ({column.text(cell.difference, signed=True)})" if cell.difference is not None else ""
    return column.text(cell.published) + difference
