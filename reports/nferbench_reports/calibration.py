"""Is a recogniser right as often as it is sure? From the stored probabilities of the classes, where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench_reports.answers import NAMES, Answered
from nferbench_reports.results import PREDICTED, SCORE, SEED, Missing, Outcome
from nferbench_reports.table_cells import lacking

BINS = 10  # of equal width, from 0 to 1; each has its upper end, as in Guo et al. 2017
LEAST = float(np.finfo(np.float64).eps)  # no probability counts as less in a logarithm, as in scikit-learn
_SUM = 1e-3  # that probabilities may be off 1
_ROUNDED = 1e-5  # that the answer may be behind the likeliest class
_MEASURED = ("confidence", "accuracy", "overconfidence", "ece", "brier", "nll")


@final
@dataclass(frozen=True)
class Scored:
    """The answers of a row in the folds that have the class scores of all their trainings."""

    answered: Answered
    seed: NDArray[np.int64]  # (answers,) which training
    confidence: NDArray[np.float64]  # (answers,) probability of the answer
    right: NDArray[np.bool_]  # (answers,)
    brier: NDArray[np.float64]  # (answers,) sum of squares over the classes, in [0, 2]
    nll: NDArray[np.float64]  # (answers,) minus the logarithm of the probability of the true class
    folds: int
    note: str  # which folds have none and why, "" where all have them

    def trainings(self) -> Iterator[NDArray[np.bool_]]:
        """Which answers are of each training."""
        for seed in np.unique(self.seed):
            yield self.seed == seed


def scored(one: Answered) -> Scored:
    """The class scores of a row."""
    outcomes = {fold: _with_scores(outcome, one) for fold, outcome in sorted(one.outcomes.items())}
    frames = [outcome for outcome in outcomes.values() if not isinstance(outcome, Missing)]
    frame = pd.concat(frames) if frames else pd.DataFrame(columns=[SEED, "expression", PREDICTED])
    classes = one.protocol.classes
    index = {name: i for i, name in enumerate(classes)}
    true, answer = (frame[name].map(index).to_numpy(np.int64) for name in ("expression", PREDICTED))
    likely = _probabilities(frame, classes)
    lines = np.arange(len(frame))
    return Scored(
        one,
        frame[SEED].to_numpy(np.int64),
        likely[lines, answer],
        true == answer,
        ((likely - np.eye(len(classes))[true]) ** 2).sum(axis=1),
        -np.log(np.maximum(likely[lines, true], LEAST)),
        len(frames),
        lacking(outcomes, one.protocol.folds) if outcomes else one.note,
    )


def summary(found: Sequence[Scored]) -> pd.DataFrame:
    """Calibration of each row: of all folds together, each number the mean of what each training gives by itself.

    `confidence`, `accuracy`, their difference `overconfidence` and the expected calibration error `ece` are in percent
    or points; `brier` is in [0, 2], `nll` in nats. NaN for a row without class scores.
    """
    lines: list[dict[str, Any]] = []
    for one in found:
        each = [_measured(one, training) for training in one.trainings()]
        means = {name: float(np.mean([values[name] for values in each])) for name in _MEASURED} if each else {}
        counts = {"faces": _faces(one), "folds": one.folds, "trainings": len(each)}
        lines.append({**one.answered.named(), **counts, **means})
    columns = [*NAMES, "faces", *_MEASURED, "folds", "trainings"]
    return pd.DataFrame(lines, columns=columns).astype(dict.fromkeys(_MEASURED, float))


def reliability(found: Sequence[Scored]) -> pd.DataFrame:
    """How often answers of about one confidence are right, `BINS` lines for each row that has class scores.

    The answers of all folds and trainings together; `faces` is their number, divided by that of the trainings. `low`,
    `high`, `confidence` and `accuracy` are in percent, `gap` is accuracy − confidence; NaN for a bin without answers.
    """
    lines: list[dict[str, Any]] = []
    for one in found:
        if not one.folds:
            continue
        trainings = len([*one.trainings()])
        count, confidence, accuracy = _binned(one, np.ones(len(one.seed), bool))
        for i in range(BINS):
            lines.append(
                {
                    **one.answered.named(),
                    "low": 100 * i / BINS,
                    "high": 100 * (i + 1) / BINS,
                    "faces": count[i] / trainings,
                    "confidence": confidence[i],
                    "accuracy": accuracy[i],
                    "gap": accuracy[i] - confidence[i],
                }
            )
    return pd.DataFrame(lines, columns=[*NAMES, "low", "high", "faces", "confidence", "accuracy", "gap"])


def _with_scores(outcome: Outcome, one: Answered) -> Outcome:
    """A fold, or why its class scores cannot be used; a mean over the trainings that have some is another number."""
    if isinstance(outcome, Missing):
        return outcome
    again = f"'nferbench run … --again {one.protocol.fer}' stores them"
    classes = one.protocol.classes
    likely = _probabilities(outcome, classes)
    none = np.isnan(likely).all(axis=1)
    seeds = outcome[SEED].to_numpy(np.int64)
    without, trainings = len(np.unique(seeds[none])), len(np.unique(seeds))
    if without:
        which = "" if without == trainings else f" by {without} of {trainings} trainings"
        return Missing(f"class scores are not stored{which}; {again}")
    index = {name: i for i, name in enumerate(classes)}
    answer = likely[np.arange(len(outcome)), outcome[PREDICTED].map(index).to_numpy(np.int64)]
    shares = ((likely >= 0) & (likely <= 1)).all(axis=1) & (np.abs(likely.sum(axis=1) - 1) <= _SUM)
    if not bool((shares & (answer >= likely.max(axis=1) - _ROUNDED)).all()):
        return Missing(f"class scores are no probabilities of what was predicted; {again}")
    return outcome


def _probabilities(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """(answers, classes); NaN where none is stored."""
    return frame.reindex(columns=[f"{SCORE}{name}" for name in classes]).to_numpy(np.float64)


def _measured(one: Scored, training: NDArray[np.bool_]) -> Mapping[str, float]:
    count, confidence, accuracy = _binned(one, training)
    some = count > 0
    gaps = np.abs(accuracy[some] - confidence[some])
    sure, right = 100 * float(one.confidence[training].mean()), 100 * float(one.right[training].mean())
    return {
        "confidence": sure,
        "accuracy": right,
        "overconfidence": sure - right,
        "ece": float((count[some] * gaps).sum() / count.sum()),
        "brier": float(one.brier[training].mean()),
        "nll": float(one.nll[training].mean()),
    }


def _binned(one: Scored, which: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Answers, mean confidence and accuracy of each bin, in percent; NaN for a bin without answers."""
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], one.confidence[which])
    count = np.bincount(place, minlength=BINS).astype(np.float64)
    sums = (np.bincount(place, values, BINS) for values in (one.confidence[which], one.right[which]))
    with np.errstate(invalid="ignore"):
        return count, *(100 * each / count for each in sums)


def _faces(one: Scored) -> int:
    """The test faces of one training."""
    return int((one.seed == one.seed.min()).sum()) if len(one.seed) else 0
