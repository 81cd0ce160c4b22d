"""The figure of studies: a column of panels for each, a line of panels for each metric. Drawing only."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nferbench.contract.printable import Plain, plain
from nferbench_reports.bootstrap import LEVEL
from nferbench_reports.studies import METRICS, Point, Studies, Study

LABELS = {"lpips": "LPIPS ↓", "psnr": "PSNR (dB) ↑", "ssim": "SSIM ↑", "accuracy": "Accuracy (%) ↑"}
_ACROSS = 5  # studies side by side; more go below
_WIDE, _HIGH = 1.9, 1.35  # inches of a panel
_DOTS = 160  # to an inch
_LONGEST = 24  # letters of a line above a panel
_FEW = 5  # values that are all written below an axis
_LARGEST = 1e100  # beyond which an axis of numbers cannot be drawn
_STYLE = {"font.size": 8, "axes.linewidth": 0.6, "text.parse_math": False}
_LEVELS = ("--", ":")  # of the references
_DEFAULT: dict[str, Any] = {"color": "0.82", "linewidth": 4, "zorder": 0}


def draw(studies: Studies, path: Path) -> None:
    """Draw studies of which something is measured to a PNG file; equal values give equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever is configured on this machine
        matplotlib.rcParams.update(_STYLE)
        shown = studies.measured()
        across = min(len(studies.studies), _ACROSS)
        down = -(-len(studies.studies) // _ACROSS) * len(shown)
        figure = Figure((0.7 + _WIDE * across, 0.9 + _HIGH * down), dpi=_DOTS, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(down, across)
        first: dict[int, Any] = {}  # panel of a metric, whose scale the others of it share
        for place, study in enumerate(studies.studies):
            above: Any = None
            for line, metric in enumerate(shown):
                cell = grid[place // _ACROSS * len(shown) + line, place % _ACROSS]
                panel = figure.add_subplot(cell, sharex=above, sharey=first.get(metric))
                first.setdefault(metric, panel)
                _panel(panel, studies, study, metric)
                if above is None:
                    panel.set_title("\n".join(_heading(study)), fontsize=7.5)
                if place % _ACROSS == 0:
                    panel.set_ylabel(LABELS[[*METRICS][metric]])
                panel.tick_params(labelsize=7, labelleft=place % _ACROSS == 0, labelbottom=metric == shown[-1])
                above = panel
            above.set_xlabel(_shortened(study.field))
        handles = _legend(studies)
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), across), frameon=False)
        figure.savefig(path, metadata={"Software": None})


def _panel(panel: Any, studies: Studies, study: Study, metric: int) -> None:
    curve = study.curves[metric]
    places = _axis(panel, study)
    heights = [float("nan") if point.height is None else point.height for point in curve]
    ordered = not any(isinstance(point.value, bool | str) for point in curve)  # words have no order to join them in
    panel.plot(places, heights, color="black", linewidth=1 if ordered else 0)
    for whole in (True, False):
        mine = [(x, p) for x, p in zip(places, curve, strict=True) if studies.lacks(metric, p.cell) != whole]
        panel.plot(*_xy(mine), linestyle="", marker="o", markersize=3.5, color="black", markerfacecolor=_face(whole))
    known = [(x, p.interval) for x, p in zip(places, curve, strict=True) if p.interval and p.height is not None]
    ends = [low for _, (low, _) in known], [high for _, (_, high) in known]
    panel.vlines([x for x, _ in known], *ends, color="0.45", zorder=1.5)
    for style, reference in zip(_LEVELS, studies.references, strict=False):
        cell = reference.cells[metric]
        if cell is not None and cell.pooled is not None and abs(cell.pooled) < _LARGEST:
            panel.axhline(cell.pooled, color="0.3", linewidth=0.9, linestyle=style)
    panel.grid(axis="y", color="0.9", linewidth=0.5)
    panel.set_axisbelow(True)


def _axis(panel: Any, study: Study) -> list[float]:
    """Set up the axis of a study's field; where its values lie on it."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    values = [point.value for point in study.curves[0]]
    numbers = _numbers(values)
    if numbers is None:
        labels = [_shortened(plain(value), 12) for value in values]
        panel.set_xticks(range(len(values)), labels, rotation=45 if max(map(len, labels)) > 4 else 0)
        panel.set_xlim(-0.5, len(values) - 0.5)
        if study.default in values:
            panel.axvline(values.index(study.default), **_DEFAULT)
        return [float(i) for i in range(len(values))]
    (default,) = _numbers([study.default]) or (None,)
    if numbers[0] > 0 and numbers[-1] / numbers[0] > 10:
        panel.set_xscale("log")
        decades = [10.0**k for k in range(-99, 100) if numbers[0] <= 10.0**k <= numbers[-1]]
        panel.xaxis.set_major_locator(FixedLocator(decades[:: -(-len(decades) // 5)]))
        panel.xaxis.set_minor_locator(NullLocator())
        if default is not None and default <= 0:
            default = None
    else:
        panel.xaxis.set_major_locator(FixedLocator(numbers) if len(numbers) <= _FEW else MaxNLocator(4))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
    if default is not None:
        panel.axvline(default, **_DEFAULT)
    return numbers


def _numbers(values: Sequence[Plain]) -> list[float] | None:
    """Values as numbers of an axis; None where one of them is no number."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < _LARGEST]
    return numbers if len(numbers) == len(values) else None


def _xy(points: Sequence[tuple[float, Point]]) -> tuple[list[float], list[float]]:
    drawn = [(x, point.height) for x, point in points if point.height is not None]
    return [x for x, _ in drawn], [y for _, y in drawn]


def _face(whole: bool) -> str:
    return "black" if whole else "white"


def _legend(studies: Studies) -> list[Any]:
    """What lines and markers mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="black", marker="o", markersize=3.5, linewidth=1, label=f"row, {LEVEL} % over subjects"),
        Line2D([], [], **_DEFAULT, label="the method itself"),
    ]
    if any(
        studies.lacks(i, p.cell) for i in studies.measured() for s in studies.studies for p in s.curves[i] if p.height
    ):
        handles.append(
            Line2D([], [], color="black", marker="o", markerfacecolor="white", linewidth=0, label="lacks folds")
        )
    return handles + [
        Line2D([], [], color="0.3", linewidth=0.9, linestyle=style, label=_shortened(reference.title))
        for style, reference in zip(_LEVELS, studies.references, strict=False)
    ]


def _heading(study: Study) -> list[str]:
    """The name of a study and what it holds, in three lines at most."""
    lines = textwrap.wrap(study.name, _LONGEST, max_lines=2, placeholder="…")
    return lines + textwrap.wrap(", ".join(study.held), _LONGEST, max_lines=1, placeholder="…")


def _shortened(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
