"""A sheet as HTML, laid out so that readers without scripts find its rows, and that many rows weigh little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd
from markupsafe import Markup

from nferbench_reports.section import Sheet, Shown
from nferbench_reports.sheet_rows import Place, cells, is_number, levels, printed, truths

IN_PLACE = 2_000  # rows that stand in the page as they are where a reader can choose among them
OF_A_CHOICE = 5_000  # rows that are shown at a time
IN_ALL = 100_000  # rows of a sheet that is part of the page; of a longer one the page names the file
_TITLES = {"dataset": "Data set", "title": "Method"}


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
    picked = [" ".join(map(str, codes)) for codes in zip(*(coded[name][0] for name in several), strict=True)]
    largest = max(Counter(picked).values(), default=len(frame))
    in_place = len(frame) <= (IN_PLACE if several else OF_A_CHOICE)
    if not sheet.columns or (not in_place and (len(frame) > IN_ALL or largest > OF_A_CHOICE)):
        return Laid(sheet, (), (), choices, fixed, Markup(), (), len(frame))
    columns = [shown for shown in sheet.columns if shown.name not in sheet.pick]
    if in_place:  # without scripts the choices stand in the rows
        columns = [*(Shown(name, titles.get(name, _title(name))) for name in several), *columns]
    places = _places(columns, len(several) if in_place else 0)
    rows = _rows(sheet, columns, places, picked, in_place)
    blocks: dict[str, list[str]] = {}
    for code, row in zip(picked, rows, strict=True) if not in_place else ():
        blocks.setdefault(code, []).append(row)
    return Laid(
        sheet,
        tuple(_head(frame, shown, place) for shown, place in zip(columns, places, strict=True)),
        tuple(_headings(columns, places)),
        choices,
        fixed,
        Markup("\n".join(rows) if in_place else ""),
        tuple((code, Markup("\n".join(mine))) for code, mine in blocks.items()),
        len(frame),
    )


def _title(name: str) -> str:
    """What a column to choose by is called where the sheet does not show it."""
    plain = name.removesuffix("_title")
    return _TITLES.get(plain, plain.replace("_", " ").capitalize())


def _places(columns: Sequence[Shown], several: int) -> list[Place]:
    places: list[Place] = ["picked"] * several
    for before, shown in zip([None, *columns[several:]], columns[several:], strict=False):
        inner = before is not None and bool(shown.heading) and before.heading == shown.heading
        places.append("first" if before is None else "inner" if inner else "")
    return places


def _head(frame: pd.DataFrame, shown: Shown, place: Place) -> Head:
    arrow = {"higher": "↑", "lower": "↓", None: ""}[shown.better]
    title = shown.title if arrow in shown.heading + shown.title else f"{shown.title} {arrow}"
    number = is_number(frame[shown.name])
    return Head(title, number, number and shown.better != "lower", place)


def _headings(columns: Sequence[Shown], places: Sequence[Place]) -> Iterator[Heading]:
    if not any(shown.heading for shown in columns):
        return
    for start, (shown, place) in enumerate(zip(columns, places, strict=True)):
        if place != "inner":
            after = places[start + 1 :]
            inner = next((i for i, other in enumerate(after) if other != "inner"), len(after))
            yield Heading(shown.heading, 1 + inner, place)


def _rows(
    sheet: Sheet, columns: Sequence[Shown], places: Sequence[Place], picked: Sequence[str], coded: bool
) -> Iterator[str]:
    shades = levels(sheet, picked)
    by_column = [
        cells(sheet.frame, shown, place, shades.get(shown.name)) for shown, place in zip(columns, places, strict=True)
    ]
    aside = truths(sheet.frame, sheet.italic)
    for number, row in enumerate(zip(*by_column, strict=True)):
        code = f' data-p="{picked[number]}"' if coded and picked else ""
        kind = ' class="aside"' if aside[number] else ""
        yield f"<tr{code}{kind}>{''.join(row)}</tr>"
