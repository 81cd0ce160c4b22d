"""Any two rows of a run against each other: the numbers, and the section of the page that has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line
from nferbench_reports.bootstrap import DRAWS, LEVEL
from nferbench_reports.power import subjects_needed
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Section, Sheet, Shown
from nferbench_reports.significance import Comparison

COLUMNS = (
    *("dataset", "metric", "against", "method", "method_name", "against_name", "reference", "subjects"),
    *("difference", "low", "high", "effect", "p", "p_holm", "spread", "subjects_needed", "subjects_for_step"),
    "decimals",  # that differences of the metric are printed with
)
STEPS: Mapping[str, float] = {"accuracy": 1.0, "psnr": 1.0, "lpips": 0.01, "ssim": 0.01}  # worth asking for

_SHOWN = (
    Shown("method", "Method"),
    Shown("subjects", "Subjects"),
    Shown("difference", "Difference", "decimals", signed=True, shaded=True),
    Shown("low", "Low", "decimals", signed=True),
    Shown("high", "High", "decimals", signed=True),
    Shown("effect", "Effect (g_z)", 2, signed=True),
    Shown("p", "p", 4),
    Shown("p_holm", "p (Holm)", 4),
    Shown("subjects_needed", "Needed", 0),
    Shown("subjects_for_step", "Needed for a step", 0),
)
_TEXT = (
    f"Each row minus the one that it is compared with, paired over the test subjects: mean difference, its {LEVEL} % "
    f"interval (subjects drawn with replacement, each with all images, {DRAWS:,} times; expanded percentiles), effect "
    "size (mean over standard deviation of the differences, Cohen's d_z, with Hedges' correction for few subjects: "
    "g_z), and p of a two-sided sign-flip permutation test. Holm's correction is over the methods of one data set, "
    "metric and row compared with. Reference rows are no methods and take no part in it. Macro F1 has no comparison: "
    "it is no mean over subjects.",
    "Needed: how many subjects would see a difference of the size found, were it the true one, with a power of 80 % "
    "at p < 0.05, two-sided and uncorrected, given how much the differences spread over subjects (paired t-test, "
    "noncentral t). Needed for a step: the same for a difference of 1 point of accuracy, 1 dB of PSNR, or 0.01 of "
    "LPIPS or SSIM.",
)


def compared_with(named: Sequence[str] | None, runs: Sequence[Run]) -> tuple[str, ...]:
    """The rows that the others are compared with in the tables of significance.

    Args:
        named: by whoever asks; None takes the usual ones, as far as they were run.
        runs: that are reported.

    Raises:
        UsageError: a name that no run has as a row of its tables, or no name at all.
    """
    known = list(dict.fromkeys(one.row.name for run in runs for one in run.tabled()))
    if named is None:
        return tuple(name for name in Asked.against if name in known)
    unknown = [name for name in named if name not in known]
    if unknown or not named:
        what = f"has no row '{one_line(unknown[0])}'" if unknown else "is compared with no row"
        raise UsageError(f"--against: the report {what}; it has: {', '.join(known)}")
    return tuple(dict.fromkeys(named))


def pairs(runs: Sequence[Run], asked: Asked, compared: Sequence[Sequence[Comparison]]) -> pd.DataFrame:
    """Each row of each run against each other one, in `COLUMNS`; first those asked for, as references of all others.

    `dataset`, `metric`, `against` and `method` are titles, no two alike where their names differ; `method_name` and
    `against_name` are what --against takes. Accuracy is in percentage points.
    """
    lines = [line for mine, title in zip(compared, run_titles(runs), strict=True) for line in _lines(title, mine)]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    place = {name: i for i, name in enumerate(asked.against)}
    order = frame["against_name"].map(lambda name: place.get(name, len(place))).argsort(kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def section(runs: Sequence[Run], asked: Asked, compared: Sequence[Sequence[Comparison]]) -> Section | None:
    """The section of comparisons, of each run its own; None where no two rows have a subject in common."""
    frame = pairs(runs, asked, compared)
    if frame.empty:
        return None
    asked_for = frame[frame["against_name"].isin(asked.against)]
    notes = [*_not_run(runs, asked), *_fewer(frame), *too_few(asked_for)]
    sheet = Sheet("comparisons", "Differences", frame, _SHOWN, ("dataset", "metric", "against"), tuple(notes))
    return Section("comparisons", "Comparisons", _TEXT, (sheet,))


def too_few(frame: pd.DataFrame) -> list[str]:
    """Where subjects are fewer than a difference of the size found needs: a sentence for each data set and metric.

    Args:
        frame: lines of `pairs`.
    """
    said = []
    methods = frame[~frame["reference"].astype(bool)]
    for (dataset, metric, against), lines in methods.groupby(["dataset", "metric", "against"], sort=False):
        few = lines[(lines["subjects"] < 2) | (lines["subjects"] < lines["subjects_needed"])]
        if few.empty:
            continue
        names = ", ".join(
            f"{method} ({subjects} of {needed:,.0f})" if needed > 0 else f"{method} (one subject)"
            for method, subjects, needed in zip(few["method"], few["subjects"], few["subjects_needed"], strict=True)
        )
        said.append(
            f"{dataset}, {metric}, against {against}: too few subjects to see a difference of the size found, so that "
            f"a large p says nothing of these methods (subjects of those needed): {names}."
        )
    return said


def run_titles(runs: Sequence[Run]) -> list[str]:
    """What each run is called on the page: its data set, and its record where two have one of the same title."""
    titles = [run.record.protocol.dataset_title for run in runs]
    often = Counter(titles)
    return [title if often[title] == 1 else f"{title} ({run.file})" for title, run in zip(titles, runs, strict=True)]


def row_titles(titles: Mapping[str, str]) -> dict[str, str]:
    """The title of each row by its name, with the name behind it where two share one."""
    often = Counter(titles.values())
    return {name: title if often[title] == 1 else f"{title} ({name})" for name, title in titles.items()}


def _lines(title: str, comparisons: Sequence[Comparison]) -> list[tuple[object, ...]]:
    shown = row_titles({one.method: one.title for one in comparisons})
    steps = np.array([STEPS.get(one.metric, float("nan")) for one in comparisons])
    with np.errstate(divide="ignore"):
        for_step = subjects_needed(steps / np.array([one.found.spread for one in comparisons]))
    return [
        (
            *(title, one.metric_title, shown[one.against], shown[one.method], one.method, one.against, one.reference),
            *(one.found.subjects, one.found.difference, one.found.low, one.found.high, one.found.effect),
            *(one.found.p, one.p_holm, one.found.spread, one.found.subjects_needed, needed),
            one.decimals,
        )
        for one, needed in zip(comparisons, for_step, strict=True)
    ]


def _not_run(runs: Sequence[Run], asked: Asked) -> list[str]:
    """Rows to compare with that some of the runs do not have."""
    return [
        f"{title} has no row {', '.join(lacking)} to compare with."
        for run, title in zip(runs, run_titles(runs), strict=True)
        if (lacking := [name for name in asked.against if name not in {one.row.name for one in run.tabled()}])
    ]


def _fewer(frame: pd.DataFrame) -> list[str]:
    """Where a comparison lacks subjects that others of its data set have."""
    said = []
    for dataset, lines in frame.groupby("dataset", sort=False):
        most = lines["subjects"].max()
        lacking = lines[lines["subjects"] < most]
        if not lacking.empty:
            said.append(
                f"{dataset}: {len(lacking) // 2} of {len(lines) // 2} pairs are over fewer than {most} subjects, for "
                "folds or images of a row have no finite result; only subjects that both rows have are compared."
            )
    return said
