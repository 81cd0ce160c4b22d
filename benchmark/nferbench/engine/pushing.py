"""The pushes of the first faces of a translation: taken from what was heard, kept while it goes on, told as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from nferbench.contract.errors import PluginError
from nferbench.contract.pushes import SCORE, Push

LISTENED = 10  # faces of a translation whose pushes are kept


@final
@dataclass(frozen=True)
class Series:
    """The pushes of one term in one step, a number a face."""

    t: int  # index in the training schedule
    k: int  # step of the schedule in use; 0 is the last one taken
    term: str
    rms: tuple[float, ...]
    cosine: tuple[float, ...] | None  # to the score's push; see `nferbench.contract.pushes.Push`


def by_face(heard: Sequence[Push], faces: int, kept: int) -> tuple[Series, ...]:
    """The pushes of the first faces of a batch, a series for each step and term, in the order in which they were noted.

    A sampler may take its faces one after the other, or all of them several times; passes are averaged.

    Args:
        heard: what a listener heard of the batch.
        faces: of the batch.
        kept: how many of them are wanted.

    Raises:
        PluginError: a term was noted for another number of faces.
    """
    notes: dict[tuple[int, int, str], list[Push]] = {}
    for push in heard:
        notes.setdefault((int(push.t), push.step, push.term), []).append(push)
    series = []
    for (t, k, term), pushes in notes.items():
        count = sum(len(push.rms) for push in pushes)
        if count % faces:
            raise PluginError(
                f"the push of {term} in step {k} was noted for {count} of {faces} faces; note each of them once"
            )
        cosines = [push.cosine for push in pushes if push.cosine is not None]
        cosine = _averaged(cosines, faces, kept) if len(cosines) == len(pushes) else None
        series.append(Series(t, k, term, _averaged([push.rms for push in pushes], faces, kept), cosine))
    return tuple(series)


def joined(first: Sequence[Series], more: Sequence[Series]) -> tuple[Series, ...]:
    """The series of some faces and of more faces as series of all."""
    rows = {(each.t, each.k, each.term): each for each in first}
    for each in more:
        name = (each.t, each.k, each.term)
        before = rows.get(name, Series(*name, (), None if each.cosine is None else ()))
        cosine = None if before.cosine is None or each.cosine is None else before.cosine + each.cosine
        rows[name] = Series(*name, before.rms + each.rms, cosine)
    return tuple(rows.values())


def written(series: Sequence[Series]) -> bytes:
    """Series as they lie beside an unfinished translation; empty for none."""
    rows = [[each.t, each.k, each.term, each.rms, each.cosine] for each in series]
    return json.dumps(rows).encode() if rows else b""


def read(content: bytes) -> tuple[Series, ...]:
    """The series that `written` was given."""
    rows = json.loads(content) if content else []
    return tuple(
        Series(t, k, term, tuple(rms), None if cosine is None else tuple(cosine)) for t, k, term, rms, cosine in rows
    )


def table(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One row a step and term, the steps in the order in which they were taken.

    Each row has t, k, term; mean, 10th and 90th percentile of the RMS over the faces; the mean relative to that of the
    score in the same step; the mean cosine to the score's push. What cannot be told is empty.
    """
    score = {(each.t, each.k): _mean(each.rms) for each in series if each.term == SCORE}
    rows = []
    for each in sorted(series, key=lambda each: -each.k):
        mean, reference = _mean(each.rms), score.get((each.t, each.k), 0.0)
        low, high = np.percentile(each.rms, (10, 90))
        rows.append(
            {
                "t": each.t,
                "k": each.k,
                "term": each.term,
                "rms_mean": _cell(mean),
                "rms_low": _cell(low),
                "rms_high": _cell(high),
                "relative": _cell(mean / reference if reference else np.nan),
                "cosine": _cell(np.nan if each.cosine is None else _mean(each.cosine)),
            }
        )
    return rows


def _averaged(parts: Sequence[torch.Tensor], faces: int, kept: int) -> tuple[float, ...]:
    passes = torch.cat(list(parts)).double().view(-1, faces)
    return tuple(passes.mean(0)[:kept].tolist())


def _mean(values: Sequence[float]) -> float:
    """The mean of what are numbers; NaN where none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
