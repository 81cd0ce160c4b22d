"""The test faces of a run, the scores of each translation of them, and which are the worst, the median and the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import pandas as pd

from nferbench_reports.columns import Convention, comparison_columns
from nferbench_reports.record import RECOGNITION
from nferbench_reports.results import IDENTITY, Missing, Outcome, Results, read_table
from nferbench_reports.runs import Run
from nferbench_reports.stage_files import folder_of, missing_reason
from nferbench_reports.table import Column

FACE = ("fold", *IDENTITY)


@final
@dataclass(frozen=True)
class Face:
    """A VIS face in the test set of a fold; a face that several folds test is another one in each."""

    fold: int
    id: str
    subject: str = field(compare=False)
    expression: str = field(compare=False)


@final
@dataclass(frozen=True)
class Extremes:
    """The test faces that one row translates worst, in the middle and best by one score."""

    worst: Face
    median: Face  # of two in the middle the worse
    best: Face
    faces: int  # that have this score


def score_columns(run: Run, convention: Convention) -> tuple[Column, ...]:
    """What the translations of a run are measured by, image by image."""
    columns = comparison_columns(run.record.protocol, convention, run.record.metrics())
    return tuple(column for column in columns if column.metric not in RECOGNITION)


def score_name(column: Column) -> str:
    """What a score is called in scores.csv: psnr and psnr_paper are two."""
    return f"{column.metric}_paper" if column.convention == "paper" else column.metric


def scores_frame(run: Run, columns: Sequence[Column]) -> pd.DataFrame:
    """The scores of each test face by each row of a table, a line a face and row, as they are stored.

    Columns: dataset, record (its file), fold, id, subject, expression, method (its name), and a number for each score,
    NaN where there is none.
    """
    names = [score_name(column) for column in columns]
    parts = [part for one in run.tabled() if not (part := _scores_of_row(one, names)).empty]
    found = pd.concat(parts) if parts else pd.DataFrame(columns=[*FACE, "method", *names])
    named = found.assign(dataset=run.record.protocol.dataset, record=run.file)
    return named[["dataset", "record", *FACE, "method", *names]].reset_index(drop=True)


def translated_faces(run: Run) -> dict[str, dict[int, Outcome]]:
    """The faces that each row of a table translated, by its name and fold, in the order of its pictures.

    A fold without a translation is absent, and so is a row that has none at all.
    """
    found = {one.row.name: _translated_by_row(run, one) for one in run.tabled()}
    return {name: folds for name, folds in found.items() if folds}


def faces_tested(run: Run, translated: Mapping[str, Mapping[int, Outcome]], scores: pd.DataFrame) -> tuple[Face, ...]:
    """The test faces of all folds by subject, expression, fold and id.

    Args:
        run: whose they are.
        translated: `translated_faces` of it.
        scores: `scores_frame` of it; a face whose translations are gone may still have scores.
    """
    tables = [
        table[list(IDENTITY)].assign(fold=fold)
        for folds in translated.values()
        for fold, table in folds.items()
        if not isinstance(table, Missing)
    ]
    listed = pd.concat([*tables, scores[list(FACE)]]).drop_duplicates(["fold", "id"])
    classes = {name: i for i, name in enumerate(run.record.protocol.classes)}

    def place(face: Face) -> tuple[str, int, str, int, str]:
        return face.subject, classes.get(face.expression, len(classes)), face.expression, face.fold, face.id

    return tuple(sorted(_faces(listed), key=place))


def extremes(scores: pd.DataFrame, method: str, column: Column) -> Extremes | None:
    """The worst, the median and the best face of a row by a score; equal ones stand in the order of fold and id.

    Args:
        scores: `scores_frame`.
        method: the name of a row.
        column: of the score.

    Returns:
        None where no face has this score.
    """
    name = score_name(column)
    mine = scores[(scores["method"] == method) & scores[name].notna()].sort_values(["fold", "id"])
    if mine.empty:
        return None
    worst_first = mine.sort_values(name, ascending=column.best is max, kind="stable")
    worst, median, best = _faces(worst_first.iloc[[0, (len(mine) - 1) // 2, -1]])
    return Extremes(worst, median, best, len(mine))


def _faces(table: pd.DataFrame) -> list[Face]:
    return [
        Face(int(fold), face, subject, expression)
        for fold, face, subject, expression in table[list(FACE)].itertuples(index=False)
    ]


def _translated_by_row(run: Run, results: Results) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    for fold in results.row.folds:
        if fold.translation is not None:
            reason = missing_reason(run.workspace, fold.translation, "faces.csv")
            path = folder_of(run.workspace, fold.translation) / "faces.csv"
            found[fold.fold] = Missing(reason) if reason else read_table(path, IDENTITY)
    return found


def _scores_of_row(results: Results, names: Sequence[str]) -> pd.DataFrame:
    """The scores of one row side by side: a face that has one of them has a line."""
    tables = [
        frame.assign(fold=fold)
        for name in names
        for fold, frame in results.scores[name].items()
        if not isinstance(frame, Missing)
    ]
    if not tables:
        return pd.DataFrame()
    long = pd.concat(tables).reindex(columns=[*FACE, *names])
    wide = long.groupby(list(FACE), as_index=False)[list(names)].first()
    return wide.assign(method=results.row.name)
