"""The cells of a sheet as HTML: numbers and texts printed, marked and shaded, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, SupportsFloat

import numpy as np
import pandas as pd
from markupsafe import escape
from numpy.typing import NDArray

from nferbench.contract.printable import one_line
from nferbench_reports.section import Sheet, Shown

# Of a column: the reader chose its value; it names the row; or it is not the first below its heading.
Place = Literal["picked", "first", "inner", ""]

DASH = "–"
_LONG = 40  # characters from which on a text may be broken into lines
_GROUPED = 10_000  # whole numbers from here on have a narrow space between thousands


def printed(value: Any, decimals: int | None = None, signed: bool = False) -> str:
    """A value as it stands in the page.

    Args:
        value: a number, a text, True or False; a dash comes of what is missing.
        decimals: of a number; None prints whole numbers whole and others with six digits.
        signed: whether a number above 0 has its sign.

    >>> printed(-0.004, 2), printed(0.0008, 3), printed(12.5, 1, signed=True), printed(float("nan"), 2)
    ('0.00', '< 0.001', '+12.5', '–')
    """
    if isinstance(value, float):  # before what takes longer to find out
        return _number(value, decimals, signed)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Real):
        return _number(value, decimals, signed)
    return DASH if value is None or value is pd.NA or value is pd.NaT else one_line(" ".join(str(value).split()))


def _number(value: SupportsFloat, decimals: int | None, signed: bool) -> str:
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
    if 0 < number < 10**-decimals and not signed:
        return f"< {10**-decimals:.{decimals}f}"
    rounded = round(number, decimals) + 0.0  # the sum turns -0.0 into 0.0
    return f"{rounded:{plus}.{decimals}f}".replace("-", "−")


def is_number(column: pd.Series[Any]) -> bool:
    """Whether all that a column has are numbers."""
    return all(
        isinstance(value, float) or (isinstance(value, Real) and not isinstance(value, bool | np.bool_))
        for value in column.tolist()
        if value is not None and value is not pd.NA
    )


def cells(frame: pd.DataFrame, shown: Shown, place: Place, levels: NDArray[np.float64] | None = None) -> Iterator[str]:
    """The cells of a column as HTML; `levels` say how dark each is, -1 to 1."""
    values = frame[shown.name].tolist()
    element, scope = ("th", ' scope="row"') if place == "first" else ("td", "")
    kinds: list[str] = [place if place in ("picked", "inner") else ""]
    if not is_number(frame[shown.name]):
        kinds += ["text", "long" if any(isinstance(value, str) and len(value) > _LONG for value in values) else ""]
    plain = " ".join(filter(None, kinds))
    decimals = _decimals(frame, shown)
    bold = truths(frame, shown.bold)
    marks = frame[shown.marks].tolist() if shown.marks else [""] * len(values)
    for number, value in enumerate(values):
        level = levels[number] if levels is not None else 0.0
        names = f"{plain} {'more' if level > 0 else 'less'}".strip() if level else plain
        attributes = scope + (f' class="{names}"' if names else "")
        attributes += f' style="--level:{abs(level):.2f}"' if level else ""
        content = str(escape(printed(value, decimals[number], shown.signed)))
        content = f"<b>{content}</b>" if bold[number] else content
        mark = (
            f"<sup>{escape(printed(marks[number]))}</sup>" if isinstance(marks[number], str) and marks[number] else ""
        )
        yield f"<{element}{attributes}>{content}{mark}</{element}>"


def levels(sheet: Sheet, picked: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
    """How dark the cells of shaded columns are, -1 to 1: as parts of the largest that is shown at the same time."""
    names = [shown.name for shown in sheet.columns if shown.shaded]
    if not names or sheet.frame.empty:
        return {}
    values = sheet.frame[names].apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    largest = values.abs().max(axis=1).groupby(list(picked) or [""] * len(values)).transform("max")
    parts = values.div(largest.where(largest > 0), axis=0).fillna(0.0)
    return {name: parts[name].to_numpy(dtype=float) for name in names}


def truths(frame: pd.DataFrame, name: str) -> Sequence[bool]:
    """A column of a frame as True and False, of which a missing value is the latter; all False without a name."""
    return [bool(value) and not pd.isna(value) for value in frame[name]] if name else [False] * len(frame)


def _decimals(frame: pd.DataFrame, shown: Shown) -> Sequence[int | None]:
    if not isinstance(shown.decimals, str):
        return [shown.decimals] * len(frame)
    return [None if pd.isna(value) else int(value) for value in frame[shown.decimals]]
