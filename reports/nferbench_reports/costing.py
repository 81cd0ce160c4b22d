"""What each row of a run costs, as a frame: training, translation, memory, and what it measured for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from nferbench_reports.naming import record_name
from nferbench_reports.networks import Network, Networks, networks_of
from nferbench_reports.records import Entry, FoldEntries
from nferbench_reports.results import Missing, Results
from nferbench_reports.runs import Run
from nferbench_reports.spent import Done, read_done
from nferbench_reports.tables import cells, comparison_columns

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

Whole = Done | Missing


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


def _lines(run: Run) -> list[dict[str, Any]]:
    networks = networks_of(run)
    return [_line(run, results, networks) for results in run.tabled()]


def _line(run: Run, results: Results, networks: Networks) -> dict[str, Any]:
    row = results.row
    costly = row.folds if row.group in TRANSLATING else ()
    trained = {fold.fold: _trained(networks.of(row.name, fold.fold)) for fold in costly}
    translated = {fold.fold: _finished(run.workspace, fold.translation) for fold in costly}
    recognised = {fold.fold: _all_of(run.workspace, fold) for fold in row.folds if fold.fer is not None}
    whole = [each for each in trained.values() if not isinstance(each, Missing)]
    mine = {one.entry.key: one for each in whole for one in each}
    own = {key for key, one in mine.items() if one.rows() == (row.name,)}
    rates = [_rate(one) for one in translated.values()]
    known = [rate for rate in rates if not isinstance(rate, Missing)]
    evaluations = [sum(asked.values()) for one in translated.values() if (asked := _asked(one)) is not None]
    recogniser = [fmean(_seconds(one) for one in each) for each in recognised.values() if not isinstance(each, Missing)]
    stages = [*(_done(one) for one in mine.values()), *(one for one in translated.values() if isinstance(one, Done))]
    tests = [one for each in recognised.values() if not isinstance(each, Missing) for one in each]
    others = {name for key, one in mine.items() if key not in own for name in one.rows()} - {row.name}
    counted = {
        "training_folds": len(whole),
        "translation_folds": len(known),
        "evaluations_folds": len(evaluations),
    }
    return {
        "record": record_name(run.file),
        "dataset": run.record.protocol.dataset,
        "method": row.name,
        "title": row.title,
        "group": row.group,
        "networks": ", ".join(dict.fromkeys(one.name for one in mine.values())),
        "own_seconds": _mean([sum(_training(one) for one in each if one.entry.key in own) for each in whole]),
        "shared_seconds": _mean([sum(_training(one) for one in each if one.entry.key not in own) for each in whole]),
        "shared_with": len(others) if whole else None,
        "at_least": any(one.cost.at_least() for one in (*map(_done, mine.values()), *tests) if one.cost),
        "parameters": _parameters(whole),
        "seconds_a_face": _mean(known),
        "evaluations_a_face": _mean(evaluations),
        **_memory("training", [_done(one) for one in mine.values() if not _done(one).given()]),
        **_memory("translation", [one for one in translated.values() if isinstance(one, Done)]),
        "recogniser_seconds": _mean(recogniser),
        "devices": ", ".join(dict.fromkeys(one.made_with.device for one in (*stages, *tests) if one.made_with.device)),
        **_measured(run, results),
        "folds": run.record.protocol.folds,
        **dict.fromkeys(("training_folds", "translation_folds", "evaluations_folds")),
        **(counted if costly else {}),
        "recogniser_folds": len(recogniser) if recognised else None,
        "reason": _reason((*trained.values(), *rates, *recognised.values())),
    }


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


def _finished(workspace: Path, entry: Entry | None) -> Whole:
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


def _training(network: Network) -> float:
    """Seconds of the training of a network; none of one that came fitted."""
    done = _done(network)
    return 0.0 if done.given() else _seconds(done)


def _seconds(done: Done) -> float:
    return done.cost.total() if done.cost else 0.0


def _rate(done: Whole) -> float | Missing:
    """Seconds a face of a translation."""
    if isinstance(done, Missing):
        return done
    rate = done.cost.rate() if done.cost else None
    return (
        Missing(f"{done.stage or done.key} does not say for how many faces its seconds are") if rate is None else rate
    )


def _asked(done: Whole) -> Mapping[str, float] | None:
    return None if isinstance(done, Missing) else done.result.evaluations


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _parameters(folds: Sequence[Sequence[Network]]) -> int | None:
    """Of the networks of the first fold that has any; recipes are those of every fold."""
    if not folds:
        return None
    counts = [_done(one).result.parameters for one in folds[0]]
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


def _reason(results: Iterable[object]) -> str:
    return next((one.reason for one in results if isinstance(one, Missing)), "")
