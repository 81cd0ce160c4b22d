"""How the networks of a run were trained, as frames: a line a training, and their losses update by update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from nferbench.contract.printable import one_line
from nferbench_reports.networks import Network, networks_of
from nferbench_reports.results import Missing, Outcome
from nferbench_reports.runs import Run
from nferbench_reports.spent import Done
from nferbench_reports.stage_files import folder_of, missing_reason

FILE = "losses.csv"
UPDATE, RATE = "update", "lr"  # its columns that are no terms of a loss
LOSSES = ("record", "dataset", "network", "fold", "update", "term", "value")
TRAININGS = (
    "record",
    "dataset",
    "network",
    "fold",
    "rows",
    "state",
    "reason",
    "updates",
    "pairs",
    "parameters",
    "seconds",
    "at_least",
    "lr",
    "lr_first",
    "lr_last",
    "resumed",
    "resumed_at",
    "piece",
    "gpu_mb",
    "process_mb",
    "device",
    "first_losses",
    "last_losses",
)
_NUMBERS = ("seconds", "lr", "lr_first", "lr_last", "gpu_mb", "process_mb")
_COUNTS = ("fold", "updates", "pairs", "parameters", "piece")
_RATES = ("lr", "lr_generator")  # fields of recipes; of networks trained against each other, the fitted one's


@final
@dataclass(frozen=True)
class Training:
    """A network, and how its losses went."""

    network: Network
    log: Outcome  # columns update (from 1), the terms, and lr where it was logged; in the order of updates


def read_trainings(run: Run) -> tuple[Training, ...]:
    """The trainings of the networks behind all rows of a run, those of studies too; by network, then by fold."""
    networks = networks_of(run).each
    names = list(dict.fromkeys(one.name for one in networks))
    ordered = sorted(networks, key=lambda one: (names.index(one.name), -1 if (fold := one.fold()) is None else fold))
    return tuple(Training(one, _log(run, one)) for one in ordered)


def trainings(runs: Sequence[Run]) -> pd.DataFrame:
    """How the networks behind all rows, those of studies too, came about: a line a network and fold.

    Columns, in this order; NaN or "" where there is nothing to tell:
        record, dataset, network, fold (missing where a network serves several), rows (that it stands behind).
        state: "trained", "given" (it came fitted, nothing was trained) or "missing"; reason: why it is missing, as a
            run noted it, or why its losses cannot be shown.
        updates, pairs, parameters.
        seconds: of all attempts, as far as they are known; at_least: whether there were others.
        lr: learning rate as configured, the generator's where opponents have another; lr_first, lr_last: those of the
            first and last update in the log, which trainings by earlier versions have not.
        resumed: whether it was gone on with; resumed_at: the updates that were done then, joined by blanks.
        piece: pairs that were computed at a time; gpu_mb, process_mb: memory at most in megabytes, of a GPU, or of the
            whole process on a CPU; device.
        first_losses, last_losses: the terms at the first and the last update in the log, as "term value, …".
    """
    return trainings_frame([(run, read_trainings(run)) for run in runs])


def losses(runs: Sequence[Run]) -> pd.DataFrame:
    """The stored losses of the networks behind all rows, a line each update and term.

    Columns: record, dataset, network, fold (missing where a network serves several), update (from 1), term (of the
    loss, or "lr", the learning rate of that update), value.
    """
    return losses_frame([(run, read_trainings(run)) for run in runs])


def trainings_frame(found: Sequence[tuple[Run, Sequence[Training]]]) -> pd.DataFrame:
    """What `trainings` gives, of trainings that are read."""
    lines = [_line(run, training) for run, each in found for training in each]
    frame = pd.DataFrame(lines, columns=list(TRAININGS))
    return frame.astype(dict.fromkeys(_NUMBERS, float) | dict.fromkeys(_COUNTS, "Int64"))


def losses_frame(found: Sequence[tuple[Run, Sequence[Training]]]) -> pd.DataFrame:
    """What `losses` gives, of trainings that are read."""
    parts = [
        training.log.melt(UPDATE, var_name="term").dropna().assign(**_which(run, training.network))
        for run, each in found
        for training in each
        if not isinstance(training.log, Missing)
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return frame.reindex(columns=list(LOSSES)).astype({"fold": "Int64", "update": int, "value": float})


def _log(run: Run, network: Network) -> Outcome:
    if isinstance(network.done, Missing):
        return network.done
    if not network.done.trained():
        return Missing("nothing was trained: its weights were given")
    folder = folder_of(run.workspace, network.entry)
    if not (folder / FILE).is_file():
        return Missing(f"no {FILE} is there; bundles leave it out")
    if reason := missing_reason(run.workspace, network.entry, FILE):
        return Missing(reason)
    strange = Missing(f"{folder.name}/{FILE} is no log of losses")
    try:
        log = pd.read_csv(folder / FILE, dtype=float).rename(columns=one_line)
    except (OSError, ValueError):  # pandas' parser errors are ValueErrors
        return strange
    if UPDATE not in log or log.empty or log.columns.duplicated().any() or not np.isfinite(log[UPDATE]).all():
        return strange
    ordered: pd.DataFrame = log.astype({UPDATE: int}).sort_values(UPDATE, ignore_index=True)
    return ordered


def _which(run: Run, network: Network) -> dict[str, Any]:
    return {
        "record": run.name,
        "dataset": run.record.protocol.dataset,
        "network": network.name,
        "fold": network.fold(),
    }


def _line(run: Run, training: Training) -> dict[str, Any]:
    network = training.network
    line = {
        **_which(run, network),
        "rows": ", ".join(network.rows()),
        "at_least": False,
        "resumed": False,
        **dict.fromkeys(("reason", "resumed_at", "device", "first_losses", "last_losses"), ""),
    }
    if isinstance(network.done, Missing):
        return {**line, "state": "missing", "reason": network.done.reason}
    line["parameters"] = network.done.result.parameters
    if not network.done.trained():
        return {**line, "state": "given"}
    told = {"reason": training.log.reason} if isinstance(training.log, Missing) else _ends(training.log)
    return {**line, "state": "trained", **_told(network.done), **told}


def _told(done: Done) -> dict[str, Any]:
    """What a training says of itself."""
    cost, made, result = done.cost, done.made_with, done.result
    return {
        "updates": result.updates,
        "pairs": result.pairs,
        "seconds": cost.total() if cost else None,
        "at_least": cost is not None and cost.at_least(),
        "lr": _configured(done.description.recipe or {}),
        "resumed": (cost is not None and cost.resumed) or bool(result.resumed_at),
        "resumed_at": " ".join(map(str, result.resumed_at)),
        "piece": made.piece,
        "gpu_mb": None if made.peak_bytes is None else made.peak_bytes / 1e6,
        "process_mb": None if made.peak_resident_bytes is None else made.peak_resident_bytes / 1e6,
        "device": made.device,
    }


def _configured(recipe: Mapping[str, Any]) -> float | None:
    values = [recipe.get(name) for name in _RATES]
    return next((float(value) for value in values if isinstance(value, int | float)), None)


def _ends(log: pd.DataFrame) -> dict[str, Any]:
    """The first and the last line of a log."""
    first, last = log.iloc[0], log.iloc[-1]
    rates = {} if RATE not in log else {"lr_first": first[RATE], "lr_last": last[RATE]}
    return {**rates, "first_losses": _terms(first), "last_losses": _terms(last)}


def _terms(line: pd.Series) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in line.items() if name not in (UPDATE, RATE))
