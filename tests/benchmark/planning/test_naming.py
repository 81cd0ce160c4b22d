"""A data set is what was named, not what it is called."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.errors import UsageError
from nferbench.datasets.detected import Detected
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.manifest import ManifestDataset, dataset_from_path
from nferbench.planning.plan import Work, data_roots, faces_stage, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, Settings, resolve
from nferbench.workspace.files import file_name
from nferbench.workspace.stages import key
from nferbench.workspace.store import Store

PLUGINS = load_plugins(installed=False)
REGISTERED = ("cfee", "synthetic-hfe", "manifest", "folder", "large-hfe")


def tree(root: Path, people: tuple[str, ...] = ("p1", "p2"), shade: int = 0) -> Path:
    """A folder {vis,nir}/<subject>/<expression>/1.png."""
    rng = np.random.default_rng(shade)
    for person in people:
        for expression in ("anger", "happiness", "neutral"):
            for modality in ("vis", "nir"):
                file = root / modality / person / expression / "1.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file)
    return root


def listed(root: Path, people: tuple[str, ...] = ("p1", "p2"), shade: int = 0, name: str = "manifest.csv") -> Path:
    """The same with a manifest; its path."""
    rows = ["path,modality,subject,expression,pair"]
    for file in sorted(tree(root, people, shade).glob("*/*/*/*.png")):
        modality, person, expression, _ = file.relative_to(root).parts
        rows.append(f"{file.relative_to(root).as_posix()},{modality},{person},{expression},{person}-{expression}")
    (root / name).write_text("\n".join(rows), encoding="utf-8")
    return root / name


def settings(dataset: str | Path, **request: Any) -> Settings:
    return resolve(Request(str(dataset), **{"methods": ("none",), "preset": "quick", **request}), PLUGINS)


def work(tmp_path: Path, found: Settings, *roots: str) -> Work:
    return plan_work(replace(found, folds=2), data_roots(roots, found, PLUGINS.datasets.items), Store(tmp_path), "")


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("word", ["./{}", "{}/manifest.csv", "{}/", "../here/{}", "{}/../{}/manifest.csv"])
def test_what_is_named_by_path_is_what_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    listed(tmp_path / "here" / name)
    monkeypatch.chdir(tmp_path / "here")
    for role in ("dataset", "extra"):
        words: dict[str, Any] = {"dataset": "synthetic-hfe", role: word.format(name, name)}
        found = settings(**words).sets()[role]  # type: ignore[index]
        assert isinstance(found, ManifestDataset) and found.name == name
        assert Path(found.file).samefile(tmp_path / "here" / name / "manifest.csv")


def test_a_folder_called_like_a_registered_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(tmp_path / "cfee").parent)
    found = settings("./cfee", extra="none")
    assert isinstance(found.dataset, FolderDataset) and work(tmp_path, found).pairs == 6


def test_a_bare_word_is_the_registered_set_and_says_so_where_it_may_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(tmp_path / "synthetic-hfe")
    (tmp_path / "synthetic-vis").mkdir()  # no data set
    monkeypatch.chdir(tmp_path)
    found = settings("synthetic-hfe", extra="synthetic-vis")
    assert type(found.dataset) is type(found.extra) is type(PLUGINS.datasets["synthetic-hfe"])
    (note,) = found.notes
    assert "'synthetic-hfe' is the registered data set" in note and note.endswith("write ./synthetic-hfe")
    assert note in work(tmp_path, found).notes
    assert settings("./synthetic-hfe", extra="none").notes == ()


def test_the_default_extra_set_is_the_registered_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(tmp_path / "synthetic-vis-nir")
    monkeypatch.chdir(tmp_path)
    assert settings("synthetic-hfe").extra == PLUGINS.datasets["synthetic-vis-nir"]


@pytest.mark.parametrize("detector", [None, "mesh"])
def test_two_sets_of_one_name_lie_each_in_its_own_folder(tmp_path: Path, detector: str | None) -> None:
    first = listed(tmp_path / "one" / "faces", shade=1)
    second = listed(tmp_path / "two" / "faces", ("q1", "q2"), shade=2)
    found = settings(first, extra=str(second), detector=detector)
    assert isinstance(found.dataset, Detected) == bool(detector)
    assert found.dataset.name == found.extra.name == "faces"  # type: ignore[union-attr]
    assert data_roots([], found) == {"dataset": first.parent, "extra": second.parent}
    alone = settings(second, extra="none", detector=detector)
    store = Store(tmp_path)
    extra, _ = faces_stage(found, "extra", data_roots([], found), store)
    assert key(extra) == key(faces_stage(alone, "dataset", data_roots([], alone), store)[0])


def test_sets_of_one_name_that_leave_out_the_same_are_told_apart(tmp_path: Path) -> None:
    sets = [listed(tmp_path / number / "faces", shade=shade) for shade, number in enumerate(("one", "two"))]
    for manifest in sets:
        (manifest.parent / "vis" / "p1" / "anger" / "2.png").touch()
        manifest.write_text(manifest.read_text() + "\nvis/p1/anger/2.png,vis,p1,boredom,")
    notes = work(tmp_path, settings(sets[0], extra=str(sets[1]))).notes
    assert [note.partition(":")[0] for note in notes if "boredom" in note] == ["faces", "faces (the extra set)"]


def test_a_root_for_a_name_that_both_sets_have_is_refused(tmp_path: Path) -> None:
    first, second = (listed(tmp_path / number / "faces") for number in ("one", "two"))
    found = settings(first, extra=str(second))
    with pytest.raises(UsageError, match="--data-root faces=…: the data set and the extra set are both called faces"):
        data_roots([f"faces={tmp_path}"], found)
    (tmp_path / "faces").mkdir()  # PATH/NAME is where registered sets lie
    assert data_roots([str(tmp_path)], found) == {"dataset": tmp_path, "extra": tmp_path}
    same = settings(first, extra=str(first))
    assert data_roots([f"faces={tmp_path}"], same) == {"dataset": tmp_path, "extra": tmp_path}


def test_a_root_for_a_registered_name_is_that_of_the_registered_set(tmp_path: Path) -> None:
    manifest = listed(tmp_path / "here" / "cfee")
    (tmp_path / "data" / "cfee").mkdir(parents=True)
    found = settings(manifest, extra="cfee")
    roots = data_roots([f"cfee={tmp_path / 'data' / 'cfee'}"], found, PLUGINS.datasets.items)
    assert roots == {"dataset": manifest.parent, "extra": tmp_path / "data" / "cfee"}
    roots = data_roots([str(tmp_path / "data")], found, PLUGINS.datasets.items)
    assert roots == {"dataset": tmp_path / "data", "extra": tmp_path / "data" / "cfee"}


@pytest.mark.parametrize("place", ["..", "../.", "../manifest.csv", "./../", "../below/../manifest.csv"])
def test_a_name_is_made_from_where_a_path_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    listed(tmp_path / "people")
    (tmp_path / "people" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "people" / "below")
    assert dataset_from_path(Path(place)).name == "people"
    assert settings(place, extra="none").dataset.name == "people"
    (tmp_path / "people" / "manifest.csv").unlink()
    if not place.endswith(".csv"):
        assert dataset_from_path(Path(place)).name == "people"  # as a folder of vis and nir


def test_a_link_has_the_name_of_what_it_leads_to(tmp_path: Path) -> None:
    listed(tmp_path / "people")
    (tmp_path / "link").symlink_to("people")
    found = dataset_from_path(tmp_path / "link" / "manifest.csv")
    assert found.name == "people" and found.base(None) == tmp_path / "link"


@pytest.mark.parametrize("name", ['""', '" "', '".."', '". ."', '"\\u00a0"'])
def test_a_name_of_blanks_and_dots_is_none(tmp_path: Path, name: str) -> None:
    (listed(tmp_path / "people").with_suffix(".yaml")).write_text(f"name: {name}\n")
    found = dataset_from_path(tmp_path / "people")
    assert (found.name, found.title) == ("people", "people")
    assert dataset_from_path(listed(tmp_path / "people", name="..csv")).name == "people"


def test_a_root_folder_has_no_name_and_gets_that_of_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(tmp_path)
    monkeypatch.setattr(os.path, "realpath", lambda path: "/")
    assert dataset_from_path(tmp_path).name == "manifest"
    (tmp_path / "manifest.csv").unlink()
    assert dataset_from_path(tmp_path).name == "folder"


@pytest.mark.parametrize("name", ["", "..", "-", "/", "...-"])
def test_no_file_is_called_nothing(name: str) -> None:
    assert file_name(name) == "unnamed" and file_name(f"{name}quick") == "quick"


def test_people_who_may_be_the_same_are_named_in_the_notes_of_a_plan(tmp_path: Path) -> None:
    manifest = listed(tmp_path / "faces", ("1", "001", "Anna", "anna", "P2", "p002.0", "9"))
    (note,) = (note for note in work(tmp_path, settings(manifest, extra="none")).notes if "same person" in note)
    assert note.startswith("faces: perhaps the same person under several names: '001' and '1', 'Anna' and 'anna', 'P2'")
    assert "'9'" not in note


def test_people_of_the_extra_set_are_named_where_both_sets_are_one_collection(tmp_path: Path) -> None:
    manifest = listed(tmp_path / "faces", ("1", "2"))
    listed(tmp_path / "faces", ("001", "7", "07"), name="extra.csv")
    lines = (tmp_path / "faces" / "extra.csv").read_text().splitlines()
    own = [line for line in lines if ",vis,1," not in line and ",vis,2," not in line and ",nir," not in line]
    (tmp_path / "faces" / "extra.csv").write_text("\n".join(own))
    found = settings(manifest, extra=str(tmp_path / "faces" / "extra.csv"))
    (note,) = (note for note in work(tmp_path, found).notes if "same person" in note)
    assert "'001' and '1';" in note and "07" not in note  # who only trains may have any name
    elsewhere = listed(tmp_path / "others", ("001", "002"))
    notes = work(tmp_path, settings(manifest, extra=str(elsewhere))).notes
    assert not any("same person" in note for note in notes)


def test_a_run_without_an_extra_set_says_what_it_lacks_unless_that_is_meant(tmp_path: Path) -> None:
    manifest = listed(tmp_path / "faces")
    unnamed, declined = settings(manifest), settings(manifest, extra="none")
    (note,) = (note for note in work(tmp_path, unnamed).notes if "extra set" in note)
    assert "no method gets an accuracy or F1; add --extra SET" in note
    assert not any("extra set" in note for note in work(tmp_path, declined).notes)
    store = Store(tmp_path)
    for found, why in (
        (unnamed, "no extra set was named; --extra SET adds"),
        (declined, "no extra set (--extra none)"),
    ):
        name = write_record(work(tmp_path, found), store, "nferbench run")
        record = json.loads((tmp_path / "records" / f"{name}.json").read_text())
        assert record["protocol"]["without_extra"].startswith(why)
    assert settings("synthetic-hfe").without_extra == ""
