"""Images of a user's own are prepared as the faces of the method were."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.errors import UsageError
from nferbench.datasets.detected import Detected
from nferbench.datasets.levels import Levels
from nferbench.datasets.manifest import ManifestDataset
from nferbench.datasets.photographs import Photographs
from nferbench.datasets.visible import VisibleFaces
from nferbench.planning.inputs import Preparation, changed, check_apart, inputs_at, preparation_of
from nferbench.planning.plugins import load_plugins
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store

PLUGINS = load_plugins(installed=False)
MESH = PLUGINS.detectors["mesh"]


def test_detector_crop_size_sequences_and_levels_are_those_of_the_method() -> None:
    dataset = ManifestDataset(levels=Levels(vis=(0, 4095)))
    faces = PrepareFaces(Detected(dataset, MESH), "c", 48, "eyes", 68, register=True, smooth=True)
    assert preparation_of(faces) == Preparation(48, "eyes", MESH, True, (0, 4095))
    plain = PrepareFaces(ManifestDataset(), "c", 48, "given", 0)
    assert preparation_of(plain) == Preparation(48, "given", None, False, None)


def test_another_detector_brings_its_crop_unless_one_is_named() -> None:
    given, found = Preparation(48, "given", None), Preparation(48, "eyes", MESH)
    assert changed(given, None, None, PLUGINS) == given and changed(found, None, None, PLUGINS) == found
    assert changed(given, "mesh", None, PLUGINS) == Preparation(48, "box68", MESH)
    assert changed(given, "mesh", "template", PLUGINS) == Preparation(48, "template", MESH)
    assert changed(found, "given", "none", PLUGINS) == Preparation(48, "none", None)


def test_photographs_get_the_detector_and_the_levels_of_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(MESH), "ready", lambda self: None)
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    found = inputs_at(tmp_path, Preparation(48, "box68", MESH, False, (0, 4095)), Store(tmp_path / "ws"))
    stage = found.faces
    assert isinstance(stage.dataset, Detected) and stage.dataset.detector == MESH
    assert stage.dataset.inner == Photographs(levels=Levels(vis=(0, 4095)))
    assert (stage.size, stage.crop, stage.landmarks, found.root) == (48, "box68", 68, tmp_path)


def test_a_folder_that_is_a_data_set_is_read_as_one(tmp_path: Path) -> None:
    for name in ("vis/P1/happy/a.png", "nir/P1/happy/a.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    found = inputs_at(tmp_path, Preparation(48, "given", None), Store(tmp_path / "ws"))
    assert isinstance(found.faces.dataset, VisibleFaces)
    assert [(face.id, face.subject) for face in found.listing.faces] == [("vis/P1/happy/a.png", "P1")]


def test_output_among_the_images_is_refused(tmp_path: Path) -> None:
    check_apart(tmp_path / "in", tmp_path / "out")
    check_apart(tmp_path / "a.png", tmp_path)
    for out in (tmp_path, tmp_path / "out", tmp_path / "x" / ".." / "out"):
        with pytest.raises(UsageError, match="would be translated next; name another"):
            check_apart(tmp_path, out)


def test_a_crop_by_68_landmarks_needs_them(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="crop 'eyes' needs 68 landmarks a face and photographs has 0"):
        inputs_at(tmp_path, Preparation(48, "eyes", None), Store(tmp_path / "ws"))
