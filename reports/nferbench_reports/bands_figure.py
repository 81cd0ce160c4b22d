"""What faces share with real NIR, drawn over frequencies. Drawing only."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from itertools import cycle

import pandas as pd

from nferbench_reports.frequencies import LOW

_INK = "#010101"  # stands for the colour of the text around the figure, whatever that is
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")  # that read on light and on dark
_SIZE = (6.4, 3.2)  # inches
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "bands", "text.parse_math": False, "font.size": 9}


def draw_spectrum(curves: Sequence[pd.DataFrame]) -> str:
    """One <svg> element whose text follows from the numbers alone.

    Args:
        curves: of one row each, with title, cycles, correlation, low, high and baseline; the first is of the VIS faces.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever is configured on this machine
        matplotlib.rcParams.update(_STYLE)
        for name in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"):
            matplotlib.rcParams[name] = _INK
        figure = Figure(_SIZE)
        FigureCanvasSVG(figure)
        axis = figure.add_axes((0.09, 0.15, 0.62, 0.81))
        axis.patch.set_visible(False)
        for curve, colour in zip(curves, (_INK, *_more(len(curves) - 1)), strict=True):
            title = str(curve["title"].iloc[0])
            axis.plot(curve["cycles"], curve["correlation"], color=colour, linewidth=1.5, label=title)
            axis.fill_between(curve["cycles"], curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
            axis.plot(curve["cycles"], curve["baseline"], color=colour, linewidth=1, linestyle=":")
        axis.plot([], [], color=_INK, linewidth=1, linestyle=":", label="with others")
        axis.axvline(LOW + 0.5, color=_INK, linewidth=0.6, linestyle="--")
        axis.axhline(0, color=_INK, linewidth=0.6)
        last = int(curves[0]["cycles"].max())
        axis.set_xscale("log", base=2)
        axis.set_xlim(1, last)
        axis.set_ylim(top=1)
        ticks = [2**k for k in range(last.bit_length())]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_xlabel("cycles per face")
        axis.set_ylabel("correlation with real NIR")
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue().replace(_INK, "currentColor")
    return text[text.index("<svg") :]


def _more(count: int) -> list[str]:
    return [colour for colour, _ in zip(cycle(_COLOURS), range(count), strict=False)]
