from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nferbench.contract.errors import DataError, UsageError
from nferbench.planning.plugins import import_file
from nferbench.workspace.entries import verify
from nferbench.workspace.files import read_cache, set_aside, write_cache, write_json
from nferbench.workspace.locks import LostError
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import Store, open_workspace, read_workspace

TOY = import_file(str(Path(__file__).parents[2] / "plugins" / "toy.py"))


def stage(size: int = 32, label: str = "toy") -> PrepareFaces:
    return PrepareFaces(TOY.Blobs(name=label), "content", size, "given", 0)


def filled(store: Store, one: PrepareFaces) -> Path:
    (store.partial(one) / "data.txt").write_text("twelve bytes")
    return store.commit(one, {"result": {}}).path


def test_a_stage_is_found_once_it_is_committed_and_not_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.partial(stage()) / "data.txt").write_text("half")
    assert store.find(stage()) is None
    path = filled(store, stage())
    entry = store.find(stage())
    assert entry is not None and entry.path == path
    assert entry.info["files"]["data.txt"]["bytes"] == 12
    assert not (tmp_path / "partial" / key(stage())).exists()


def test_a_stage_is_found_under_another_label(tmp_path: Path) -> None:
    store = Store(tmp_path)
    filled(store, stage(label="toy"))
    assert store.find(stage(label="renamed")) is not None
    assert store.find(stage(size=64)) is None


def test_paths_of_any_bytes_can_be_written_and_read(tmp_path: Path) -> None:
    written = {"reason": os.fsdecode(b"Ren\xe9\n") + "é"}
    write_json(tmp_path / "a.json", written)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == written


@pytest.mark.parametrize("name", ["../../out", "a/b", ".hidden", "two\nlines", "x" * 300])
def test_no_name_of_a_data_set_leads_out_of_the_workspace(tmp_path: Path, name: str) -> None:
    path = Store(tmp_path).path(stage(label=name))
    assert path.parent == tmp_path / "faces" and not path.name.startswith(".") and len(path.name) < 150
    path.mkdir(parents=True)
    assert Store(tmp_path).path(stage(label="other")) == path


@pytest.mark.parametrize("damage", ["truncate", "remove", "garble"])
def test_a_damaged_entry_is_an_error_and_can_be_set_aside(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    if damage == "truncate":
        (path / "data.txt").write_text("twelve")
    elif damage == "remove":
        (path / "data.txt").unlink()
    else:
        (path / "stage.json").write_text("{")
    with pytest.raises(DataError):
        store.find(stage())
    aside = store.set_aside(stage())
    assert aside.is_dir()
    assert store.find(stage()) is None


def test_entries_that_changed_places_are_not_used_for_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = filled(store, stage()), filled(store, stage(size=64))
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    for one, other in ((stage(), "64px"), (stage(size=64), "32px")):
        with pytest.raises(DataError, match=f"holds the results of another stage, faces toy-{other}"):
            store.find(one)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "3",
        "[" * 100_000,
        '{"key": 3}',
        '{"files": []}',
        '{"files": {"../../data.txt": {"bytes": 12, "sha256": ""}}}',
        '{"files": {"data.txt": 12}}',
        '{"files": {"data.txt": {"bytes": "12", "sha256": ""}}}',
        '{"files": {"data.txt": {"bytes": 12, "sha256": null}}}',
        '{"result": []}',
        '{"cost": {"key": [], "seconds": 1, "units": 1}}',
        '{"cost": {"key": "a", "seconds": NaN, "units": 1}}',
        '{"description": null}',
    ],
)
def test_a_stage_json_of_unexpected_form_is_one_line_and_passed_over(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    said = json.loads((path / "stage.json").read_text())
    odd = {**said, **json.loads(text)} if text.startswith("{") else None
    (path / "stage.json").write_text(text if odd is None else json.dumps(odd))
    with pytest.raises(DataError) as caught:
        store.find(stage())
    assert "stage.json" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert list(store.entries("faces")) == []


def test_a_file_where_an_entry_is_due_is_damage_and_can_be_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.path(stage())
    path.parent.mkdir()
    path.write_text("not a folder")
    with pytest.raises(DataError, match="cannot be read"):
        store.find(stage())
    assert store.set_aside(stage()).read_text() == "not a folder"
    assert store.find(stage()) is None


def test_files_where_folders_of_the_workspace_are_due_are_told(tmp_path: Path) -> None:
    for name in ("networks", "partial", "locks", "records"):
        workspace = tmp_path / name
        workspace.mkdir()
        (workspace / name).write_text("")
        for opened in (open_workspace, read_workspace):
            with pytest.raises(UsageError, match=f"{name} is a file where a folder is due"):
                opened(workspace)


def test_a_file_where_unfinished_work_is_due_is_put_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / key(stage())).write_text("")
    assert store.partial(stage()).is_dir()
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_a_changed_digit_of_a_small_file_is_seen_wherever_its_entry_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    (path / "data.txt").write_text("twelve bites")
    with pytest.raises(DataError, match="has changed since it was written"):
        store.find(stage())


