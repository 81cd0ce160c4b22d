"""The figure of costs: what rows measured against the seconds that a face of theirs takes. Drawing only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from nferbench_reports.svg import COLOURS, FAINT, INK, drawing, element

_WIDE, _HIGH = 4.2, 3.0  # inches of a panel
_LETTER, _LINE = 4.1, 8.0  # points that a letter of a label is wide, and a line of labels high
_BESIDE = 6.0  # points from the middle of a point to its label
_LONGEST = 28  # letters of a label
_GROUPS = {"gan": COLOURS[0], "diffusion": COLOURS[1]}


@final
@dataclass(frozen=True)
class Point:
    """A row in a panel."""

    title: str
    group: str
    seconds: float  # a face, above 0
    value: float
    whole: bool  # whether all folds stand behind both


@final
@dataclass(frozen=True)
class Panel:
    """What was measured by one metric."""

    label: str  # of its axis
    points: tuple[Point, ...]
    without: float | None  # without translation, which takes no time


@final
@dataclass(frozen=True)
class _Place:
    """Where a label begins or ends, in points from its point."""

    right: float  # negative: it ends there
    up: float


# Places of a label from the nearest to the farthest; the last is taken where none is free.
_NEAR = [_Place(side * _BESIDE, up * way) for up in range(0, 90, 2) for way in (1, -1) for side in (1, -1)]


def draw(name: str, panels: Sequence[Panel]) -> str:
    """The panels side by side as one <svg> element.

    Args:
        name: of the drawing, see `nferbench_reports.svg.drawing`.
        panels: at least one, with at least one point each.
    """
    from matplotlib.figure import Figure

    with drawing(name):
        figure = Figure((0.2 + (_WIDE + 0.5) * len(panels), _HIGH + 0.7))
        for place, panel in enumerate(panels):
            left = (0.6 + (_WIDE + 0.5) * place) / figure.get_figwidth()
            size = (_WIDE - 0.2) / figure.get_figwidth(), _HIGH / figure.get_figheight()
            _panel(figure.add_axes((left, 0.5 / figure.get_figheight(), *size)), panel)
        return element(figure)


def _panel(axes: Any, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for point in panel.points:
        colour = _GROUPS.get(point.group, FAINT)
        face = colour if point.whole else "none"
        axes.plot([point.seconds], [point.value], "o", markersize=5, color=colour, markerfacecolor=face)
    if panel.without is not None:
        axes.axhline(panel.without, color=FAINT, linewidth=0.9, linestyle="--")
        axes.annotate(
            "without translation", (1, panel.without), (-2, 2), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=FAINT, fontsize=7,
        )  # fmt: skip
    seconds = [point.seconds for point in panel.points]
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.6, max(seconds) * 3)  # room for the labels
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
    axes.margins(y=0.12)
    axes.grid(color=FAINT, alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds a face")
    axes.set_ylabel(panel.label)
    for point, place in zip(panel.points, _free(axes, panel.points), strict=True):
        axes.annotate(
            _label(point),
            (point.seconds, point.value),
            (place.right, place.up),
            textcoords="offset points",
            ha="left" if place.right > 0 else "right",
            va="center",
            color=INK,
            fontsize=7,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5} if abs(place.up) > _LINE else None,
        )


def _free(axes: Any, points: Sequence[Point]) -> list[_Place]:
    """A place for each label, as near as can be, where it lies on no point and on no other label."""
    scale = 72 / axes.figure.dpi
    spots = [axes.transData.transform((point.seconds, point.value)) * scale for point in points]
    taken = [(x - _BESIDE, x + _BESIDE, y) for x, y in spots]  # from, to, height of the middle
    places = []
    for point, (x, y) in zip(points, spots, strict=True):
        wide = _LETTER * len(_label(point))
        for place in _NEAR:
            start = x + place.right if place.right > 0 else x + place.right - wide
            box = (start, start + wide, y + place.up)
            if all(box[0] >= end or box[1] <= begin or abs(box[2] - at) >= _LINE for begin, end, at in taken):
                break
        taken.append(box)
        places.append(place)
    return places


def _label(point: Point) -> str:
    return point.title if len(point.title) <= _LONGEST else f"{point.title[: _LONGEST - 1]}…"
