"""A method of a workspace as it was fitted: the stages behind a row of a record, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import UsageError, unknown
from nferbench.planning.code import has_changed
from nferbench.planning.named_records import ALL, records_named
from nferbench.planning.plugins import Plugins
from nferbench.planning.restoring import classes_of, restored_translation
from nferbench.workspace.recorded import Recorded, RecordedRow
from nferbench.workspace.stages import PrepareFaces, Translate
from nferbench.workspace.store import Store


@final
@dataclass(frozen=True)
class FittedRow:
    """A row whose networks are fitted on some folds at least."""

    name: str
    record: str
    folds: Mapping[int, Translate]  # of each fitted fold, the translation of its test faces
    open: tuple[int, ...]  # folds that are not

    @property
    def fitted_on_people(self) -> bool:
        """Whether it matters which fold is taken: it does not where the method has no networks."""
        return any(each.networks for each in self.folds.values())

    @property
    def faces(self) -> PrepareFaces:
        """What its networks were fitted on."""
        return next(iter(self.folds.values())).source


def by_other_code(row: FittedRow, store: Store) -> bool:
    """Whether networks of a row were fitted by other code of its method than there is now."""
    fitted = {need for each in row.folds.values() for need in each.networks}
    made = {need: entry.info.get("made_with", {}) for need in fitted if (entry := store.find(need)) is not None}
    return any(has_changed(need, each.get("code")) for need, each in made.items())


def fitted_row(name: str, record: str | None, plugins: Plugins, store: Store) -> FittedRow:
    """The row of a name.

    Args:
        name: of the row.
        record: that it is a row of; None where one record alone has it.
        plugins: all that is registered.
        store: of the workspace.

    Raises:
        UsageError: there is none, it is in several records, it translates nothing or no fold of it is fitted; and as
            `records_named` and `restored_translation`, which also raise DataError.
    """
    records = records_named(record or ALL, store)
    found = [(each, row) for each in records for row in each.rows if row.name == name]
    if not found:
        rows = dict.fromkeys(row.name for each in records for row in each.rows if _places(row))
        raise unknown("row", name, rows, f"nferbench status --workspace {store.workspace}")
    if len(found) > 1:
        names = ", ".join(each.name for each, _ in found)
        raise UsageError(f"row '{name}' is in {len(found)} records; choose one with --record: {names}")
    return _fitted(*found[0], plugins, store)


def _fitted(record: Recorded, row: RecordedRow, plugins: Plugins, store: Store) -> FittedRow:
    places = _places(row)
    if not places:
        raise UsageError(f"row '{row.name}' of {record.name} translates nothing; name one of a method")
    there = {fold: store.workspace / place for fold, place in places.items() if (store.workspace / place).is_dir()}
    if not there:
        raise UsageError(f"no fold of row '{row.name}' of {record.name} is done; start its run again")
    labels = {"name": row.name, "title": str(row.content.get("title", row.name))}
    protocol, classes = record.content["protocol"], classes_of(plugins)
    dataset = str(protocol.get("dataset"))
    named = {"name": dataset, "title": str(protocol.get("dataset_title", dataset))}
    folds = {fold: restored_translation(path, classes, store, labels, named) for fold, path in there.items()}
    return FittedRow(row.name, record.name, folds, tuple(fold for fold in places if fold not in there))


def _places(row: RecordedRow) -> dict[int, Path]:
    """Where the translations of the test faces lie below the workspace, by fold; none of a reference."""
    named = {int(cell["fold"]): cell.get("translation") for cell in row.content["folds"]}
    return {fold: Path(row.stages[each["key"]]) for fold, each in named.items() if each}
