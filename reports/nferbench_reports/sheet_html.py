"""A sheet as HTML: its cells printed, marked and shaded, its rows where a reader without scripts finds them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, final

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from numpy.typing import NDArray

from nferbench.contract.printable import one_line
from nferbench_reports.section import Sheet, Shown

DASH = "–"
IN_PLACE = 2_000  # rows that stand in the page as they are
OF_A_CHOICE = 5_000  # rows that a browser is given at a time where there are more in all
IN_ALL = 100_000  # rows of a sheet that is part of the page; of a longer one the page names the file
_LONG = 40  # characters from which on a text may be broken into lines
_GROUPED = 10_000  # whole numbers from here on have a narrow space between thousands


# Of a column: the reader chose its value; it names the row; or it is not the first below its heading.
Place = Literal["picked", "first", "inner", ""]


@final
@dataclass(frozen=True)
class Head:
    """What stands above a column, and how a script sorts it."""

    title: str
    number: bool
    descending: bool  # what a first click does
    place: Place


@final
@dataclass(frozen=True)
class Heading:
    """What stands above the heads of several columns, or above one that has no heading."""

    text: str
    span: int
    place: Place


@final
@dataclass(frozen=True)
class Choice:
    """One column to choose a value of."""

    title: str
    values: tuple[str, ...]


@final
@dataclass(frozen=True)
class Laid:
    """A sheet, laid out."""

    sheet: Sheet
    heads: tuple[Head, ...]
    headings: tuple[Heading, ...]  # empty where no column has one
    choices: tuple[Choice, ...]  # of columns with several values
    fixed: tuple[tuple[str, str], ...]  # title and value of columns to choose from that have one value
    rows: Markup  # of the body; empty where they are in blocks, or in the file alone
    blocks: tuple[tuple[str, Markup], ...]  # rows by what is chosen: the numbers of the values, parted by spaces
    count: int

    @property
    def elsewhere(self) -> bool:
        """Whether there are rows, and none of them is in the page."""
        return self.count > 0 and not self.rows and not self.blocks


def lay_out(sheet: Sheet) -> Laid:
    """Lay a sheet out: all rows in place, or a block for each choice where they are many, none where too many."""
    frame = sheet.frame
    titles = {shown.name: shown.title for shown in sheet.columns}
    coded = {name: pd.factorize(frame[name], use_na_sentinel=False) for name in sheet.pick}
    several = [name for name in sheet.pick if len(coded[name][1]) > 1]
    choices = tuple(
        Choice(titles.get(name, _title(name)), tuple(printed(value) for value in coded[name][1])) for name in several
    )
    fixed = tuple(
        (titles.get(name, _title(name)), printed(coded[name][1][0])) for name in sheet.pick if len(coded[name][1]) == 1
    )
    columns = [
        *(Shown(name, titles.get(name, _title(name))) for name in several),
        *(shown for shown in sheet.columns if shown.name not in sheet.pick),
    ]
    places = _places(columns, len(several))
    heads = tuple(_head(frame, shown, place) for shown, place in zip(columns, places, strict=True))
    picked = [" ".join(map(str, codes)) for codes in zip(*(coded[name][0] for name in several), strict=True)]
    rows = list(_rows(sheet, columns, places, picked)) if len(frame) <= IN_ALL else []
    blocks: dict[str, list[Markup]] = {}
    if len(rows) > IN_PLACE:
        for code, row in zip(picked, rows, strict=False):
            blocks.setdefault(code, []).append(row)
        rows = []
        if max(map(len, blocks.values()), default=0) > OF_A_CHOICE:
            blocks = {}
    return Laid(
        sheet,
        heads,
        tuple(_headings(columns, places)),
        choices,
        fixed,
        Markup("\n").join(rows),
        tuple((code, Markup("\n").join(mine)) for code, mine in blocks.items()),
        len(frame),
    )


def printed(value: Any, decimals: int | None = None, signed: bool = False) -> str:
    """A value as it stands in the page.

    Args:
        value: a number, a text, True or False; a dash comes of what is missing.
        decimals: of a number; None prints whole numbers whole and others with six digits.
        signed: whether a number above 0 has its sign.

    >>> printed(-0.004, 2), printed(0.0004, 3), printed(12.5, 1, signed=True), printed(float("nan"), 2)
    ('0.00', '< 0.001', '+12.5', '–')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Real):
        return _number(value, decimals, signed)
    return DASH if value is None or value is pd.NA or value is pd.NaT else one_line(" ".join(str(value).split()))


