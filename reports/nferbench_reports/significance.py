"""Do two methods differ, and by how much? Paired over the test subjects, corrected for the methods.

Five folds give five paired differences, and no two-sided test of five pairs reaches p < 0.05. Subjects are the
independent units of these data: each is tested once, by networks that never saw them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import final

import numpy as np
import pandas as pd

from nferbench_reports.bootstrap import INTERVAL
from nferbench_reports.columns import Convention
from nferbench_reports.markdown import DASH, escape, grid
from nferbench_reports.paired import NAN, Difference, holm, summarise
from nferbench_reports.record import Record
from nferbench_reports.results import PREDICTED, Missing, Outcome, Results, trainings

COLUMNS = (
    *("dataset", "method", "metric", "subjects", "difference", "low", "high", "p", "p_holm"),
    *("against", "effect", "spread", "subjects_needed", "trainings"),
)
BASE = "none"  # the row that methods are compared with in any case
_SHOWN = (("accuracy", "Acc (points)", 2), ("psnr", "PSNR (dB)", 2), ("lpips", "LPIPS", 4), ("ssim", "SSIM", 4))


@final
@dataclass(frozen=True)
class Comparison:
    """One method, or one reference row, against another row in one metric."""

    dataset: str
    method: str
    against: str
    metric: str
    found: Difference  # of method minus the other, over the subjects that both have; accuracy in percentage points
    p_holm: float  # corrected over the methods of one data set, metric and `against`; NaN for a reference row
    title: str  # of the method
    against_title: str
    reference: bool
    metric_title: str
    decimals: int
    trainings: int | None = None  # of the recogniser, of each of both rows; None where nothing was recognised


def compare(record: Record, results: Sequence[Results], convention: Convention) -> list[Comparison]:
    """Compare each row of a record with each other row, in accuracy, image quality and what was added.

    Macro F1 has no comparison: it is no mean over subjects, who have too few images for one of their own.

    Returns:
        By metric, then by the row that others are compared with, then by method; a pair without a common subject is
        left out.
    """
    added = [(metric.name, metric.title, metric.decimals) for metric in record.metrics()]
    metrics = [*_SHOWN, *added]
    paired: dict[tuple[str, int, int], np.ndarray] = {}
    for metric, *_ in metrics:
        people = pd.DataFrame({i: per_subject(one, metric, convention) for i, one in enumerate(results)})
        values = people.sort_index().to_numpy(dtype=float)
        for i, j in combinations(range(len(results)), 2):
            with np.errstate(invalid="ignore"):
                differences = values[:, i] - values[:, j]
            if (finite := np.isfinite(differences)).any():
                paired[metric, i, j] = differences[finite]
    found = dict(zip(paired, summarise(list(paired.values())), strict=True))
    found |= {(metric, j, i): one.turned() for (metric, i, j), one in found.items()}
    behind = [trainings(one) for one in results]
    comparisons = []
    for metric, title, decimals in metrics:
        for other, against in enumerate(results):
            tests = [(i, found[metric, i, other]) for i in range(len(results)) if (metric, i, other) in found]
            corrected = holm([NAN if results[i].row.group == "reference" else one.p for i, one in tests])
            comparisons += [
                Comparison(
                    record.protocol.dataset,
                    (row := results[i].row).name,
                    against.row.name,
                    metric,
                    one,
                    p_holm,
                    row.title,
                    against.row.title,
                    row.group == "reference",
                    title,
                    decimals,
                    behind[i] if metric == "accuracy" else None,
                )
                for (i, one), p_holm in zip(tests, corrected, strict=True)
            ]
    return comparisons


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The comparisons as a table with `COLUMNS`."""
    lines = pd.DataFrame([asdict(one) | asdict(one.found) for one in comparisons], columns=list(COLUMNS))
    return lines.astype({"trainings": "Int64"})


def per_subject(results: Results, metric: str, convention: Convention) -> pd.Series[float]:
    """The mean of a metric over the test images of each subject, by subject; accuracy in percent."""
    with np.errstate(invalid="ignore"):
        return per_image(results, metric, convention).groupby("subject")["value"].mean()


def per_image(results: Results, metric: str, convention: Convention) -> pd.DataFrame:
    """A metric of each test image of the folds that have a result, with subject and value; accuracy is 0 or 100."""
    if metric == "accuracy":
        frames = _found(results.predictions)
        values = [100.0 * (frame["expression"] == frame[PREDICTED]) for frame in frames]
    else:
        name = f"{metric}_paper" if metric in ("psnr", "ssim") and convention == "paper" else metric
        frames = _found(results.scores[name])
        values = [frame[name] for frame in frames]
    tables = [pd.DataFrame({"subject": f["subject"], "value": v}) for f, v in zip(frames, values, strict=True)]
    return pd.concat(tables) if tables else pd.DataFrame({"subject": [], "value": []}).astype({"value": float})


EFFECT = (
    "Effect size is Cohen's d_z with Hedges' correction; the last column is how many subjects a difference of this "
    "size needs to be seen (80 % power at p < 0.05)."
)


def legend(against: str, references: str) -> str:
    """How to read a table of differences, in plain text.

    Args:
        against: the title of the row that all are compared with.
        references: how its reference rows look; "" where it has none.
    """
    text = (
        f"Each method against {against}, paired over the test subjects: mean difference, its "
        f"{INTERVAL}, two-sided sign-flip permutation test, Holm-corrected over the methods of one data set "
        "and metric."
    )
    return text + (f" {references} are references: no methods, and no part of the correction." if references else "")


def write_markdown(comparisons: Sequence[Comparison], titles: Mapping[str, str]) -> str:
    """The comparisons as a Markdown table; `titles` has the printed name of each data set."""
    rows = [
        [
            escape(titles[one.dataset]),
            f"*{escape(one.title)}*" if one.reference else escape(one.title),
            escape(one.metric_title),
            str(one.found.subjects),
            *(signed(value, one.decimals) for value in (one.found.difference, one.found.low, one.found.high)),
            signed(one.found.effect, 2),
            p_text(one.found.p),
            p_text(one.p_holm),
            DASH if np.isnan(one.found.subjects_needed) else f"{one.found.subjects_needed:.0f}",
        ]
        for one in comparisons
    ]
    header = ["Data set", "Method", "Metric", "Subjects", "Difference", "Low", "High", "Effect", "p", "p (Holm)"]
    return grid([*header, "Needed"], rows, "lllrrrrrrrr") + "\n"


def signed(value: float, decimals: int) -> str:
    """A difference as printed, e.g. +0.50 or −0.12; a dash for NaN."""
    return DASH if np.isnan(value) else f"{value:+.{decimals}f}".replace("-", "−")


def p_text(value: float) -> str:
    """A p-value as printed; a dash for NaN."""
    if np.isnan(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _found(outcomes: Mapping[int, Outcome]) -> list[pd.DataFrame]:
    return [outcome for outcome in outcomes.values() if not isinstance(outcome, Missing)]
