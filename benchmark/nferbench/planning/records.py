"""What a report needs to know of a run: which stages stand behind which row. Written once the run is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nferbench import __version__
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.contract.values import describe, digest
from nferbench.planning.plan import GIVEN, FoldStages, RowStages, Work
from nferbench.planning.settings import Settings
from nferbench.planning.studies import Varied, rest
from nferbench.workspace.files import file_name, read_json, write_json
from nferbench.workspace.locks import turn
from nferbench.workspace.measured import with_measured
from nferbench.workspace.stages import Stage, Translate, key
from nferbench.workspace.store import Store


def write_record(work: Work, store: Store, command: str, stamps: Sequence[str] = (), place: Path | None = None) -> str:
    """Write or extend the record of a protocol; rows of other runs under the same protocol stay, at once or earlier.

    Args:
        work: the run.
        store: of the workspace.
        command: as typed.
        stamps: footnotes that every row shall carry, beside its own.
        place: where the data set lies; None for one that lies nowhere. Two sets of one name are told apart by it.

    Returns:
        The name of the record under <workspace>/records/.

    Raises:
        UsageError: something else than a file or a folder is in its place; a row of a method would take the place of
            images by others, or they its place.
        HeldError: another run that does not move on is changing it.
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
    if settings.fer_seeds > 1:  # records of one keep the name that they had before there could be more
        identity.append(settings.fer_seeds)
    name = f"{file_name(settings.dataset.name)}-{file_name(settings.preset)}-{digest(identity)[:8]}"
    path = store.workspace / "records" / f"{name}.json"
    rows = [_row(row, store, stamps) for row in work.rows]
    mine = {row["name"] for row in rows}
    record = {
        "version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "nferbench": __version__,
        # The last four are no part of the identity: the keys and the splits say more.
        "protocol": {
            **protocol,
            "fer_seeds": settings.fer_seeds,
            "crop": _crop(settings),
            "division": work.division,
            "without_extra": settings.without_extra,
            "place": digest(str(place))[:8] if place else "",
        },
        "faces": _reference(work.faces, store),
        "extra_faces": _reference(work.extra, store),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with turn(store.workspace / "locks" / f"record-{name}", f"record {name}"):
            earlier = _earlier(path)
            _check_names(rows, earlier, name)
            before = {row["name"]: row for row in earlier}
            measured = [with_measured(row, before.get(row["name"], {})) for row in rows]
            kept = [row for other, row in before.items() if other not in mine]
            write_json(path, {**record, "rows": [*measured, *kept]})
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError(
            f"the record cannot be written: {error.filename2 or error.filename} is in its place; move it away"
        ) from None
    return name


def _crop(settings: Settings) -> str:
    """How faces were found and cropped."""
    found = f", found by {settings.detector.title}" if settings.detector else ""
    smooth = ", one square a sequence" if settings.smooth else ""
    return f"{settings.crop}{found}{smooth}" + (", NIR registered on VIS" if settings.register else "")


def _earlier(path: Path) -> list[dict[str, Any]]:
    try:
        rows = read_json(path).get("rows")
    except (FileNotFoundError, DataError):
        return []
    return [row for row in rows if isinstance(row, dict) and "name" in row] if isinstance(rows, list) else []


def _check_names(rows: Sequence[dict[str, Any]], earlier: Sequence[dict[str, Any]], record: str) -> None:
    given = {row["name"]: row["group"] == GIVEN for row in rows}
    for row in earlier:
        name, was_given = row["name"], row.get("group") == GIVEN
        if given.get(name, was_given) != was_given:
            told = "images by others" if was_given else "a method"
            raise UsageError(
                f"row '{one_line(str(name))}' of record {record} is {told}; "
                + (f"nferbench prune --rows {name} removes it" if was_given else "give the images another NAME")
            )


def _row(row: RowStages, store: Store, stamps: Sequence[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "group": row.group,
        "heterogeneous": row.heterogeneous,
        "tables": list(row.tables),
        "stamps": [*row.stamps, *stamps],
        **({"study": _place(row, row.varied)} if row.varied else {}),
        **({"metrics": metrics} if (metrics := _metrics(row)) else {}),
        "folds": [_fold(cell, store) for cell in row.folds],
    }


def _metrics(row: RowStages) -> list[dict[str, Any]]:
    """What a report must know of the metrics of a row; two of one identity measure the same."""
    metrics = dict.fromkeys(measure.metric for cell in row.folds for measure in cell.measures)
    return [
        {
            "name": metric.name,
            "title": metric.title,
            "better": metric.better,
            "decimals": metric.decimals,
            "lacking": metric.lacking,
            "note": metric.note,
            "identity": digest(describe(metric))[:16],
        }
        for metric in metrics
    ]


def _place(row: RowStages, varied: Varied) -> dict[str, Any]:
    translations = [cell.translation for cell in row.folds]
    (rests,) = {rest(each.translator, varied.field) for each in translations if isinstance(each, Translate)}
    return {**asdict(varied), "rest": rests}


def _fold(cell: FoldStages, store: Store) -> dict[str, Any]:
    first, *repeats = cell.recognition or (None,)
    results = (cell.translation, cell.quality, *cell.measures, *cell.recognition)
    shown = [stage for stage in results if stage is not None]
    fold: dict[str, Any] = {
        "fold": cell.fold,
        "translation": _reference(cell.translation, store),
        "quality": _reference(cell.quality, store),
        "fer": _reference(first, store),
        # What is not done yet cannot say what it needs, and `prune` must not take that away.
        "needs": [_reference(stage, store) for stage in _behind(shown)],
    }
    if cell.measures:
        fold["metrics"] = [{"name": each.metric.name, **_stored(each, store)} for each in cell.measures]
    if repeats:
        fold["fer_repeats"] = [_stored(each, store) for each in repeats]
    return fold


def _behind(shown: Sequence[Stage]) -> list[Stage]:
    """All stages that these need, directly or not, each once and none of these."""
    found: dict[Stage, None] = {}
    left = list(shown)
    while left:
        needs = left.pop().needs()
        left += [need for need in needs if need not in found]
        found |= dict.fromkeys(needs)
    return [stage for stage in found if stage not in shown]


def _reference(stage: Stage | None, store: Store) -> dict[str, str] | None:
    return None if stage is None else _stored(stage, store)


def _stored(stage: Stage, store: Store) -> dict[str, str]:
    return {"key": key(stage), "path": store.path(stage).relative_to(store.workspace).as_posix()}