def _number(value: Real, decimals: int | None, signed: bool) -> str:
    number = float(value)
    if math.isnan(number):
        return DASH
    plus = "+" if signed else ""
    if math.isinf(number):
        return f"{plus}∞" if number > 0 else "−∞"
    if decimals is None and (isinstance(value, Integral) or number.is_integer()):
        whole = int(value) if isinstance(value, Integral) else int(number)
        grouped = f"{whole:{plus},}" if abs(whole) >= _GROUPED else f"{whole:{plus}}"
        return grouped.replace(",", "\u202f").replace("-", "−")
    if decimals is None:
        return f"{number:{plus}.6g}".replace("-", "−")
    rounded = round(number, decimals) + 0.0  # the sum turns -0.0 into 0.0
    if rounded == 0 and number > 0 and not signed:
        return f"< {10**-decimals:.{decimals}f}"
    return f"{rounded:{plus}.{decimals}f}".replace("-", "−")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _places(columns: Sequence[Shown], several: int) -> list[Place]:
    places: list[Place] = ["picked"] * several
    for before, shown in zip([None, *columns[several:]], columns[several:], strict=False):
        inner = before is not None and bool(shown.heading) and before.heading == shown.heading
        places.append("first" if before is None else "inner" if inner else "")
    return places


def _head(frame: pd.DataFrame, shown: Shown, place: Place) -> Head:
    arrow = {"higher": "↑", "lower": "↓", None: ""}[shown.better]
    title = shown.title if arrow in shown.heading + shown.title else f"{shown.title} {arrow}"
    number = _is_number(frame[shown.name])
    return Head(title, number, number and shown.better != "lower", place)


def _is_number(column: pd.Series[Any]) -> bool:
    return all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in column.dropna())


def _headings(columns: Sequence[Shown], places: Sequence[Place]) -> Iterator[Heading]:
    if not any(shown.heading for shown in columns):
        return
    for start, (shown, place) in enumerate(zip(columns, places, strict=True)):
        if place != "inner":
            after = places[start + 1 :]
            inner = next((i for i, other in enumerate(after) if other != "inner"), len(after))
            yield Heading(shown.heading, 1 + inner, place)


def _rows(sheet: Sheet, columns: Sequence[Shown], places: Sequence[Place], picked: Sequence[str]) -> Iterator[Markup]:
    levels = _levels(sheet, picked)
    cells = [
        _cells(sheet.frame, shown, place, levels.get(shown.name)) for shown, place in zip(columns, places, strict=True)
    ]
    aside = _truths(sheet.frame, sheet.italic)
    for number, row in enumerate(zip(*cells, strict=True)):
        code = f' data-p="{picked[number]}"' if picked else ""
        kind = ' class="aside"' if aside[number] else ""
        yield Markup(f"<tr{code}{kind}>{''.join(row)}</tr>")  # the cells are escaped


def _cells(frame: pd.DataFrame, shown: Shown, place: Place, levels: NDArray[np.float64] | None) -> Iterator[Markup]:
    values = frame[shown.name].tolist()
    element, scope = ("th", ' scope="row"') if place == "first" else ("td", "")
    kinds: list[str] = [place if place in ("picked", "inner") else ""]
    if not _is_number(frame[shown.name]):
        kinds += ["text", "long" if any(isinstance(value, str) and len(value) > _LONG for value in values) else ""]
    decimals: Sequence[Any] = (
        frame[shown.decimals].tolist() if isinstance(shown.decimals, str) else [shown.decimals] * len(frame)
    )
    bold = _truths(frame, shown.bold)
    marks = frame[shown.marks].tolist() if shown.marks else [""] * len(frame)
    for number, value in enumerate(values):
        level = levels[number] if levels is not None else 0.0
        names = " ".join(filter(None, [*kinds, ("more" if level > 0 else "less") if level else ""]))
        attributes = scope + (f' class="{names}"' if names else "")
        attributes += f' style="--level:{abs(level):.2f}"' if level else ""
        content = escape(printed(value, decimals[number], shown.signed))
        content = Markup("<b>{}</b>").format(content) if bold[number] else content
        mark = Markup("<sup>{}</sup>").format(marks[number]) if marks[number] else ""
        yield Markup(f"<{element}{attributes}>{content}{mark}</{element}>")


def _truths(frame: pd.DataFrame, name: str) -> Sequence[bool]:
    return [bool(value) for value in frame[name]] if name else [False] * len(frame)


def _levels(sheet: Sheet, picked: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
    """How dark the cells of shaded columns are, -1 to 1: as parts of the largest that is shown at the same time."""
    names = [shown.name for shown in sheet.columns if shown.shaded]
    if not names or sheet.frame.empty:
        return {}
    values = sheet.frame[names].apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    largest = values.abs().max(axis=1).groupby(list(picked) or [""] * len(values)).transform("max")
    parts = values.div(largest.where(largest > 0), axis=0).fillna(0.0)
    return {name: parts[name].to_numpy(dtype=float) for name in names}
