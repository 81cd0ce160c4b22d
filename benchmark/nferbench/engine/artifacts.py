"""What one stage leaves for the next: how it is written and read."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.contract.printable import cell
from nferbench.engine.context import Context
from nferbench.faces.prepared import PreparedFaces, read_prepared
from nferbench.faces.translated import read_translated
from nferbench.workspace.entries import DESCRIPTION, Entry, read_entry, verify
from nferbench.workspace.stages import PrepareFaces, Stage, Translation, readable


def entry_of(stage: Stage, context: Context) -> Entry:
    """The complete entry of a stage that this one needs, its content checked whenever it may have changed.

    Raises:
        DataError: it is gone, or a file has changed since it was written; a damaged entry is set aside.
    """
    entry = context.store.find(stage)
    if entry is None:
        raise DataError(f"{readable(stage)} is not in the workspace any more; start the run again")
    try:
        _verified(entry.path, _state(entry))
    except DataError as error:
        aside = context.store.set_aside(stage)
        raise DataError(f"{error}; set aside as {aside}, start the run again to do it anew") from None
    return entry


def _state(entry: Entry) -> tuple[tuple[int, ...], ...]:
    """What changes whenever a file of an entry does."""
    found = [(entry.path / name).stat() for name in (DESCRIPTION, *entry.info["files"])]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found)


@lru_cache(maxsize=4096)
def _verified(path: Path, state: tuple[tuple[int, ...], ...]) -> None:
    verify(read_entry(path))


def prepared_faces(stage: PrepareFaces, context: Context) -> PreparedFaces:
    return read_prepared(entry_of(stage, context).path)


def translated_faces(stage: Translation, context: Context) -> tuple[np.ndarray, tuple[Face, ...]]:
    translated = read_translated(entry_of(stage, context).path)
    return translated.images, translated.faces


def write_faces(path: Path, listed: Sequence[Face]) -> None:
    write_table(path, [{"id": f.id, "subject": f.subject, "expression": f.expression, "pair": f.pair} for f in listed])


def write_table(path: Path, table: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(
            {name: cell(value) if isinstance(value, str) else value for name, value in row.items()} for row in table
        )
