"""The figure of calibration: accuracy over confidence, a panel for each data set and a line for each row."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

_WIDE, _HIGH = 3.4, 3.2  # inches of a panel
_ACROSS = 3  # panels side by side
_INK = "#010203"  # stands for the colour of the text around the figure, which the page gives
_COLOURS = ("#2f7fc1", "#d9772b", "#3a9a5b", "#b0589e")  # of rows that others are compared with
_OTHERS = "#8a8a8a"
_UNSAID = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # of the file: the figure is part of another one
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reliability",
    "text.parse_math": False,
    "font.size": 8,
    "axes.linewidth": 0.6,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}


def draw(bins: pd.DataFrame, against: Sequence[str]) -> str:
    """Draw the bins of reliability as one <svg> element; equal values give equal text.

    Args:
        bins: as `calibration.reliability` returns them, at least a line.
        against: names of the rows that have a colour and a place in the legend; others are grey.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever is configured on this machine
        matplotlib.rcParams.update(_STYLE)
        panels = list(bins.groupby("dataset_title", sort=False))
        across = min(len(panels), _ACROSS)
        down = -(-len(panels) // across)
        figure = Figure((_WIDE * across, _HIGH * down), layout="constrained")
        FigureCanvasSVG(figure)
        for i, (title, mine) in enumerate(panels, start=1):
            _panel(figure.add_subplot(down, across, i), str(title), mine, against)
        text = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # readers have other fonts than the one that measures here
            figure.savefig(text, format="svg", transparent=True, metadata=_UNSAID)
    svg = text.getvalue()
    return re.sub(rf"(?<=: ){_INK}\b", "currentColor", svg[svg.index("<svg") :])


def _panel(panel: Any, title: str, bins: pd.DataFrame, against: Sequence[str]) -> None:
    panel.plot([0, 100], [0, 100], color=_INK, linewidth=0.6, linestyle=":")
    colours = dict(zip(dict.fromkeys(against), _COLOURS, strict=False))
    named: dict[str, Any] = {}  # what the legend calls each line
    for (method, row), mine in bins.dropna().groupby(["method", "title"], sort=False):
        colour = colours.get(str(method), _OTHERS)
        width, order = (0.7, 2) if colour == _OTHERS else (1.6, 3)
        look = {"color": colour, "linewidth": width, "marker": "o", "markersize": 2 * width, "zorder": order}
        (line,) = panel.plot(mine["confidence"], mine["accuracy"], **look)
        named["other rows" if colour == _OTHERS else str(row)] = line
    panel.set(xlim=(0, 100), ylim=(0, 100), title=title, xlabel="Confidence (%)", ylabel="Accuracy (%)")
    panel.legend(named.values(), named, frameon=False, loc="upper left")
