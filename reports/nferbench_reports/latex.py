r"""Tables in LaTeX: fragments to \input into a paper of two columns, and a document around them that compiles.

They need booktabs and graphicx, which every TeX has.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, final

from nferbench.contract.printable import one_line
from nferbench_reports.layout import Entry, Layout, Line, Unit, of_table, parts
from nferbench_reports.markdown import legend
from nferbench_reports.naming import table_stem
from nferbench_reports.table import Table

if TYPE_CHECKING:
    from jinja2 import Template

# In points, of the narrowest pages that conferences ask for.
_COLUMN = 239.0
_PAGE = 504.0
_SHRUNK = 1.25  # a table that is this much too wide can still be read when it is made to fit
_LINES = 50  # that stand on a page with a caption and notes
_HEIGHT = 0.75  # of a page, for all of them
_POINTS = 4.3  # a character of \footnotesize takes on average
_GAP = 8.0  # between columns
_WORD = 24  # characters that every column has room for; a longer word may break after each _PIECE
_PIECE = 8
_UNJOINED = re.compile("-(?=-)")  # no ligature: the two hyphens of an option stay two
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
    text = _UNJOINED.sub("-{}", text)
    return re.sub(r"\bE\\_([hf])\b", r"$\\mathcal{E}_\1$", text)


def write_table(table: Table) -> str:
    """One table as a fragment; its label is ``tab:nferbench-comparison-<dataset>`` or ``tab:nferbench-ablation``."""
    notes = table.footnotes()
    return write_float(
        of_table(table, notes),
        table_stem(table),
        table.caption + legend(table, "below it"),
        (*table.remarks, *notes.remarks),
        notes.marks,
    )


def write_float(laid: Layout, stem: str, caption: str, notes: Sequence[str], marks: Mapping[str, str]) -> str:
    """A table as a fragment for a page of two columns: in one of them where that is wide enough, else across both.

    What is wider all the same is shrunk to the width there is; from a quarter too wide on, columns go into a second
    table below the first. What is taller than a page is shrunk too. All texts are plain.

    Args:
        laid: its rows and columns.
        stem: its label without ``tab:nferbench-``.
        caption: stands above it.
        notes: sentences below it.
        marks: of footnotes, by their texts.
    """
    lead, widths = _widths(laid)
    narrow = lead + sum(widths) <= _COLUMN
    tabulars = [_tabular(part) for part in parts(laid, widths, _SHRUNK * _PAGE - lead)]
    tall = sum(len(tabular.header) + sum(map(len, tabular.blocks)) for tabular in tabulars) > _LINES
    return _template("table.tex.jinja").render(
        float="table" if narrow else "table*",
        caption=_breakable(caption),
        label=f"tab:nferbench-{stem}",
        gap=f"{_GAP / 2:g}pt",
        tabulars=tabulars,
        height=f"{_HEIGHT / len(tabulars):.3f}" if tall else "",
        notes=[*map(_breakable, notes), *(f"$^{{{mark}}}$~{_breakable(text)}" for text, mark in marks.items())],
    )


def write_document(files: Sequence[str], title: str = "") -> str:
    """A document of two columns, as wide as those of a conference: the fragments `files`, below a title if any."""
    return _template("tables.tex.jinja").render(files=files, title=escape(title))


def _breakable(text: str) -> str:
    """Plain text as LaTeX whose long words, such as paths and checksums, may break where a line ends."""
    return " ".join(map(_word, one_line(" ".join(text.split())).split(" ")))


def _word(word: str) -> str:
    latex = [escape(character) for character in word]
    if sum(len(one) if one.startswith("{[}U+") else 1 for one in latex) <= _WORD:
        return escape(word)
    pieces = [""]
    for one in latex:
        if len(pieces[-1]) >= _PIECE:
            pieces.append("")
        pieces[-1] += one
    return r"\discretionary{}{}{}".join(_UNJOINED.sub("-{}", piece) for piece in pieces)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character < "\u0180" and character not in "ĦħĸĿŀŉŦŧſ":  # ASCII, and the Latin letters that the fonts have
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


def _widths(laid: Layout) -> tuple[float, list[float]]:
    """What stands before the numbers, and each unit, in points, as wide as the text of 8 points is on average."""
    titles = max((len(line.title) + 2 * len(line.marks) for line in laid.lines()), default=0)
    labels = max((len(label) for label, _ in laid.blocks), default=0)
    lead = _POINTS * (titles + labels) + _GAP * (1 + bool(labels))
    under = Counter(unit.heading for unit in laid.units)
    widths = []
    for position, unit in enumerate(laid.units):
        columns = zip(unit.titles, *(line.entries[position] for line in laid.lines()), strict=True)
        texts = [max(len(title), *map(_length, entries)) for title, *entries in columns]
        heading = _POINTS * len(unit.heading) / under[unit.heading]
        widths.append(max(heading, sum(_POINTS * text + _GAP for text in texts)))
    return lead, widths


def _length(entry: Entry) -> float:
    """In characters of 8 points; what is printed below a number is smaller."""
    return max(len(entry.text) + len(entry.mark), 0.8 * len(entry.spread or entry.difference))


@final
@dataclass(frozen=True)
class _Tabular:
    align: str
    header: Sequence[str]
    blocks: Sequence[Sequence[str]]


def _tabular(laid: Layout) -> _Tabular:
    labelled = any(label for label, _ in laid.blocks)
    lead = ["", "Method"] if labelled else ["Method"]
    headings = [(heading, sum(len(unit.titles) for unit in some)) for heading, some in groupby(laid.units, _heading)]
    header = [_line([*lead, *(escape(title) for unit in laid.units for title in unit.titles)])]
    if any(heading for heading, _ in headings):
        above = [rf"\multicolumn{{{width}}}{{c}}{{{escape(heading)}}}" for heading, width in headings]
        ends = list(accumulate((width for _, width in headings), initial=len(lead)))
        rules = [rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in pairwise(ends)]
        header = [_line([*([""] * len(lead)), *above]), " ".join(rules), *header]
    blocks = [
        [text for i, line in enumerate(lines) for text in _lines(line, [label if i == 0 else ""] if labelled else [])]
        for label, lines in laid.blocks
    ]
    count = sum(len(unit.titles) for unit in laid.units)
    return _Tabular("l" * len(lead) + "c" * count, header, blocks)


def _heading(unit: Unit) -> str:
    return unit.heading


def _lines(line: Line, label: Sequence[str]) -> list[str]:
    """A row of numbers and, smaller below it, their means and deviations and the differences from the paper."""
    title = escape(line.title)
    title = rf"\textit{{{title}}}" if line.reference else title
    title += r" $\dagger$" if line.heterogeneous else ""
    title += "".join(f"$^{{{mark}}}$" for mark in line.marks)
    entries = [entry for unit in line.entries for entry in unit]
    first = [*map(escape, label), title, *(_number(entry, line.reference) for entry in entries)]
    second = [*("" for _ in label), "", *(_below(entry) for entry in entries)]
    return [_line(first, "[-0.4em]"), _line(second, "[0.1em]")] if any(second) else [_line(first)]


def _number(entry: Entry, reference: bool) -> str:
    mark = f"$^{{{entry.mark}}}$" if entry.mark else ""
    if not entry.text:
        return "--" + mark
    style = r"\textit" if reference else r"\textbf" if entry.best else ""
    text = escape(entry.text)
    near = r"$^{\approx}$" if entry.near else ""
    return (f"{style}{{{text}}}" if style else text) + near + mark


def _below(entry: Entry) -> str:
    text = entry.spread or entry.difference
    return rf"{{\tiny {escape(text)}}}" if text else ""


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
