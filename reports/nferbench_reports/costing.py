"""What each row of a run costs, as a frame: training, translation, memory, and what it measured for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, final

import pandas as pd

from nferbench_reports.columns import comparison_columns
from nferbench_reports.networks import Network, Networks, networks_of
from nferbench_reports.record import Entry, FoldEntries
from nferbench_reports.results import Missing, Results
from nferbench_reports.runs import Run
from nferbench_reports.spent import Done, read_done
from nferbench_reports.table_cells import cells

COSTS = (
    "own_seconds",
    "shared_seconds",
    "seconds_a_face",
    "evaluations_a_face",
    "training_gpu_mb",
    "training_process_mb",
    "translation_gpu_mb",
    "translation_process_mb",
    "recogniser_seconds",
)
_COUNTS = (
    "shared_with",
    "parameters",
    "training_folds",
    "translation_folds",
    "evaluations_folds",
    "recogniser_folds",
)
COLUMNS = (
    "record",
    "dataset",
    "method",
    "title",
    "group",
    "networks",
    "own_seconds",
    "shared_seconds",
    "shared_with",
    "at_least",
    "parameters",
    "seconds_a_face",
    "evaluations_a_face",
    "training_gpu_mb",
    "training_process_mb",
    "translation_gpu_mb",
    "translation_process_mb",
    "recogniser_seconds",
    "devices",
    "accuracy",
    "lpips",
    "folds",
    "training_folds",
    "translation_folds",
    "evaluations_folds",
    "recogniser_folds",
    "accuracy_folds",
    "lpips_folds",
    "reason",
)
_METRICS = ("accuracy", "lpips")
TRANSLATING = ("gan", "diffusion")  # groups of rows that have costs of their own


def costs(runs: Sequence[Run]) -> pd.DataFrame:
    """What the rows of tables cost, a line each; NaN where a number is not known or does not apply.

    Columns, in this order:
        record, dataset, method, title, group: which row it is.
        networks: their names, joined by ", ".
        own_seconds, shared_seconds: of trainings a fold, of the networks that this row alone of its record uses, and of
            those that others use too.
        shared_with: how many other rows of the record, those of studies included, use one of the latter.
        at_least: whether a training, of the recogniser too, took longer than that: what its earlier attempts took is
            not known.
        parameters: of all its networks.
        seconds_a_face, evaluations_a_face: of the test faces; evaluations of all networks together, rows of a batch
            each.
        training_gpu_mb, translation_gpu_mb: the largest memory of a GPU that a stage took, in megabytes; ..._process_mb
            that of the whole process on a CPU.
        recogniser_seconds: of one training of the recogniser.
        devices: all that its stages were done on, joined by ", ".
        accuracy, lpips: as in the tables, accuracy in percent.
        folds: of the protocol; training_folds, translation_folds, evaluations_folds, recogniser_folds, accuracy_folds,
            lpips_folds: how many of them stand behind the numbers, missing where they do not apply. Seconds and
            evaluations are means over those.
        reason: why folds are missing, the first that is known; "" where none is.

    Rows that translate nothing themselves (references, images by others, no translation) have costs of recognition
    alone.
    """
    lines = [line for run in runs for line in _lines(run)]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys((*COSTS, *_METRICS), float) | dict.fromkeys(_COUNTS, "Int64"))


@final
@dataclass(frozen=True)
class _Part:
    """What is told of one kind of work behind a row."""

    said: Mapping[str, Any]  # by column
    stages: tuple[Done, ...]
    missing: tuple[Missing, ...]


def _lines(run: Run) -> list[dict[str, Any]]:
    networks = networks_of(run)
    return [_line(run, results, networks) for results in run.tabled()]


def _line(run: Run, results: Results, networks: Networks) -> dict[str, Any]:
    row = results.row
    parts = []
    if row.group in TRANSLATING:
        behind = [_trained(networks.of(row.name, fold.fold)) for fold in row.folds]
        translated = [_finished(run.workspace, fold.translation) for fold in row.folds]
        parts += [_training(row.name, behind), _translation(translated)]
    if recognised := [_all_of(run.workspace, fold) for fold in row.folds if fold.fer is not None]:
        parts.append(_recognition(recognised))
    devices = dict.fromkeys(one.made_with.device for part in parts for one in part.stages if one.made_with.device)
    return {
        "record": run.name,
        "dataset": run.record.protocol.dataset,
        "method": row.name,
        "title": row.title,
        "group": row.group,
        "networks": "",
        **{column: value for part in parts for column, value in part.said.items()},
        "at_least": any(part.said.get("at_least") for part in parts),
        "devices": ", ".join(devices),
        **_measured(run, results),
        "folds": run.record.protocol.folds,
        "reason": next((one.reason for part in parts for one in part.missing), ""),
    }


def _training(row: str, folds: Sequence[Sequence[Network] | Missing]) -> _Part:
    """Of the networks behind a row, fold by fold."""
    whole = [each for each in folds if not isinstance(each, Missing)]
    mine = {one.entry.key: one for each in whole for one in each}
    own = {key for key, one in mine.items() if one.rows() == (row,)}
    others = {name for key, one in mine.items() if key not in own for name in one.rows()} - {row}
    stages = tuple(_done(one) for one in mine.values())
    said = {
        "networks": ", ".join(dict.fromkeys(one.name for one in mine.values())),
        "own_seconds": _mean([sum(_seconds(one) for one in each if one.entry.key in own) for each in whole]),
        "shared_seconds": _mean([sum(_seconds(one) for one in each if one.entry.key not in own) for each in whole]),
        "shared_with": len(others) if whole else None,
        "at_least": _at_least(stages),
        "parameters": _parameters(whole[0]) if whole else None,  # folds differ in weights alone
        **_memory("training", [one for one in stages if one.trained()]),
        "training_folds": len(whole),
    }
    return _Part(said, stages, _missing(folds))


def _translation(folds: Sequence[Done | Missing]) -> _Part:
    """Of the test faces, fold by fold."""
    stages = tuple(one for one in folds if isinstance(one, Done))
    rates = [one if isinstance(one, Missing) else _rate(one) for one in folds]
    known = [rate for rate in rates if not isinstance(rate, Missing)]
    asked = [sum(one.result.evaluations.values()) for one in stages if one.result.evaluations is not None]
    said = {
        "seconds_a_face": _mean(known),
        "evaluations_a_face": _mean(asked),
        **_memory("translation", stages),
        "translation_folds": len(known),
        "evaluations_folds": len(asked),
    }
    return _Part(said, stages, _missing(rates))


def _recognition(folds: Sequence[Sequence[Done] | Missing]) -> _Part:
    """Of the trainings of the recogniser, fold by fold."""
    whole = [each for each in folds if not isinstance(each, Missing)]
    stages = tuple(one for each in whole for one in each)
    said = {
        "recogniser_seconds": _mean([fmean(one.cost.total() for one in each if one.cost) for each in whole]),
        "at_least": _at_least(stages),
        "recogniser_folds": len(whole),
    }
    return _Part(said, stages, _missing(folds))


def _trained(networks: Sequence[Network] | None) -> Sequence[Network] | Missing:
    """The networks of a fold, of which each is there and says what it took."""
    if networks is None:
        return Missing("its translation is not there to say what networks it needs")
    for one in networks:
        if isinstance(one.done, Missing):
            return one.done
        if one.done.cost is None:
            return Missing(f"{one.done.stage} does not say what it took")
    return networks


def _finished(workspace: Path, entry: Entry | None) -> Done | Missing:
    return Missing("not translated") if entry is None else read_done(workspace, entry)


def _all_of(workspace: Path, fold: FoldEntries) -> Sequence[Done] | Missing:
    """All trainings of the recogniser on a fold; a mean over those that happen to be there is another number."""
    stages = [read_done(workspace, entry) for entry in fold.trainings()]
    done = [one for one in stages if isinstance(one, Done)]
    if missing := [one for one in stages if isinstance(one, Missing)]:
        return missing[0]
    if unknown := [one for one in done if one.cost is None]:
        return Missing(f"{unknown[0].stage or unknown[0].key} does not say what it took")
    return done


def _done(network: Network) -> Done:
    if isinstance(network.done, Missing):
        raise ValueError(network.done.reason)
    return network.done


def _seconds(network: Network) -> float:
    """Of the training of a network; none of one that came fitted."""
    done = _done(network)
    return done.cost.total() if done.cost and done.trained() else 0.0


def _rate(done: Done) -> float | Missing:
    """Seconds a face of a translation."""
    rate = done.cost.rate() if done.cost else None
    unknown = Missing(f"{done.stage or done.key} does not say for how many faces its seconds are")
    return unknown if rate is None else rate


def _at_least(trainings: Sequence[Done]) -> bool:
    return any(one.cost.at_least() for one in trainings if one.cost)


def _missing(results: Sequence[object]) -> tuple[Missing, ...]:
    return tuple(one for one in results if isinstance(one, Missing))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _parameters(networks: Sequence[Network]) -> int | None:
    counts = [_done(one).result.parameters for one in networks]
    return None if None in counts else sum(count for count in counts if count is not None)


def _memory(what: str, stages: Sequence[Done]) -> dict[str, float | None]:
    peaks = {
        "gpu": [one.made_with.peak_bytes for one in stages],
        "process": [one.made_with.peak_resident_bytes for one in stages],
    }
    return {
        f"{what}_{kind}_mb": max((each / 1e6 for each in found if each is not None), default=None)
        for kind, found in peaks.items()
    }


def _measured(run: Run, results: Results) -> dict[str, Any]:
    columns = [one for one in comparison_columns(run.record.protocol, "standard") if one.metric in _METRICS]
    said: dict[str, Any] = {}
    for column, cell in zip(columns, cells(run.record, results, columns), strict=True):
        said |= {column.metric: cell and cell.pooled, f"{column.metric}_folds": len(cell.folds) if cell else 0}
    return said
