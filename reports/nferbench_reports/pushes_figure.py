"""The figure of pushes: how far each term of a guided method moves a face, step by step, a panel a method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench_reports.pushes import NOISE, SCORE, Panel, energies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RULE = (
    "How far each term moves a face in each reverse step (root mean square over channels and pixels; faces span -1 to "
    "1), from the noisy start on the left to the clean face on the right: mean over the first test faces of fold 0, "
    "shaded from the 10th to the 90th percentile. Where an energy lies above the score it decides the step and may "
    "overshoot."
)
# Colours of different lightness, so that lines can be told apart in grey as well.
_SCORE = {"color": "black", "linestyle": "-", "linewidth": 2.2}
_NOISE = {"color": "0.6", "linestyle": ":", "linewidth": 2.2}
_ENERGIES: tuple[dict[str, Any], ...] = (
    {"color": "#d55e00", "linestyle": "--", "marker": "o"},
    {"color": "#0072b2", "linestyle": "-.", "marker": "s"},
    {"color": "#cc79a7", "linestyle": "--", "marker": "^"},
    {"color": "#009e73", "linestyle": "-.", "marker": "D"},
)
_COLUMNS = 3  # at most
_PANEL = (3.1, 2.5)  # inches
_LEFT, _TOP, _BOTTOM = 0.75, 0.65, 0.55  # inches around them, for labels, the legend and a title
_DPI = 150
_FAINTEST = 1e-4  # of the largest push; nobody could see a smaller one
_MARKS = 8  # markers on a line


def draw_pushes(panels: Sequence[Panel], path: Path) -> None:
    """Draw panels to a PNG file whose bytes follow from the numbers alone.

    Args:
        panels: one at least.
        path: of the file.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(panels) // _COLUMNS)
    columns = -(-len(panels) // rows)
    terms = dict.fromkeys(term for panel in panels for term in energies(panel.pushes))
    styles = {SCORE: _SCORE, **dict(zip(terms, cycle(_ENERGIES), strict=False)), NOISE: _NOISE}
    with matplotlib.style.context("default"):  # whatever the user's matplotlibrc says
        width, height = _PANEL[0] * columns + _LEFT, _PANEL[1] * rows + _TOP + _BOTTOM
        figure = Figure(figsize=(width, height), dpi=_DPI)
        FigureCanvasAgg(figure)
        # Set by hand: a layout that measures all texts takes longer than the drawing.
        figure.subplots_adjust(_LEFT / width, _BOTTOM / height, 1 - 0.1 / width, 1 - _TOP / height, 0.06, 0.22)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, styles)
        for empty in range(len(panels), len(axes)):
            axes[empty].set_visible(False)
            axes[empty - columns].tick_params(labelbottom=True)
        sizes = np.concatenate([panel.pushes["rms_mean"].to_numpy() for panel in panels])
        axes[0].set_ylim(bottom=max(sizes[np.isfinite(sizes)], default=1) * _FAINTEST or None)
        axes[0].set_xlim(max(1, *(panel.pushes["t"].max() for panel in panels)), 0)
        figure.supxlabel("t (index of the noise level)", fontsize=10, y=0.1 / height)
        figure.supylabel("push in one step", fontsize=10, x=0.1 / width)
        lines = [axes[0].plot([], [], **style)[0] for style in styles.values()]
        names = [_plain(term) for term in styles]
        figure.legend(lines, names, loc="upper center", ncols=len(styles), frameon=False)
        figure.savefig(path, metadata={"Software": None})


def _draw_panel(axis: Axes, panel: Panel, styles: dict[str, dict[str, Any]]) -> None:
    axis.set_title(_plain(panel.title), fontsize=10)
    axis.set_yscale("log")
    axis.minorticks_off()  # without labels, and half of the time
    axis.grid(alpha=0.3)
    for term, style in styles.items():
        mine = panel.pushes[panel.pushes["term"] == term]
        mine = mine[np.isfinite(mine["rms_mean"]) & (mine["rms_mean"] > 0)]
        if mine.empty:
            continue
        axis.plot(mine["t"], mine["rms_mean"], markersize=4, markevery=max(1, len(mine) // _MARKS), **style)
        low, high = (mine[name].where(mine[name] > 0, mine["rms_mean"]) for name in ("rms_low", "rms_high"))
        axis.fill_between(mine["t"], low, high, color=style["color"], alpha=0.15, linewidth=0)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
