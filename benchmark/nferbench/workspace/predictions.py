"""What predictions.csv says of each test face: the answer of the recogniser, and how likely it held each class."""

from __future__ import annotations

import csv
from pathlib import Path

PREDICTIONS = "predictions.csv"
SCORE = "score:"  # and a class: the column of its probabilities; files of earlier versions have none


def same_answers(one: Path, other: Path) -> bool:
    """Whether two files say the same, apart from class scores that only one of them has."""
    try:
        tables = [_rows(path) for path in (one, other)]
    except (OSError, ValueError, csv.Error):
        return False
    scored = [any(name.startswith(SCORE) for row in table for name in row) for table in tables]
    if scored[0] != scored[1]:
        tables = [[_answer(row) for row in table] for table in tables]
    return tables[0] == tables[1]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True, restkey="", restval=""))


def _answer(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if not name.startswith(SCORE)}
