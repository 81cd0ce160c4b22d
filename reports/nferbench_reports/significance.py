"""Is a method better than no translation, and by how much? Paired over the test subjects, corrected for the methods.

Five folds give five paired differences, and no two-sided test of five pairs reaches p < 0.05. Subjects are the
independent units of these data: each is tested once, by networks that never saw them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench_reports import bootstrap
from nferbench_reports.markdown import DASH, escape, grid
from nferbench_reports.records import Record
from nferbench_reports.results import PREDICTED, Missing, Outcome, Results, trainings
from nferbench_reports.tables import Convention

COLUMNS = ("dataset", "method", "metric", "subjects", "difference", "low", "high", "p", "p_holm", "trainings")
RESAMPLES = 9999  # random sign flips where there are too many subjects for all of them
BASE = "none"  # the row that methods are compared with
_SHOWN = (("accuracy", "Acc (points)", 2), ("psnr", "PSNR (dB)", 2), ("lpips", "LPIPS", 4))  # name, title, decimals


@final
@dataclass(frozen=True)
class Comparison:
    """One method, or one reference row, against the row "without translation" in one metric."""

    dataset: str
    method: str
    metric: str
    subjects: int  # that both rows have a result for
    difference: float  # mean over subjects of method minus base; accuracy in percentage points
    low: float  # of the interval of the difference; NaN with fewer than two subjects
    high: float
    p: float  # two-sided; NaN with fewer than two subjects
    p_holm: float  # corrected over the methods of one dataset and metric; NaN for a reference row
    title: str  # of the method
    reference: bool
    metric_title: str
    decimals: int
    trainings: int | None = None  # of the recogniser, of each of both rows; None where nothing was recognised


def compare(record: Record, results: Sequence[Results], convention: Convention) -> list[Comparison]:
    """Compare each other row of a record with the row "without translation"; nothing where that row was not run."""
    base = next((one for one in results if one.row.name == BASE), None)
    if base is None:
        return []
    comparisons = []
    added = [(metric.name, metric.title, metric.decimals) for metric in record.metrics()]
    for metric, title, decimals in (*_SHOWN, *added):
        without = per_subject(base, metric, convention)
        tests = []
        for one in results:
            if one.row.group == "none":
                continue
            both = pd.concat([per_subject(one, metric, convention), without], axis=1, join="inner")
            differences = (both.iloc[:, 0] - both.iloc[:, 1]).to_numpy(dtype=float)
            differences = differences[np.isfinite(differences)]
            if len(differences):
                behind = trainings(one) if metric == "accuracy" else None
                tests.append((one.row, differences, sign_flip(differences), behind))
        corrected = holm([p if row.group != "reference" else float("nan") for row, _, p, _ in tests])
        comparisons += [
            Comparison(
                record.protocol.dataset,
                row.name,
                metric,
                len(values),
                float(values.mean()),
                *bootstrap.interval_of_mean(values),
                p,
                p_holm,
                row.title,
                row.group == "reference",
                title,
                decimals,
                behind,
            )
            for (row, values, p, behind), p_holm in zip(tests, corrected, strict=True)
        ]
    return comparisons


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The comparisons as a table with `COLUMNS`."""
    lines = pd.DataFrame([asdict(one) for one in comparisons], columns=list(COLUMNS))
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


def sign_flip(differences: NDArray[np.float64]) -> float:
    """Two-sided p of a paired permutation test of the mean: exact where all sign patterns can be tried.

    With random patterns the seed is fixed, so the same results give the same p. NaN for fewer than two differences.
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return float("nan")
    test = permutation_test(
        (differences,),
        lambda values, axis: np.mean(values, axis=axis),
        permutation_type="samples",
        n_resamples=RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979); a NaN is no test: it stays and does not count."""
    corrected = list(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not np.isnan(p)), key=lambda i: p_values[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def legend(references: str) -> str:
    """How to read a table of differences; `references` says how its reference rows look, "" where it has none."""
    text = (
        "Each method against no translation, paired over the test subjects: mean difference, its "
        f"{bootstrap.INTERVAL}, two-sided sign-flip permutation test, Holm-corrected over the methods of one data set "
        "and metric."
    )
    return text + (f" {references} are references: no methods, and no part of the correction." if references else "")


def write_markdown(comparisons: Sequence[Comparison], titles: Mapping[str, str]) -> str:
    """The comparisons as a Markdown table; `titles` has the printed name of each dataset."""
    rows = [
        [
            escape(titles[one.dataset]),
            f"*{escape(one.title)}*" if one.reference else escape(one.title),
            escape(one.metric_title),
            str(one.subjects),
            *(signed(value, one.decimals) for value in (one.difference, one.low, one.high)),
            p_text(one.p),
            p_text(one.p_holm),
        ]
        for one in comparisons
    ]
    header = ["Data set", "Method", "Metric", "Subjects", "Difference", "Low", "High", "p", "p (Holm)"]
    return grid(header, rows, "lllrrrrrr") + "\n"


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
