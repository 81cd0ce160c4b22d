"""How much of what true NIR of the extra set would bring does a row bring? Asked where an oracle was run.

The oracle trains its recogniser on the true NIR of the extra set. What it gains over the extra set as it is, in VIS, is
what there is to gain by translating it: the headroom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import final

import numpy as np
import pandas as pd

from nferbench_reports import bootstrap
from nferbench_reports.markdown import DASH, escape, grid
from nferbench_reports.record import Record
from nferbench_reports.results import Results, trainings
from nferbench_reports.significance import BASE, per_subject, signed

ORACLE = "oracle"  # the row that is trained on true NIR
NAN = float("nan")
COLUMNS = (
    *("dataset", "method", "subjects", "accuracy", "difference", "low", "high"),
    *("share_subjects", "share", "share_low", "share_high", "trainings"),
)


@final
@dataclass(frozen=True)
class Share:
    """The share of the headroom that a row recovers, in percent; NaN, with the reason, where it cannot be told."""

    share_subjects: int  # that the row, the oracle and the row "without translation" all have a result for
    share: float = NAN
    share_low: float = NAN
    share_high: float = NAN
    note: str = ""  # why there is no share; empty where there is one


@final
@dataclass(frozen=True)
class Recovery:
    """One row of a record that has an oracle."""

    dataset: str
    method: str
    subjects: int  # that this row and the row "without translation" have a result for
    accuracy: float  # mean over these subjects, in percent
    difference: float  # mean over them of this row minus "without translation", in points
    low: float  # of its interval; NaN with fewer than two subjects
    high: float
    share: Share
    title: str
    reference: bool
    trainings: int  # of the recogniser, of each row


def recovered(record: Record, results: Sequence[Results]) -> list[Recovery]:
    """What each row of a record recovers; nothing where it has no oracle, or no row "without translation"."""
    accuracies = {one.row.name: per_subject(one, "accuracy", "standard") for one in results}
    if ORACLE not in accuracies or BASE not in accuracies:
        return []
    found = []
    for one in results:
        mine, without = _joined(accuracies[one.row.name], accuracies[BASE])
        if not len(mine):
            continue
        difference = mine - without
        found.append(
            Recovery(
                record.protocol.dataset,
                one.row.name,
                len(mine),
                float(mine.mean()),
                float(difference.mean()),
                *bootstrap.interval_of_mean(difference),
                _share(*_joined(accuracies[one.row.name], accuracies[BASE], accuracies[ORACLE])),
                one.row.title,
                one.row.group == "reference",
                trainings(one),
            )
        )
    return found


def frame(found: Sequence[Recovery]) -> pd.DataFrame:
    """What is recovered as a table with `COLUMNS`; accuracies and shares are percentages."""
    return pd.DataFrame([asdict(one) | asdict(one.share) for one in found], columns=list(COLUMNS))


def legend(references: str) -> str:
    """How to read a table of what is recovered; `references` says how its reference rows look."""
    return (
        "How much of what true NIR of the extra set gains over no translation each row recovers: accuracy as mean "
        "over the test subjects, its difference from no translation, and the share (row − without translation) / "
        f"(oracle − without translation), both with their {bootstrap.INTERVAL}; above and below the line of a share "
        f"stand the same subjects. {references} are references."
    )


def write_markdown(found: Sequence[Recovery], titles: Mapping[str, str]) -> str:
    """What is recovered as a Markdown table, and below it what must be known of shares.

    Args:
        found: rows of one data set or several.
        titles: the printed name of each data set.
    """
    rows = [
        [
            escape(titles[one.dataset]),
            f"*{escape(one.title)}*" if one.reference else escape(one.title),
            str(one.subjects),
            f"{one.accuracy:.2f}",
            *(signed(value, 2) for value in (one.difference, one.low, one.high)),
            *(percent(value) for value in (one.share.share, one.share.share_low, one.share.share_high)),
        ]
        for one in found
    ]
    header = ["Data set", "Method", "Subjects", "Acc (%)", "Difference", "Low", "High", "Share (%)", "Low", "High"]
    below = [f"- {escape(note)}" for note in notes(found, titles)]
    return "\n".join([grid(header, rows, "llrrrrrrrr"), *(["", *below] if below else [])]) + "\n"


def notes(found: Sequence[Recovery], titles: Mapping[str, str]) -> list[str]:
    """What must be known of shares, each note told once, with its data set and its rows; without them where all are."""
    rows = Counter(one.dataset for one in found)
    told: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if note := _note(one):
            told.setdefault((one.dataset, note), []).append(one.title)
    said = []
    for (dataset, note), names in told.items():
        whole = len(names) == rows[dataset] > 1
        said.append(f"{', '.join([titles[dataset], *([] if whole else names)])}: {note}")
    return said


def percent(value: float) -> str:
    """A share as printed; a dash for NaN."""
    return DASH if np.isnan(value) else f"{value:.1f}".replace("-", "−")


def _note(one: Recovery) -> str:
    if one.share.note:
        return f"no share, {one.share.note}"
    fewer = one.share.share_subjects < one.subjects
    return f"share over the {one.share.share_subjects} subjects that the oracle has too" if fewer else ""


def _joined(*accuracies: pd.Series[float]) -> tuple[np.ndarray, ...]:
    """The values of the subjects that all of these have, in one order."""
    joined = pd.concat(accuracies, axis=1, join="inner")
    return tuple(joined.to_numpy(dtype=float).T)


def _share(mine: np.ndarray, without: np.ndarray, oracle: np.ndarray) -> Share:
    """(row - without) / (oracle - without), of means over the same subjects."""
    count = len(mine)
    if count < 2:
        return Share(count, note="the oracle has a result for fewer than two of these subjects")
    gain, headroom = mine - without, oracle - without
    gains, headrooms = bootstrap.resampled(np.stack([gain, headroom]))
    low, high = bootstrap.interval(headrooms, count)
    if not low > 0:
        span = f"{signed(low, 2)} to {signed(high, 2)}"
        return Share(
            count,
            note=f"the interval of oracle − without translation over {count} subjects, {span} points, is not above 0",
        )
    some = headrooms != 0
    shares = 100 * (gains[some] / headrooms[some])
    return Share(count, float(100 * (gain.mean() / headroom.mean())), *bootstrap.interval(shares, count))
