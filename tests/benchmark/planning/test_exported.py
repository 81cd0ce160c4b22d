"""Which stored translations of a record are exported, test faces and extra set."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspaces import Made, Reference

from nferbench.contract.errors import DataError, UsageError
from nferbench.planning.exported import having, shown
from nferbench.planning.named_records import records_named
from nferbench.workspace.store import Store


def workspace(root: Path, *, complete: bool = True) -> Store:
    """A row "alpha" whose recognisers need a translated extra set, on two folds, and a reference."""
    made = Made(root)
    faces = made.stage("faces", "tiny")
    cells: list[dict[str, Reference | list[Reference] | None]] = []
    for fold in (0, 1):
        test = made.stage("translations", f"alpha-test{fold}", faces)
        extra = made.stage("translations", f"alpha-extra{fold}", faces)
        fer = made.stage("recognition", f"alpha{fold}", faces, extra)
        cells.append({"translation": test, "fer": fer} | ({"needs": [faces, extra]} if complete else {}))
    made.record([made.row("alpha", cells), made.row("nir-only", [{}, {}])], faces, "one")
    made.record([made.row("beta", [{"translation": made.named("translations", "beta-test0", faces)}])], faces, "two")
    return Store(root)


def labels(store: Store, part: str, **named: tuple[str | int, ...]) -> list[tuple[str, int, str]]:
    (record,) = records_named("one", store)
    found = shown(record, named.get("rows", ()), named.get("folds", ()), part, store)  # type: ignore[arg-type]
    return [(cell.row, cell.fold, str(cell.entry.info["description"]["label"])) for cell in found.cells]


@pytest.mark.parametrize("complete", [True, False])  # records of earlier versions name what they show alone
def test_a_part_of_each_row_and_fold_is_found(tmp_path: Path, complete: bool) -> None:
    store = workspace(tmp_path, complete=complete)
    assert labels(store, "test") == [("alpha", 0, "alpha-test0"), ("alpha", 1, "alpha-test1")]
    assert labels(store, "extra") == [("alpha", 0, "alpha-extra0"), ("alpha", 1, "alpha-extra1")]
    assert labels(store, "extra", folds=(1,)) == [("alpha", 1, "alpha-extra1")]


def test_rows_choose_records_and_must_be_in_one(tmp_path: Path) -> None:
    records = records_named("all", workspace(tmp_path))
    assert [record.name for record in having(records, ())] == ["one", "two"]
    assert [record.name for record in having(records, ("beta",))] == ["two"]
    with pytest.raises(UsageError, match="unknown row 'bet'; did you mean 'beta'"):
        having(records, ("alpha", "bet"))


def test_what_is_not_done_or_translates_nothing_is_refused(tmp_path: Path) -> None:
    store = workspace(tmp_path)
    (two,) = records_named("two", store)
    with pytest.raises(UsageError, match="two has no finished translation of the test faces"):
        shown(two, (), (), "test", store)
    with pytest.raises(UsageError, match="row 'beta' of two: fold 0 of the test faces is not done"):
        shown(two, ("beta",), (), "test", store)
    with pytest.raises(UsageError, match="row 'nir-only' of one has no translation of the extra set"):
        labels(store, "extra", rows=("nir-only",))


def test_a_translation_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    store = workspace(tmp_path)
    one, other = (next((tmp_path / "translations").glob(f"alpha-{name}-*")) for name in ("test0", "test1"))
    aside = one.rename(tmp_path / "aside")
    other.rename(one)
    aside.rename(other)
    with pytest.raises(DataError, match="holds the results of another stage"):
        labels(store, "test")


def test_a_record_that_cannot_be_read_is_named_where_it_is_wanted(tmp_path: Path) -> None:
    store = workspace(tmp_path)
    (tmp_path / "records" / "two.json").write_text("{")
    assert [record.name for record in records_named("one", store)] == ["one"]
    for name in ("two", "all"):
        with pytest.raises(DataError, match=r"two\.json is not JSON; start its run again, or move it away"):
            records_named(name, store)