def test_unfinished_work_that_is_whole_but_of_another_stage_is_not_adopted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = filled(store, stage(size=64))
    (tmp_path / "partial").mkdir(exist_ok=True)
    path.rename(tmp_path / "partial" / key(stage()))
    assert store.adopt(stage()) is None
    assert not (tmp_path / "partial" / key(stage())).exists()
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_a_cut_off_commit_with_a_flipped_bit_is_not_adopted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    path.rename(tmp_path / "partial" / key(stage()))
    (tmp_path / "partial" / key(stage()) / "data.txt").write_text("twelve bites")
    assert store.adopt(stage()) is None and store.find(stage()) is None


@pytest.mark.parametrize(
    "odd", ["[1]", "{", '{"content": {"a": 1}, "sha256": "0"}', '{"content": [], "sha256": ""}', "9" * 9]
)
def test_a_cache_that_is_not_what_was_written_says_nothing(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "cache" / "a.json"
    assert read_cache(path) == {}
    write_cache(path, {"a": 1.5, "b": [1, None]})
    assert read_cache(path) == {"a": 1.5, "b": [1, None]}
    path.write_text(path.read_text().replace("1.5", "1.6"))
    assert read_cache(path) == {}
    path.write_text(odd)
    assert read_cache(path) == {}


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    store = read_workspace(tmp_path / "new")
    assert store.find(stage()) is None and not (tmp_path / "new").exists()


def test_a_change_that_keeps_the_size_is_seen_by_verify(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    entry = store.find(stage())
    assert entry is not None
    verify(entry)
    (path / "data.txt").write_text("other bytes!")
    with pytest.raises(DataError, match="has changed"):
        verify(entry)


def test_a_commit_that_was_cut_off_before_the_rename_is_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = filled(store, stage())
    path.rename(tmp_path / "partial" / key(stage()))
    assert store.find(stage()) is None
    entry = store.adopt(stage())
    assert entry is not None and entry.path == path
    assert store.adopt(stage(size=64)) is None


def test_a_checkpoint_is_not_part_of_a_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.partial(stage()) / "checkpoint.pt").write_text("state")
    path = filled(store, stage())
    assert sorted(file.name for file in path.iterdir()) == ["data.txt", "stage.json"]


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="--workspace"):
        open_workspace(tmp_path / "runs")


def test_half_done_work_of_a_claim_is_its_own_and_is_given_up_to_the_next(tmp_path: Path) -> None:
    store, place = Store(tmp_path), tmp_path / "partial"
    with store.claim(stage()) as claim:
        assert store.partial(stage()) == place / f"{key(stage())}.{claim.token}"
        (store.partial(stage()) / "checkpoint.pt").write_text("state")
    assert [path.name for path in place.iterdir()] == [key(stage())]
    with store.claim(stage()):
        assert (store.partial(stage()) / "checkpoint.pt").read_text() == "state"
        filled(store, stage())
    assert not list(place.iterdir()) and store.find(stage()) is not None
    with store.claim(stage()):
        pass
    assert not list(place.iterdir())  # nothing was begun


def lose(store: Store, other: Store, stack: ExitStack) -> Any:
    """The lock of a stage that a store holds is thought void and taken by another store."""
    (sign,) = (store.workspace / "locks" / key(stage())).iterdir()
    sign.unlink()
    return stack.enter_context(other.claim(stage()))


