"""What was measured of translations beside LPIPS, PSNR and SSIM, carried from one row of a record to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Named = Mapping[str, Any]


def with_measured(row: Named, other: Named) -> Named:
    """A row with what another one has measured of the same translations, by metrics that this one does not name.

    Args:
        row: as it stands in a record.
        other: a row of the same name; {} for none. One that is not as a run writes it adds nothing.
    """
    try:
        mine = {each["name"] for each in row.get("metrics", [])}
        before = {fold["fold"]: fold for fold in other.get("folds", [])}
        folds = [_fold(fold, before.get(fold["fold"], {}), mine) for fold in row["folds"]]
        left = {each["name"] for fold in folds for each in fold.get("metrics", [])} - mine
        more = [each for each in other.get("metrics", []) if each["name"] in left]
    except (AttributeError, KeyError, TypeError):
        return row
    return {**row, "metrics": [*row.get("metrics", []), *more], "folds": folds} if more else row


def _fold(fold: Named, other: Named, mine: Collection[str]) -> Named:
    here, there = fold.get("translation"), other.get("translation")
    if not here or not there or here["key"] != there["key"]:
        return fold
    others = [each for each in other.get("metrics", []) if each["name"] not in mine]
    return {**fold, "metrics": [*fold.get("metrics", []), *others]} if others else fold
