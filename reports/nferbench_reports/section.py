"""What a section of the page is made of: sentences, tables whose numbers lie in a CSV beside the page, figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import pandas as pd


@final
@dataclass(frozen=True)
class Shown:
    """A column of a table as readers see it."""

    name: str  # in the frame
    title: str
    decimals: int | None = None  # of a number; None for text and whole numbers
    better: Literal["higher", "lower"] | None = None
    signed: bool = False  # a difference, which is printed with its sign
    shaded: bool = False  # darker the further a value is from 0


@final
@dataclass(frozen=True)
class Sheet:
    """A table of the page, and the CSV that has its numbers unrounded."""

    name: str  # of the file, without ".csv"; no two sheets of a report share one
    title: str
    frame: pd.DataFrame  # NaN where there is no number; text is plain text
    columns: tuple[Shown, ...]  # shown of the frame, in this order, none of one too long; the CSV has all its columns
    pick: tuple[str, ...] = ()  # columns of the frame: only the rows of one value of each are shown, readers choose it
    notes: tuple[str, ...] = ()  # below it, plain text


@final
@dataclass(frozen=True)
class Figure:
    """A drawing, and where its numbers are."""

    svg: str  # one whole <svg> element
    alt: str  # what it shows, for those who do not see it
    caption: str  # plain text
    sheet: str  # the name of the sheet that has its numbers


@final
@dataclass(frozen=True)
class Widget:
    """A part that works by a script of its own."""

    html: str
    script: str  # runs once the page is there; it finds its part by an id that no other part has
    style: str = ""
    faces: int = 0  # how many pictures of faces it carries


@final
@dataclass(frozen=True)
class Section:
    """One heading of the page and what stands below it."""

    anchor: str  # of links to it, small letters and hyphens
    title: str
    text: tuple[str, ...]  # paragraphs, plain text
    parts: tuple[Sheet | Figure | Widget, ...]
