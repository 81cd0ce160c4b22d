"""The figure of trainings: a panel a network, a thin line a fold and term of its loss. Drawing only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from nferbench_reports.svg import COLOURS, FAINT, INK, drawing, element
from nferbench_reports.training_logs import RATE, UPDATE

_ACROSS = 4  # panels side by side
_WIDE, _HIGH = 2.3, 1.5  # inches of a panel
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.5, 0.1, 0.6, 0.3  # around it
_POINTS = 60  # of a line; what lies between them is averaged
_BESIDE = 3  # names of terms beside each other above a panel
_NAMED = 3 * _BESIDE  # in all


@final
@dataclass(frozen=True)
class Curve:
    """The training of one fold."""

    log: pd.DataFrame  # columns update and the terms, perhaps lr; a line at least
    resumed_at: tuple[int, ...]


@final
@dataclass(frozen=True)
class Panel:
    """One network."""

    title: str
    curves: tuple[Curve, ...]  # at least one

    def terms(self) -> list[str]:
        """What is drawn, in the order of the logs."""
        names = dict.fromkeys(str(name) for curve in self.curves for name in curve.log.columns)
        return [name for name in names if name not in (UPDATE, RATE)]


def draw(name: str, panels: Sequence[Panel]) -> str:
    """The panels as one <svg> element.

    Args:
        name: of the drawing, see `nferbench_reports.svg.drawing`.
        panels: at least one.
    """
    from matplotlib.figure import Figure

    across = min(len(panels), _ACROSS)
    down = math.ceil(len(panels) / across)
    wide, high = _LEFT + _WIDE + _RIGHT, _ABOVE + _HIGH + _BELOW
    with drawing(name):
        figure = Figure((wide * across, high * down))
        for place, panel in enumerate(panels):
            line, column = divmod(place, across)
            corner = (column * wide + _LEFT) / (wide * across), 1 - (line * high + _ABOVE + _HIGH) / (high * down)
            _panel(figure.add_axes((*corner, _WIDE / (wide * across), _HIGH / (high * down))), panel)
        return element(figure)


def _panel(axes: Any, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    terms = panel.terms()
    for curve in panel.curves:
        for place, term in enumerate(terms):
            if term in curve.log:
                axes.plot(*_thinned(curve.log, term), color=COLOURS[place % len(COLOURS)], linewidth=0.7, alpha=0.8)
        for update in curve.resumed_at:
            axes.plot([update], [0], "^", transform=axes.get_xaxis_transform(), color=INK, markersize=4, clip_on=False)
    if _positive(panel, terms):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 50 else (1, 2, 5), numticks=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_shortened(panel.title, 30), loc="left", y=1.27, pad=0, fontsize=8)
    for place, (word, colour) in enumerate(_legend(terms)):  # one of matplotlib takes longer than all the rest
        line, column = divmod(place, _BESIDE)
        axes.text(column / _BESIDE, 1.19 - 0.08 * line, word, transform=axes.transAxes, color=colour, fontsize=6)


def _legend(terms: Sequence[str]) -> list[tuple[str, str]]:
    """The words above a panel, each with its colour."""
    words = [_shortened(term, 16) for term in terms[:_NAMED]]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(words))]
    if len(terms) > _NAMED:
        words[-1], colours[-1] = f"and {len(terms) - _NAMED + 1} more", INK
    return list(zip(words, colours, strict=True))


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _thinned(log: pd.DataFrame, term: str) -> tuple[np.ndarray, np.ndarray]:
    """Updates and values of a term, in at most `_POINTS` means of neighbours."""
    known = log[[UPDATE, term]].to_numpy(float)
    known = known[~np.isnan(known[:, 1])]
    parts = np.array_split(known, min(_POINTS, len(known))) if len(known) else []
    means = np.array([part.mean(0) for part in parts]).reshape(-1, 2)
    return means[:, 0], means[:, 1]


def _positive(panel: Panel, terms: Sequence[str]) -> bool:
    values = [curve.log[term].dropna() for curve in panel.curves for term in terms if term in curve.log]
    return bool(values) and all((each > 0).all() for each in values)
