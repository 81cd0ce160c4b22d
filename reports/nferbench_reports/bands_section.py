"""Figure 3 of the paper on these data: what it says, what was measured, and whether they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from nferbench_reports.bands import COUNTS, DIFFERENCE, LEVEL, VIS, Shared, bands_frame, shared, spectrum_frame
from nferbench_reports.bands_figure import draw_spectrum
from nferbench_reports.frequencies import BANDS, LOW
from nferbench_reports.results import Missing
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet, Shown
from nferbench_reports.significance import signed

SPECTRUM, PARTS = "bands", "bands-parts"  # sheets
_TITLE = "Frequencies that VIS and NIR share"
_CLAIM = (
    "Figure 3 of the paper says that in this task high frequencies carry more of what VIS and NIR faces share than low "
    "ones do; the energy E_f of NFER-SDE rests on it. Here that is asked of the data themselves."
)
_METHOD = (
    "Faces are made grey and their spectra taken under a Hann window. In each band the spectra of a face and of its "
    "real NIR partner are correlated: 1 is equal up to contrast, 0 nothing in common. Low frequencies are those up to "
    f"{LOW} cycles per face, as many as the filter of E_f keeps, high ones all beyond up to half a cycle per pixel. "
    '"With others" is the correlation with the NIR face of another person with another expression: what any two faces '
    "share. What is beyond it belongs to this person and this expression. Where a pair does not lie pixel on pixel, "
    "its high frequencies agree less, whatever the light. Means are over people, of the means of "
    f"their faces; intervals are {LEVEL} % by Student's t over people."
)
_COUNTS = tuple(Shown(name, name.capitalize()) for name in COUNTS)
_CORRELATION = (
    Shown("correlation", "Correlation", 3),
    Shown("low", "Low", 3),
    Shown("high", "High", 3),
    Shown("baseline", "With others", 3),
)
_BEYOND = (
    Shown("beyond", "Beyond", 3, signed=True, shaded=True),
    Shown("beyond_low", "Low", 3, signed=True),
    Shown("beyond_high", "High", 3, signed=True),
)


_WORDS = {1: "more", -1: "less", 0: "neither more nor less as far as can be told"}
_AGREEMENT = {
    frozenset({1}): "This agrees with the paper.",
    frozenset({1, 0}): "This agrees with the paper in part.",
    frozenset({0}): "This speaks neither for the paper nor against it.",
    frozenset({1, -1}): "One agrees with the paper, the other does not.",
    frozenset({-1, 0}): "This does not agree with the paper.",
    frozenset({-1}): "This does not agree with the paper.",
    frozenset(): "With one person nothing can be said of others.",
}


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """What frequencies faces share with real NIR, by data set and row; only reasons where there are no faces."""
    outcomes = [(run, shared(run)) for run in runs]
    found = [outcome for _, outcome in outcomes if not isinstance(outcome, Missing)]
    absent = [
        f"{run.record.protocol.dataset_title}: nothing is shown, {outcome.reason}."
        for run, outcome in outcomes
        if isinstance(outcome, Missing)
    ]
    if not outcomes:
        return None
    if not found:
        return Section("frequencies", _TITLE, tuple(absent), ())
    spectrum, parts = spectrum_frame(found), bands_frame(found)
    text = [
        _CLAIM,
        _METHOD,
        *(verdict(one.record.protocol.dataset_title, parts[parts["record"] == one.file]) for one in found),
        *absent,
    ]
    figures = [_figure(one, spectrum[spectrum["record"] == one.file], asked.against) for one in found]
    several = max(Counter(parts.drop_duplicates("record")["dataset"]).values()) > 1
    pick = ("dataset", "record") if several else ("dataset",)
    notes = tuple(note for one in found for note in _notes(one))
    sheets = (
        Sheet(
            PARTS,
            "Low and high frequencies",
            parts,
            (Shown("title", "Row"), Shown("band", "Frequencies"), *_CORRELATION, *_BEYOND, *_COUNTS),
            pick,
            notes,
        ),
        Sheet(
            SPECTRUM,
            "Spectrum of correlation",
            spectrum,
            (Shown("title", "Row"), Shown("cycles", "Cycles per face"), *_CORRELATION, *_COUNTS),
            (*pick, "row"),
            notes,
        ),
    )
    return Section("frequencies", _TITLE, tuple(text), (*figures, *sheets))


def verdict(title: str, parts: pd.DataFrame) -> str:
    """Whether the VIS faces of a data set agree with the paper, from its lines of `bands_frame`."""
    lines = parts[parts["row"] == VIS].set_index("band")
    low, high, difference = (lines.loc[band].to_dict() for band in (*BANDS, DIFFERENCE))
    said = [f"{title}, {high['pairs']} pairs of {high['subjects']} people."]
    signs = set()
    for start, value, ends in (
        ("The correlation is", "correlation", ("low", "high")),
        ("Beyond what others share it is", "beyond", ("beyond_low", "beyond_high")),
    ):
        if (sign := _sign(*(difference[end] for end in ends))) is not None:
            signs.add(sign)
            interval = " to ".join(signed(difference[end], 2) for end in ends)
            said.append(
                f"{start} {_plain(high[value])} in high and {_plain(low[value])} in low frequencies (difference "
                f"{signed(difference[value], 2)}, {interval}): high ones are shared {_WORDS[sign]}."
            )
    return " ".join([*said, _AGREEMENT[frozenset(signs)]])


def _sign(low: float, high: float) -> int | None:
    """On which side of 0 an interval is: 1 above, -1 below, 0 on both; None where there is no interval."""
    if pd.isna(low):
        return None
    return 1 if low > 0 else -1 if high < 0 else 0


def _plain(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _figure(one: Shared, spectrum: pd.DataFrame, against: Sequence[str]) -> Figure:
    """The VIS faces and those rows that others are compared with, over frequencies."""
    shown = [VIS, *(name for name in dict.fromkeys(against) if name != VIS)]
    curves = [curve for name in shown if not (curve := spectrum[spectrum["row"] == name]).empty]
    title = one.record.protocol.dataset_title
    caption = (
        f"{title}: correlation with real NIR by frequency, shaded its {LEVEL} % interval over people; dotted that with "
        f"NIR faces of others. The upright line parts low frequencies from high ones. The table has all rows."
    )
    return Figure(draw_spectrum(curves), f"Correlation with real NIR by frequency on {title}", caption, SPECTRUM)


def _notes(one: Shared) -> list[str]:
    """What must be known of the numbers of a data set: pairs that were chosen, folds that lack."""
    title, planned = one.record.protocol.dataset_title, one.record.protocol.folds
    measured = len({pair.vis for pair in one.rows[0].faces})
    chosen = [f"{title}: {measured} of {one.listed} pairs are measured, chosen evenly over people."]
    return chosen * (measured < one.listed) + [
        f"{title}, {row.title}: {row.folds or 'none'} of {planned} folds; {row.lacking}."
        for row in one.rows
        if row.lacking
    ]
