r"""Tables in LaTeX: fragments to \input into a paper (booktabs only), and a document around them that compiles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nferbench.contract.printable import one_line
from nferbench_reports.markdown import legend
from nferbench_reports.naming import table_stem
from nferbench_reports.tables import Cell, Column, Table, TableRow, blocks

if TYPE_CHECKING:
    from jinja2 import Template

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"{\char96}",
    "[": "{[}",  # never the optional argument of a \\ before it
    "]": "{]}",
    "–": r"\textendash{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "†": r"$\dagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "…": r"\ldots{}",
}


def escape(text: str) -> str:
    r"""Plain text as LaTeX that prints it, on one line.

    The energies E_h and E_f are set as the paper sets them. A character that pdflatex's fonts do not have is printed
    as its code point: better an odd name in a table than a table that does not compile.
    """
    text = "".join(_character(character) for character in one_line(" ".join(text.split())))
    text = re.sub("-(?=-)", "-{}", text)  # no ligature: the two hyphens of an option stay two
    return re.sub(r"\bE\\_([hf])\b", r"$\\mathcal{E}_\1$", text)


def write_table(table: Table) -> str:
    """One table as a fragment; its label is ``tab:nferbench-comparison-<dataset>`` or ``tab:nferbench-ablation``."""
    marks = table.footnotes()
    rows = [
        [line for i, row in enumerate(block) for line in _lines(table, row, label if i == 0 else "", marks)]
        for label, block in blocks(table)
    ]
    notes = [escape(remark) for remark in table.remarks]
    notes += [f"$^{{{mark}}}$~{escape(text)}" for text, mark in marks.items()]
    return _template("table.tex.jinja").render(
        number=table.number,
        caption=escape(table.caption + legend(table, "below it")),
        label=f"tab:nferbench-{table_stem(table)}",
        gap="3pt" if table.beside_paper else "5pt",
        align="l" * len(_lead(table)) + "c" * (_span(table) * len(table.columns)),
        header=_header(table),
        blocks=rows,
        notes=notes,
    )


def write_document(files: Sequence[str], wide: bool, title: str = "") -> str:
    """A document that holds the fragments `files`, below a title if there is one.

    `wide` turns the page, for tables with published values or the columns of several records.
    """
    return _template("tables.tex.jinja").render(files=files, wide=wide, title=escape(title))


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character < "\u0180":  # ASCII and Latin letters
        return character
    name = unicodedata.name(character, "")
    if greek := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", name):
        size, letter = greek.groups()
        # Capital letters that look Latin, and omicron, have no command of their own.
        if size == "SMALL" and letter not in ("OMICRON", "FINAL"):
            return rf"$\{letter.lower().replace('lamda', 'lambda')}$"
        if letter in ("GAMMA", "DELTA", "THETA", "LAMDA", "XI", "PI", "SIGMA", "UPSILON", "PHI", "PSI", "OMEGA"):
            return rf"$\{letter.capitalize().replace('Lamda', 'Lambda')}$"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _lead(table: Table, label: str = "", title: str = "") -> list[str]:
    """The cells before the numbers; a table without groups has no column for their labels."""
    return [title] if all(not name for name, _ in blocks(table)) else [label, title]


def _span(table: Table) -> int:
    return 2 if table.beside_paper else 1


def _header(table: Table) -> list[str]:
    span = _span(table)
    groups: list[tuple[str, int]] = []
    for column in table.columns:
        if groups and groups[-1][0] == column.heading:
            groups[-1] = (column.heading, groups[-1][1] + span)
        else:
            groups.append((column.heading, span))
    above = [rf"\multicolumn{{{width}}}{{c}}{{{escape(heading)}}}" for heading, width in groups]
    rules, start = [], len(_lead(table)) + 1
    for _, width in groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    titles = _lead(table, "", "Method")
    for column in table.columns:
        titles += [escape(column.title), "paper"] if table.beside_paper else [escape(column.title)]
    return [_line([*_lead(table), *above]), " ".join(rules), _line(titles)]


def _lines(table: Table, row: TableRow, label: str, marks: Mapping[str, str]) -> list[str]:
    """A row of numbers and, smaller below it, their means and deviations and the differences from the paper."""
    title = escape(row.title)
    title = rf"\textit{{{title}}}" if row.group == "reference" else title
    title += r" $\dagger$" if row.heterogeneous else ""
    title += "".join(f"$^{{{marks[stamp]}}}$" for stamp in row.stamps)
    first, second = _lead(table, escape(label), title), _lead(table)
    for position, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        style = r"\textit" if row.group == "reference" else r"\textbf" if row.name in table.best(position) else ""
        first.append(_number(column, cell, style, marks))
        second.append(_spread(column, cell))
        if table.beside_paper:
            published, difference = _beside(column, cell)
            first.append(published)
            second.append(difference)
    return [_line(first, "[-0.4em]"), _line(second, "[0.1em]")] if any(second) else [_line(first)]


def _number(column: Column, cell: Cell | None, style: str, marks: Mapping[str, str]) -> str:
    if cell is None:
        return "--"
    mark = f"$^{{{marks[cell.note]}}}$" if cell.note else ""
    if cell.pooled is None:
        return "--" + mark
    text = escape(column.text(cell.pooled))
    near = r"$^{\approx}$" if cell.separable is False and not style else ""
    return (f"{style}{{{text}}}" if style else text) + near + mark


def _spread(column: Column, cell: Cell | None) -> str:
    if cell is None or cell.mean is None or cell.std is None:
        return ""
    return rf"{{\tiny {escape(column.text(cell.mean))} $\pm$ {escape(column.text(cell.std))}}}"


def _beside(column: Column, cell: Cell | None) -> tuple[str, str]:
    if cell is None or cell.published is None:
        return "--", ""
    if cell.difference is None:
        return escape(column.text(cell.published)), ""
    return escape(column.text(cell.published)), rf"{{\tiny {escape(column.text(cell.difference, signed=True))}}}"


def _line(cells: Sequence[str], space: str = "") -> str:
    return " & ".join(cells) + r" \\" + space


def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # TeX owns braces and percent signs, so the template's own marks are angle brackets.
    environment = Environment(
        loader=PackageLoader("nferbench_reports"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # LaTeX, not HTML: every text goes through `escape`
    )
    return environment.get_template(name)
