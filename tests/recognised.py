"""Drawn answers of recognisers with class scores, written as a run does, and read again without the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nferbench.contract.printable import cell, from_cell
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Run

CLASSES = ("=cmd", "a,b", "score:x")
FOLDS = (("ann", "bob", "cleo"), ("dora", "emil"))  # subjects


def drawn(workspace: Any, key: str, subjects: Sequence[str], scored: bool = True) -> dict[str, str]:
    """A training of one fold: two faces of each subject and class, the answer being the likeliest class."""
    rng = np.random.default_rng([*key.encode()])
    rows: list[Mapping[str, Any]] = []
    for subject in subjects:
        for true in CLASSES * 2:
            likely = rng.dirichlet([0.6] * len(CLASSES))
            shares = {f"score:{name}": f"{share:.6g}" for name, share in zip(CLASSES, likely, strict=True)}
            answer = CLASSES[int(likely.argmax())]
            rows.append(
                {"id": f"{key}-{len(rows)}", "subject": subject, "expression": cell(true), "predicted": cell(answer)}
                | (shares if scored else {})
            )
    stage: dict[str, str] = workspace.stage(key, {"predictions.csv": rows})
    return stage


def row(workspace: Any, name: str, group: str, folds: Sequence[Sequence[str]], trainings: int = 2, **more: Any) -> Any:
    """A row of a record, all of whose folds have as many trainings; `folds` has the subjects of each."""
    stages = [
        [drawn(workspace, f"{name}-{fold}-{seed}", subjects) for seed in range(trainings)]
        for fold, subjects in enumerate(folds)
    ]
    made = workspace.row(name, group, fer=[each[0] for each in stages], **more)
    for fold, each in zip(made["folds"], stages, strict=True):
        fold["fer_repeats"] = each[1:]
    return made


def stored(root: Path, name: str, folds: Sequence[int], seed: int) -> pd.DataFrame:
    """What lies in the files of one training of some folds."""
    paths = [root / "stages" / f"{name}-{fold}-{seed}" / "predictions.csv" for fold in folds]
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths]
    frame = pd.concat(tables, ignore_index=True)
    return frame.assign(**{one: frame[one].map(from_cell) for one in ("expression", "predicted")})


def runs(root: Path) -> list[Run]:
    """As a report reads them."""
    return [
        Run(
            root,
            each.file,
            each.record,
            tuple(load_results(root, one, each.record.protocol.classes) for one in each.record.rows),
        )
        for each in read_records(root).chosen
    ]


def written(out: Path, name: str, **chosen: str) -> pd.DataFrame:
    """The CSV of a sheet, those of its lines that have such cells."""
    frame = pd.read_csv(out / f"{name}.csv", keep_default_na=False, na_values=[""])
    for column, value in chosen.items():
        frame = frame[frame[column].fillna("") == value]
    return frame
