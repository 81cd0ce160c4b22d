"""Drawings of the page: one <svg> element each, in the colours of the text around it, equal bytes for equal values."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INK = "#010203"  # stands for the colour of the text around a drawing
FAINT = "#8a8f98"  # reads on white and on black
COLOURS = ("#3b82c4", "#d9822b", "#3f9d5a", "#c9504c", "#8e6bbf", "#9a7358", "#cf6fae", "#7d8590", "#a3a129", "#2fa5b5")

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 8,
    "text.parse_math": False,  # titles come from outside
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
_DESCRIBED = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_NUMBERED = re.compile(r' id="[\w.]+_\d+"')  # of groups, which nothing refers to; two drawings of a page share them


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Draw as the page does, whatever is configured on this machine.

    Args:
        name: of the drawing; no two of a page share one, for ids are derived from it.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": name})
        yield


def element(figure: Any) -> str:
    """A figure of matplotlib as one <svg> element, written while `drawing` holds."""
    text = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph", UserWarning
        )  # who shows the page has letters that this machine lacks
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    whole = text.getvalue()
    bare = _NUMBERED.sub("", _DESCRIBED.sub("", whole[whole.index("<svg") :]))
    return bare.replace(INK, "currentColor")
