"""What may leave a workspace, and what never does."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from workspaces import Made, Reference, content, gone, rows_of, two_rows

from nferbench.contract.errors import DataError, UsageError
from nferbench.workspace.holders import PRUNE, at_work
from nferbench.workspace.locks import claim
from nferbench.workspace.pruning import Named, pruning, remove


def pruned(workspace: Path, named: Named | None = None) -> dict[str, int]:
    """Prune; returns how many things went, by kind."""
    found = pruning(workspace, named or Named())
    remove(workspace, found)
    kinds = [each.kind for each in found.removals]
    return {kind: kinds.count(kind) for kind in kinds}


def littered(root: Path) -> tuple[Made, dict[str, Reference]]:
    """A workspace in which a record needs some of everything, and none needs the rest."""
    made = Made(root)
    stages = two_rows(made)
    stray = made.stage("networks", "stray", stages["faces"])
    made.stage("translations", "stray", stray)
    begun = made.named("recognition", "begun0", stages["faces"])
    network = made.stage("networks", "waiting0", stages["faces"])
    unborn = made.named("translations", "waiting0", stages["faces"], network)
    cell = {"translation": unborn, "fer": begun, "needs": [network]}
    made.record([made.row("later", [cell])], stages["faces"], "second", preset="lite")
    made.begin(begun, "checkpoint.json")
    made.begin(unborn, "images.npy")  # nothing to go on with
    made.begin(stray, "checkpoint.json")
    made.fail(unborn)
    made.fail(stages["fer-none0"])
    for folder in ("damaged", "replaced"):
        (root / folder / "old-1").mkdir(parents=True)
        (root / folder / "old-1" / "data").write_text("old")
    made.lock("run-20250101T000000Z-00", gone())
    return made, stages | {"waiting": network, "begun": begun}


def test_what_no_record_needs_goes_and_nothing_else(tmp_path: Path) -> None:
    made, stages = littered(tmp_path / "w")
    kept = Made(tmp_path / "kept")
    two_rows(kept)
    expected = {"networks": 1, "translations": 1, "unfinished": 2, "failures": 1, "damaged": 1, "replaced": 1}
    assert pruned(made.root) == {**expected, "locks of runs that are gone": 1}
    left = content(made.root)
    assert {name for name in content(kept.root) if name not in left} == set()
    assert (made.root / stages["waiting"]["path"]).is_dir()  # needed by what is not done yet
    assert [path.name for path in (made.root / "partial").iterdir()] == [stages["begun"]["key"]]
    assert len(list((made.root / "failures").iterdir())) == 1
    assert pruned(made.root) == {}


def test_named_rows_leave_their_record_and_what_others_need_stays(tmp_path: Path) -> None:
    made = Made(tmp_path)
    two_rows(made)
    gone_with_it = {"networks": 2, "translations": 2, "quality": 2, "recognition": 2}
    assert pruned(tmp_path, Named(rows=("alpha",))) == gone_with_it
    assert rows_of(tmp_path / "records" / "run.json") == ["none"]
    assert len(list(tmp_path.glob("faces/*"))) == 1
    assert pruned(tmp_path, Named(rows=("none",)))["faces"] == 1
    assert not list((tmp_path / "records").iterdir())


def test_named_presets_and_failures_go(tmp_path: Path) -> None:
    littered(tmp_path)
    assert pruned(tmp_path, Named(presets=("lite",), failures=True))["failures"] == 2
    assert [path.stem for path in (tmp_path / "records").iterdir()] == ["run"]
    assert not list((tmp_path / "failures").iterdir()) and not list((tmp_path / "partial").iterdir())
    assert not list(tmp_path.glob("networks/waiting0-*")) and len(list(tmp_path.glob("networks/*"))) == 2


@pytest.mark.parametrize(("named", "word"), [(Named(rows=("alhpa",)), "alpha"), (Named(presets=("quik",)), "quick")])
def test_a_name_that_no_record_has_is_told_with_the_nearest(tmp_path: Path, named: Named, word: str) -> None:
    two_rows(Made(tmp_path))
    with pytest.raises(UsageError, match=f"did you mean '{word}'"):
        pruning(tmp_path, named)


def test_a_run_at_work_keeps_all_that_it_may_need(tmp_path: Path) -> None:
    made, _ = littered(tmp_path)
    before = {name: data for name, data in content(tmp_path).items() if "old-1" not in name and "locks" not in name}
    with at_work(tmp_path):
        assert pruned(tmp_path) == {"damaged": 1, "replaced": 1, "locks of runs that are gone": 1}
        with pytest.raises(UsageError, match="is at work"):
            pruning(tmp_path, Named(rows=("none",)))
    assert content(tmp_path) == before
    made.lock(made.named("networks", "held")["key"])
    assert pruned(tmp_path) == {}


def test_a_run_that_starts_waits_until_pruning_is_over(tmp_path: Path) -> None:
    begun = threading.Event()

    def run() -> None:
        with at_work(tmp_path):
            begun.set()

    with claim(tmp_path / "locks" / PRUNE, "the workspace"):
        thread = threading.Thread(target=run)
        thread.start()
        assert not begun.wait(0.2)
    assert begun.wait(10)
    thread.join()


def test_nothing_goes_while_a_record_cannot_be_read(tmp_path: Path) -> None:
    littered(tmp_path)
    (tmp_path / "records" / "odd.json").write_text("{")
    with pytest.raises(DataError, match="what it needs is not known"):
        pruning(tmp_path, Named())


def test_what_an_unfinished_row_of_an_earlier_version_may_need_stays(tmp_path: Path) -> None:
    littered(tmp_path)
    path = tmp_path / "records" / "second.json"
    said = json.loads(path.read_text())
    del said["rows"][0]["folds"][0]["needs"]
    path.write_text(json.dumps(said))
    found = pruning(tmp_path, Named())
    assert "second does not say what its unfinished rows need" in found.notes[0]
    assert {each.kind for each in found.removals}.isdisjoint({"faces", "networks", "translations"})


def test_a_stage_in_the_store_goes_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(tmp_path)
    stages = two_rows(made)
    stray = made.stage("networks", "stray", stages["faces"])

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("nferbench.workspace.pruning.shutil.rmtree", broken)
    with pytest.raises(OSError, match="Input/output"):
        pruned(tmp_path)
    assert not (tmp_path / stray["path"]).exists()
    monkeypatch.undo()
    assert pruned(tmp_path) == {"unfinished": 1}
    assert not list((tmp_path / "partial").iterdir())
