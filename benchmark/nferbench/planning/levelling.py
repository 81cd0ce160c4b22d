"""The levels of a data set of a run: its files are looked through once, and what they hold is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nferbench.contract.dataset import FaceDataset, Listing
from nferbench.contract.values import digest
from nferbench.datasets.depth import levelled, values_in
from nferbench.datasets.levels import MODALITIES, Found, Levels, Values, Wanted, with_levels
from nferbench.workspace.files import read_cache, write_cache
from nferbench.workspace.store import Store

RULE = 1  # raise it when the same files shall be looked through again


def remembered(
    dataset: FaceDataset, listing: Listing, root: Path | None, content: str, wanted: Wanted, store: Store
) -> tuple[FaceDataset, Listing]:
    """As `nferbench.datasets.depth.levelled`; what the files hold is kept in the workspace under their content."""
    base = dataset.base(root)
    if base is None or with_levels(dataset, Levels()) is None:
        return levelled(dataset, listing, root, wanted)
    path = store.workspace / "cache" / "levels.json"
    question = digest([RULE, content])
    known = read_cache(path)
    found = _found(known.get(question))
    if found is None:
        found = values_in(listing.faces, base)
        known[question] = {name: values and [values.low, values.high, values.top] for name, values in found.items()}
        write_cache(path, known)
    return levelled(dataset, listing, root, wanted, found)


def _found(stored: Any) -> Found | None:
    """What was kept; None where it is not of the right form, which is only slower, never wrong."""
    if not isinstance(stored, dict) or set(stored) != set(MODALITIES):
        return None
    found: dict[Any, Values | None] = {}
    for name, values in stored.items():
        if values is None:
            found[name] = None
        elif isinstance(values, list) and len(values) == 3 and all(type(value) is int for value in values):
            found[name] = Values(*values)
        else:
            return None
    return found
