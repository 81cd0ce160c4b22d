"""The report on a terminal: tables that fit its width, as renderables of rich. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import final

from rich import table as rich_table
from rich.box import Box
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from nferbench.contract.printable import one_line
from nferbench_reports import headroom, layout
from nferbench_reports.contents import Contents
from nferbench_reports.drawn import Drawn
from nferbench_reports.layout import Entry, Layout, Line, Unit
from nferbench_reports.markdown import DASH, legend
from nferbench_reports.runs import Asked
from nferbench_reports.table import Table

# A rule below the head and between blocks. "ascii" keeps rich from drawing another box, with other widths, on a
# terminal of few characters.
_RULES = Box("    \n    \n ── \n    \n ── \n    \n    \n    \n", ascii=True)
_GAP = 2  # characters between two columns
_TITLE = 20  # characters that a title has at least, before it goes on in the next line
_HEADING = 12  # and a heading
_REFERENCES = "rows with ° are references"


def shown(contents: Contents, pictures: Sequence[Drawn], width: int) -> Iterator[RenderableType]:
    """What the report says, as wide as the terminal.

    No number is cut or broken. Where the columns do not fit, first the deviations over folds are left out, then titles
    take several lines, then the table becomes several below each other, each with the titles.

    Args:
        contents: of the report. Of the rows to compare with the first is shown; the files of the report have all.
        pictures: of the report; what is said of those that are missing.
        width: of the terminal in characters; a table is wider where a short title and one number need more.
    """
    titles = contents.titles()
    if contents.asked.title != Asked.title:
        yield Text(one_line(contents.asked.title), style="bold")
    for line in contents.said:
        yield _text(f"- {line}")
    for table in contents.tables:
        yield from _compared(table, width)
    for run in contents.runs:
        dataset, title = run.record.protocol.dataset, run.record.protocol.dataset_title
        averaged = contents.averaged(run)
        if tested := contents.tested_on(dataset, *contents.asked.against[:1]):
            yield _caption(f"Significance on {title}.", f"{layout.legend(tested, 'Rows with °')} {averaged}")
            yield from _grids(layout.of_comparisons(tested), width)
        if recovered := [one for one in contents.recovered if one.dataset == dataset]:
            told = f"{headroom.legend('Rows with °')}{layout.counted(recovered)} {averaged}"
            yield _caption(f"Headroom on {title}.", told)
            yield from _grids(layout.of_recovered(recovered), width)
            yield from (_text(f"{note}.") for note in headroom.notes(recovered, titles))
    for picture in pictures:
        if picture.path is None and picture.said:
            yield _text(picture.said)
        yield from (_text(f"- {line}") for line in picture.lines)


@final
@dataclass(frozen=True)
class _Column:
    """One column: its heading in lines, its cells padded to one width."""

    width: int  # in characters of the terminal
    head: tuple[str, ...]
    cells: tuple[Text, ...]


def _compared(table: Table, width: int) -> Iterator[RenderableType]:
    notes = table.footnotes()
    laid = layout.of_table(table, notes)
    headed = table.kind == "ablation" and len({column.heading for column in table.columns}) > 1
    spread = _titles(laid) + sum(_widths(laid, headed)) <= width
    said = legend(table, "in brackets" if spread else "", "Best with *", _REFERENCES)
    yield _caption(f"Table {table.number}.", f"{table.caption}{said}")
    yield from _grids(laid if spread else _without_spread(laid), width, headed)
    yield from map(_text, (*table.remarks, *notes.remarks))
    yield from (_text(f"[{mark}] {note}") for note, mark in notes.marks.items())


def _grids(laid: Layout, width: int, headed: bool = True) -> Iterator[RenderableType]:
    """The table, or several below each other; `headed` puts the headings of units above those of columns."""
    titles, widths = _titles(laid), _widths(laid, headed)
    beside = width - sum(widths)
    choices = [beside] if beside >= min(titles, _TITLE) else [max(_TITLE, min(width // 2, width - max(widths))), _TITLE]
    # Titles in more lines where that saves a table.
    titles, parts = min(
        ((wide, layout.parts(laid, widths, width - wide)) for wide in (min(titles, left) for left in choices)),
        key=lambda choice: len(choice[1]),
    )
    rule = Text()
    for part in parts:
        columns = [column for unit in _columns(part, headed) for column in unit]
        rule = Text("─" * (titles + sum(_GAP + column.width for column in columns)), no_wrap=True, overflow="ignore")
        yield rule
        yield _grid(part, columns, titles)
    yield rule


def _grid(laid: Layout, columns: Sequence[_Column], titles: int) -> rich_table.Table:
    tall = max((len(column.head) for column in columns), default=1)
    grid = rich_table.Table(
        box=_RULES,
        show_edge=False,
        padding=(0, _GAP - 1, 0, 0),  # the rule between columns, which is blank, is the other
        pad_edge=False,
        width=titles + sum(_GAP + column.width for column in columns),
    )
    grid.add_column(Text("\n" * (tall - 1) + "Method"), width=titles, overflow="fold")
    for column in columns:
        lines = [""] * (tall - len(column.head)) + [_right(line, column.width) for line in column.head]
        grid.add_column(Text("\n".join(lines)), width=column.width, no_wrap=True)
    at = 0
    for label, block in laid.blocks:
        grid.add_section()
        if label:
            grid.add_row(Text(label, style="dim"))
        for line in block:
            grid.add_row(_title(line), *(column.cells[at] for column in columns))
            at += 1
    return grid


def _columns(laid: Layout, headed: bool) -> list[list[_Column]]:
    return [
        [
            _column(unit, at, [line.entries[position][at] for line in laid.lines()], headed)
            for at in range(len(unit.titles))
        ]
        for position, unit in enumerate(laid.units)
    ]


def _column(unit: Unit, at: int, entries: Sequence[Entry], headed: bool) -> _Column:
    """The column `at` of a unit; numbers stand below each other, with what follows them."""
    pieces = [_pieces(entry) for entry in entries]
    wide = [max(map(cell_len, column), default=0) for column in zip(*pieces, strict=True)]
    heading = wrap(unit.heading, max(_HEADING, sum(wide))) if headed and at == 0 else []
    head = (*heading, *wrap(unit.titles[at], max(_HEADING, sum(wide))))
    width = max(sum(wide), *map(cell_len, head))
    cells = []
    for entry, (number, *after) in zip(entries, pieces, strict=True):
        padded = [_right(number, width - sum(wide[1:]))]
        padded += [part + " " * (size - cell_len(part)) for part, size in zip(after, wide[1:], strict=True)]
        cell = Text("".join(padded))
        if entry.best:
            cell.stylize("bold", 0, len(padded[0]) + 1)
        cells.append(cell)
    return _Column(width, head, tuple(cells))


def _pieces(entry: Entry) -> tuple[str, str, str, str]:
    """The number, the star of the best, what stands in brackets, and the mark of a footnote."""
    beside = entry.spread or entry.difference
    return (
        entry.text or DASH,
        "*" if entry.best else "≈" if entry.near else "",
        f" ({beside})" if beside else "",
        f" [{entry.mark}]" if entry.mark else "",
    )


def _widths(laid: Layout, headed: bool) -> list[int]:
    """Of each unit, with the gap before each of its columns."""
    return [sum(_GAP + column.width for column in unit) for unit in _columns(laid, headed)]


def _titles(laid: Layout) -> int:
    """The width of the longest title or label."""
    titles = [_title(line).cell_len for line in laid.lines()]
    return max(cell_len("Method"), *titles, *(cell_len(label) for label, _ in laid.blocks))


def _title(line: Line) -> Text:
    kinds = "†" * line.heterogeneous + "°" * line.reference
    marks = "".join(f" [{mark}]" for mark in line.marks)
    return Text(f"{one_line(line.title)}{kinds}{marks}", style="italic" if line.reference else "")


def _without_spread(laid: Layout) -> Layout:
    bare = tuple(
        (
            label,
            tuple(
                replace(line, entries=tuple(tuple(replace(one, spread="") for one in unit) for unit in line.entries))
                for line in lines
            ),
        )
        for label, lines in laid.blocks
    )
    return Layout(laid.units, bare)


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def _caption(lead: str, text: str) -> Text:
    return Text.assemble("\n", (one_line(lead), "bold"), f" {one_line(text)}")


def _text(text: str) -> Text:
    return Text(one_line(text))
