"""What a report needs to know of a run: which stages stand behind which row. Written before the first stage starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nferbench import __version__
from nferbench.contract.values import describe, digest
from nferbench.planning.plan import RowStages, Work
from nferbench.planning.settings import Settings
from nferbench.workspace.files import file_name, write_json
from nferbench.workspace.stages import Stage, key
from nferbench.workspace.store import Store


def write_record(work: Work, store: Store, command: str, stamps: Sequence[str] = ()) -> str:
    """Write or extend the record of a protocol; rows of earlier runs under the same protocol stay.

    Args:
        work: the run.
        store: of the workspace.
        command: as typed.
        stamps: footnotes that every row shall carry, beside its own.

    Returns:
        The name of the record under <workspace>/records/.
    """
    settings = work.settings
    protocol = {
        "dataset": settings.dataset.name,
        "dataset_title": settings.dataset.title,
        "extra": settings.extra.name if settings.extra else None,
        "extra_title": settings.extra.title if settings.extra else None,
        "preset": settings.preset,
        "size": settings.size,
        "folds": len(work.rows[0].folds),
        "seed": settings.seed,
        "fer": settings.fer.name,
        "fer_title": settings.fer.title,
        "classes": list(work.classes),
        "subjects": work.subjects,
        "pairs": work.pairs,
        "splits": work.splits,
    }
    identity = [protocol, key(work.faces), key(work.extra) if work.extra else None, describe(settings.fer)]
    name = f"{file_name(settings.dataset.name)}-{file_name(settings.preset)}-{digest(identity)[:8]}"
    path = store.workspace / "records" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [_row(row, store, stamps) for row in work.rows]
    mine = {row["name"] for row in rows}
    kept = [row for row in _earlier(path) if row["name"] not in mine]
    record = {
        "version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "nferbench": __version__,
        # These two are no part of the identity: the keys and the splits say more.
        "protocol": {**protocol, "crop": _crop(settings), "division": work.division},
        "faces": _reference(work.faces, store),
        "extra_faces": _reference(work.extra, store),
        "rows": [*rows, *kept],
    }
    write_json(path, record)
    return name


def _crop(settings: Settings) -> str:
    """How faces were found and cropped."""
    found = f", found by {settings.detector.title}" if settings.detector else ""
    smooth = ", one square a sequence" if settings.smooth else ""
    return f"{settings.crop}{found}{smooth}" + (", NIR registered on VIS" if settings.register else "")


def _earlier(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text("utf-8"))["rows"]
        return [row for row in rows if isinstance(row, dict) and "name" in row]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _row(row: RowStages, store: Store, stamps: Sequence[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "group": row.group,
        "heterogeneous": row.heterogeneous,
        "tables": list(row.tables),
        "stamps": [*row.stamps, *stamps],
        "folds": [
            {
                "fold": cell.fold,
                "translation": _reference(cell.translation, store),
                "quality": _reference(cell.quality, store),
                "fer": _reference(cell.recognition, store),
            }
            for cell in row.folds
        ],
    }


def _reference(stage: Stage | None, store: Store) -> dict[str, str] | None:
    if stage is None:
        return None
    return {"key": key(stage), "path": store.path(stage).relative_to(store.workspace).as_posix()}
