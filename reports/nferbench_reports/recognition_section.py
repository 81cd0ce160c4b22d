"""The section of the page on recognition: tables of expressions, confusions and subjects, and how sure answers are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nferbench_reports import calibration, recognition, reliability_figure
from nferbench_reports.answers import Answered, answered
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet, Shown

if TYPE_CHECKING:
    import pandas as pd

_METHOD = Shown("title", "Method")


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """What recognisers answered; None where no row has an answer."""
    found = answered(runs)
    if not any(one.counts for one in found):
        return None
    scored = [calibration.scored(one) for one in found if one.counts]
    bins = calibration.reliability(scored)
    parts: list[Sheet | Figure] = [_expressions(found), _confusions(found, asked.against)]
    subjects = _subjects(found)
    if not subjects.frame.empty:
        parts.append(subjects)
    parts.append(_calibration(scored))
    if not bins.empty:
        parts += [_reliability(bins), _figure(bins, asked.against)]
    return Section("recognition", "Recognition", _text(runs), tuple(parts))


def _text(runs: Sequence[Run]) -> tuple[str, ...]:
    several = [run.record.protocol for run in runs if run.record.protocol.fer_seeds > 1]
    averaged = "; ".join(dict.fromkeys(f"{one.dataset_title}{one.averaged()}" for one in several))
    return (
        "What the recognisers answered for the test faces of all folds together. Where a recogniser was trained "
        "several times, each number is the mean of what each training gives by itself.",
        *([f"{averaged}."] if averaged else []),
    )


def _expressions(found: Sequence[Answered]) -> Sheet:
    frame = recognition.per_expression(found)
    notes = [
        "Gains are differences from the row without translation, in points, over the folds that both have.",
        *_lacking((one, one.note) for one in found),
    ]
    if frame["precision"][frame["folds"] > 0].isna().any():
        notes.append("Precision has no number where a training never predicts the expression.")
    return Sheet(
        "recognition",
        "Recall, precision and F1 of each expression",
        frame,
        (
            _METHOD,
            Shown("support", "Faces"),
            Shown("recall", "Recall (%)", 2, "higher"),
            Shown("precision", "Precision (%)", 2, "higher"),
            Shown("f1", "F1 (%)", 2, "higher"),
            Shown("recall_gain", "Gain in recall", 2, "higher", signed=True, shaded=True),
            Shown("f1_gain", "Gain in F1", 2, "higher", signed=True, shaded=True),
            Shown("folds", "Folds"),
        ),
        ("dataset_title", "expression"),
        tuple(notes),
    )


def _confusions(found: Sequence[Answered], against: Sequence[str]) -> Sheet:
    frame = recognition.confusions(found, against)
    classes = [name for name in frame.columns if name.startswith(recognition.CLASS)]
    return Sheet(
        "confusion",
        "Which expression is taken for which",
        frame,
        (
            Shown("expression", "True expression"),
            *(Shown(name, name.removeprefix(recognition.CLASS), 1, shaded=True) for name in classes),
            Shown("folds", "Folds"),
        ),
        ("dataset_title", "title", "shown"),
        (
            "A line for each true expression, a column for what was predicted; in percent of the faces of the true "
            "expression, or in faces.",
            "Differences are of the folds that both rows have. What they have more on the diagonal is right, beside it "
            "wrong.",
            *_lacking((one, one.note) for one in found),
        ),
    )


def _subjects(found: Sequence[Answered]) -> Sheet:
    return Sheet(
        "subjects",
        "Which subjects gain and which lose",
        recognition.per_subject(found),
        (
            Shown("subject", "Subject"),
            Shown("faces", "Faces"),
            Shown("accuracy", "Accuracy (%)", 2, "higher"),
            Shown("without", "Without translation (%)", 2, "higher"),
            Shown("gain", "Gain", 2, "higher", signed=True, shaded=True),
        ),
        ("dataset_title", "title"),
        (
            "Accuracy of each test subject beside that without translation, of the folds that both rows have. Few "
            "faces stand behind each number: no subject by itself shows that a method is better.",
            *_lacking((one, one.note) for one in found),
        ),
    )


def _calibration(scored: Sequence[calibration.Scored]) -> Sheet:
    return Sheet(
        "calibration",
        "How sure the recognisers are",
        calibration.summary(scored),
        (
            _METHOD,
            Shown("faces", "Faces"),
            Shown("confidence", "Confidence (%)", 2),
            Shown("accuracy", "Accuracy (%)", 2, "higher"),
            Shown("overconfidence", "Confidence − accuracy", 2, signed=True, shaded=True),
            Shown("ece", "Calibration error", 2, "lower"),
            Shown("brier", "Brier score", 4, "lower"),
            Shown("nll", "Negative log-likelihood", 4, "lower"),
            Shown("folds", "Folds"),
        ),
        ("dataset_title",),
        (
            "Confidence is the probability of the answer. The expected calibration error is the mean distance of "
            f"accuracy from confidence, in points, over {calibration.BINS} bins of confidence, weighted by faces. The "
            "Brier score sums squares over the classes; the logarithm is the natural one.",
            *_lacking((one.answered, one.note) for one in scored),
        ),
    )


def _reliability(bins: pd.DataFrame) -> Sheet:
    return Sheet(
        "reliability",
        "How often answers of one confidence are right",
        bins,
        (
            Shown("low", "Above (%)"),
            Shown("high", "Up to (%)"),
            Shown("faces", "Faces", 1),
            Shown("confidence", "Confidence (%)", 2),
            Shown("accuracy", "Accuracy (%)", 2),
            Shown("gap", "Accuracy − confidence", 2, signed=True, shaded=True),
        ),
        ("dataset_title", "title"),
        (
            "Bins hold the answers of all trainings together, and faces are theirs divided by the trainings; the "
            "calibration error above is the mean of that of each training.",
        ),
    )


def _figure(bins: pd.DataFrame, against: Sequence[str]) -> Figure:
    return Figure(
        reliability_figure.draw(bins, against),
        "Accuracy over confidence of the recogniser of each row, a panel for each data set",
        "Accuracy of answers of about one confidence. Below the dotted line a recogniser is surer than it is right.",
        "reliability",
    )


def _lacking(notes: Iterable[tuple[Answered, str]]) -> list[str]:
    """Which folds stand behind the numbers of rows that lack some, equal notes told once."""
    told: dict[tuple[str, str], list[str]] = {}
    rows: Counter[str] = Counter()
    for one, note in notes:
        rows[one.dataset_title] += 1
        if note:
            told.setdefault((one.dataset_title, note), []).append(one.title)
    return [
        f"{dataset}, {'all rows' if 1 < len(titles) == rows[dataset] else ', '.join(titles)}: {note}."
        for (dataset, note), titles in told.items()
    ]