def test_who_lost_the_lock_commits_nothing_and_harms_nothing(tmp_path: Path) -> None:
    """Held up in the middle of its work, with a file open, an owner goes on after another one has begun."""
    first, second = Store(tmp_path), Store(tmp_path)
    with ExitStack() as stack, ExitStack() as next_one:
        stack.enter_context(first.claim(stage()))
        mine = first.partial(stage())
        (mine / "checkpoint-3.pt").write_text("state")
        images = np.lib.format.open_memmap(mine / "images.npy", mode="w+", dtype=np.uint8, shape=(4,))
        images[:2] = 1
        images.flush()
        lose(first, second, next_one)
        theirs = second.partial(stage())
        assert (theirs / "checkpoint-3.pt").read_text() == "state" and not mine.exists()
        images[:] = 9
        images.flush()
        assert np.load(theirs / "images.npy").tolist() == [1, 1, 0, 0]
        with pytest.raises(FileNotFoundError):
            (first.partial(stage()) / "weights").write_text("of the first")
        with pytest.raises(FileNotFoundError):
            first.commit(stage(), {"result": {"by": "the first"}})
        assert first.find(stage()) is None
        stack.close()
        filled(second, stage())
    entry = second.find(stage())
    assert entry is not None and sorted(entry.info["files"]) == ["data.txt", "images.npy"]
    assert not list((tmp_path / "partial").iterdir()) and not list((tmp_path / "locks").iterdir())


def test_a_lock_that_is_lost_while_files_are_listed_is_noticed_before_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Store(tmp_path)
    with first.claim(stage()) as claim:
        lock = tmp_path / "locks" / key(stage())
        real = write_json

        def then_lost(path: Path, data: object) -> None:
            real(path, data)
            (lock / claim.token).unlink()

        monkeypatch.setattr("nferbench.workspace.store.write_json", then_lost)
        with pytest.raises(LostError, match="the lock of faces toy-32px was lost"):
            filled(first, stage())
    assert first.find(stage()) is None


def test_a_result_that_is_whole_is_kept_if_its_owner_is_held_up_before_the_last_step(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    with ExitStack() as stack, ExitStack() as next_one:
        stack.enter_context(first.claim(stage()))
        path = filled(first, stage())
        path.rename(first.partial(stage()))  # as before that step
        lose(first, second, next_one)
        assert second.find(stage()) is None
        adopted = second.adopt(stage())
        assert adopted is not None and adopted.path == path


def test_of_two_whole_results_the_first_stays(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path / "other")
    with store.claim(stage()):
        (store.partial(stage()) / "data.txt").write_text("second bytes")
        store.path(stage()).parent.mkdir()
        filled(other, stage()).rename(store.path(stage()))
        kept = store.commit(stage(), {"result": {}})
    assert (kept.path / "data.txt").read_text() == "twelve bytes"
    assert not list((tmp_path / "partial").iterdir())


def test_a_claim_lets_folders_of_other_machines_be_seen_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folders = [filled(store, stage()).parent, tmp_path / "partial"]
    for folder in folders:
        os.utime(folder, (0, 0))
    with store.claim(stage()):
        assert all(folder.stat().st_mtime > 0 for folder in folders)


def test_a_failure_says_whose_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.failure(stage()) is None and store.failures() == {}
    store.fail(stage(), "failed", "on purpose")
    said = store.failure(stage())
    assert said is not None and store.failures() == {key(stage()): said}
    assert (said["status"], said["reason"]) == ("failed", "on purpose")
    assert f"process {os.getpid()} on" in said["by"]
    (tmp_path / "failures" / f"{key(stage())}.json").write_text("[")
    assert store.failure(stage()) is None and store.failures() == {}


def test_two_runs_that_move_things_away_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "entry").mkdir(parents=True)
        (tmp_path / name / "entry" / "file").write_text(name)
    rename = Path.rename

    def after_another(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        set_aside(tmp_path / "two" / "entry", target.parent)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", after_another)
    assert set_aside(tmp_path / "one" / "entry", tmp_path / "damaged").name == "entry-2"
    assert [(tmp_path / "damaged" / f"entry-{i}" / "file").read_text() for i in (1, 2)] == ["two", "one"]


def test_a_folder_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    filled(store, stage())
    read: list[Path] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: read.append(path) or listdir(path))
    others = [PrepareFaces(TOY.Blobs(first=number), "content", 32, "given", 0) for number in range(1, 50)]
    assert not any(store.path(other).exists() for other in others) and len(read) == 1
    store.path(stage()).rename(tmp_path / "faces" / f"another-label-{key(stage())[:12]}")
    os.utime(tmp_path / "faces", ns=(1, 1))  # whatever the steps of this file system's clock
    assert store.path(stage()).name.startswith("another-label-") and len(read) == 2
    assert store.find(stage()) is not None
