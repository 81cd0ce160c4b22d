"""The networks behind the rows of a run, and which rows share them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import final

from nferbench_reports.record import Entry, FoldEntries, Protocol
from nferbench_reports.results import Missing
from nferbench_reports.runs import Run
from nferbench_reports.spent import Done, read_done

Use = tuple[str, int]  # the name of a row, and a fold


@final
@dataclass(frozen=True)
class Network:
    """One fitted network, or the place of one."""

    name: str  # as in lists of work, without data set and fold; numbered from the second recipe of a name
    entry: Entry
    uses: tuple[Use, ...]  # in the order of the record
    done: Done | Missing

    def rows(self) -> tuple[str, ...]:
        """The rows that it stands behind, those of studies too."""
        return tuple(dict.fromkeys(row for row, _ in self.uses))

    def fold(self) -> int | None:
        """The fold that it was fitted for; None where it serves more than one."""
        folds = {fold for _, fold in self.uses}
        return folds.pop() if len(folds) == 1 else None


@final
@dataclass(frozen=True)
class Networks:
    """All networks of a run."""

    each: tuple[Network, ...]
    unknown: frozenset[Use]  # folds of rows of which nothing says what networks they need

    def of(self, row: str, fold: int) -> tuple[Network, ...] | None:
        """Those behind a fold of a row; None where they are not known."""
        use = (row, fold)
        return None if use in self.unknown else tuple(one for one in self.each if use in one.uses)


def networks_of(run: Run) -> Networks:
    """Find the networks behind all rows of a run.

    Records list what a fold needs. Of records of earlier versions, which do not, the finished translations say it.
    """
    entries: dict[str, Entry] = {}
    uses: dict[str, list[Use]] = {}
    unknown: set[Use] = set()
    for row in run.record.rows:
        for fold in row.folds:
            use = (row.name, fold.fold)
            needed = _needed(run, fold)
            if needed is None:
                unknown.add(use)
            for entry in needed or ():
                entries.setdefault(entry.key, entry)
                uses.setdefault(entry.key, []).append(use)
    done = {key: read_done(run.workspace, entry) for key, entry in entries.items()}
    labels = {key: _label(run.record.protocol, entries[key], done[key]) for key in entries}
    names = _told_apart(labels, uses, done)
    return Networks(
        tuple(Network(names[key], entries[key], tuple(uses[key]), done[key]) for key in entries), frozenset(unknown)
    )


def _needed(run: Run, fold: FoldEntries) -> list[Entry] | None:
    if fold.needs:
        return [entry for entry in fold.needs if PurePosixPath(entry.path).parts[0] == "networks"]
    if fold.translation is None:
        return None
    translation = read_done(run.workspace, fold.translation)
    if isinstance(translation, Missing):
        return None
    faces = {entry.key for entry in (run.record.faces, run.record.extra_faces) if entry is not None}
    return [Entry(key=key, path=f"networks/{key}") for key in translation.description.needs if key not in faces]


def _label(protocol: Protocol, entry: Entry, done: Done | Missing) -> str:
    stored = PurePosixPath(entry.path).name.removesuffix(entry.key[:12]).rstrip("-")
    label = "" if isinstance(done, Missing) else done.label()
    role = re.sub(r"-fold\d+$", "", label or stored)
    for dataset in (protocol.dataset, protocol.dataset.removesuffix(f"-{protocol.place or 'drawn'}")):
        role = role.removesuffix(f"-{dataset}")
    return role if role and role != entry.key else "network"


def _told_apart(
    labels: Mapping[str, str], uses: Mapping[str, Sequence[Use]], done: Mapping[str, Done | Missing]
) -> dict[str, str]:
    """A name for each network, the same for those of one label and one recipe."""
    recipes = {key: _recipe(stage) for key, stage in done.items()}
    by_row = {(labels[key], row): recipe for key, recipe in recipes.items() if recipe for row, _ in uses[key]}
    known: dict[str, dict[str, None]] = {}
    for key, label in labels.items():
        recipes[key] = recipes[key] or next((by_row[label, row] for row, _ in uses[key] if (label, row) in by_row), "")
        known.setdefault(label, {}).setdefault(recipes[key])
    places = {(label, recipe): place for label, mine in known.items() for place, recipe in enumerate(mine, start=1)}
    return {
        key: label if (place := places[label, recipes[key]]) == 1 else f"{label} ({place})"
        for key, label in labels.items()
    }


def _recipe(done: Done | Missing) -> str:
    if isinstance(done, Missing) or done.description.recipe is None:
        return ""
    return json.dumps(done.description.recipe, sort_keys=True)
