"""A setting of the command line that changes nothing of the run is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nferbench.contract.errors import UsageError
from nferbench.datasets.manifest import ManifestDataset
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, Settings, resolve

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")], installed=False)


def settings(*changes: str, **request: Any) -> Settings:
    return resolve(Request(**{"methods": ("none",), "preset": "quick", "changes": changes, **request}), PLUGINS)


def refusal(*changes: str, **request: Any) -> str:
    with pytest.raises(UsageError) as caught:
        settings(*changes, **request)
    return str(caught.value)


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    path = tmp_path / "mine.csv"
    path.write_text("path,modality,subject,expression\na.png,vis,1,fear\n")
    return str(path)


def test_settings_of_manifests_reach_one_given_by_path(manifest: str, tmp_path: Path) -> None:
    found = settings("datasets.manifest.neutral=false", "datasets.manifest.last=2", dataset=manifest).dataset
    assert isinstance(found, ManifestDataset)
    assert (found.neutral, found.last, found.name, found.file) == (False, 2, "mine", manifest)
    preset = tmp_path / "own.yaml"
    preset.write_text("base: quick\ndatasets: {manifest: {neutral: false, file: other.csv, name: other}}\n")
    found = settings(dataset=manifest, preset=str(preset)).dataset
    assert isinstance(found, ManifestDataset)
    assert (found.neutral, found.name, found.file) == (False, "mine", manifest)


def test_settings_of_folders_reach_one_given_by_path(tmp_path: Path) -> None:
    (tmp_path / "vis").mkdir()
    found = settings("datasets.folder.neutral=false", dataset=str(tmp_path)).dataset
    assert not found.neutral and found.path == str(tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "used"),
    [
        ("datasets.cfee.neutral=true", "datasets.synthetic-hfe, datasets.synthetic-vis-nir"),
        ("datasets.manifest.neutral=false", "datasets.synthetic-hfe, datasets.synthetic-vis-nir"),
        ("fer-models.resnet18.epochs=3", "fer-models.smallcnn"),
        ("detectors.mesh.threshold=0.1", "none of the detectors"),
        ("methods.pix2pix.generator.width=8", "methods.none"),
    ],
)
def test_a_setting_of_something_that_is_not_used_is_an_error(change: str, used: str) -> None:
    name = change.partition("=")[0]
    assert refusal(change) == f"--set {name} changes nothing: this run uses {used}; leave it out"


def test_the_place_and_name_of_a_set_given_by_path_are_no_settings(manifest: str) -> None:
    for name in ("file", "name", "title"):
        assert f"--set datasets.manifest.{name} changes nothing" in refusal(
            f"datasets.manifest.{name}=other", dataset=manifest
        )


def test_a_preset_may_hold_settings_of_what_is_not_used(tmp_path: Path) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_text("base: quick\ndatasets: {cfee: {neutral: true}}\nmethods: {pix2pix: {generator: {width: 8}}}\n")
    assert settings(preset=str(preset)).preset == "own"


ROWS = """
base: quick
rows:
  - {use: toy-regression, name: loud, set: {grain: 0.5}}
  - {use: none, name: alike, set: {}}
  - {use: toy-regression, name: shared, set: {network: {like: toy-regression.network}, grain: 1}}
  - {use: toy-regression, name: partly, set: {network: {lr: 0.1}}}
"""


@pytest.mark.parametrize(
    ("methods", "change", "reaches"),
    [
        (("all",), "methods.toy-regression.grain=0.1", True),
        (("toy-regression",), "methods.toy-regression.grain=0.1", True),
        (("toy-regression",), "methods.toy-regression.network={lr: 0.3}", True),
        (("loud",), "methods.toy-regression.network.lr=0.3", True),  # {use: toy-regression}
        (("loud",), "methods.toy-regression.grain=0.1", False),  # which the row says itself
        (("loud", "toy-regression"), "methods.toy-regression.grain=0.1", True),
        (("shared",), "methods.toy-regression.network.lr=0.3", True),  # {like: toy-regression.network}
        (("shared",), "methods.toy-regression.grain=0.1", False),
        (("partly",), "methods.toy-regression.network.lr=0.3", False),
        (("partly",), "methods.toy-regression.network.steps=3", True),
        (("alike",), "methods.toy-regression.network.steps=3", False),
    ],
)
def test_rows_take_settings_of_the_methods_that_they_use(
    tmp_path: Path, methods: tuple[str, ...], change: str, reaches: bool
) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_text(ROWS)
    if reaches:
        assert settings(change, methods=methods, preset=str(preset)).rows
    else:
        assert "changes nothing" in refusal(change, methods=methods, preset=str(preset))


def test_a_setting_that_an_option_or_another_setting_overrules_is_an_error() -> None:
    assert refusal("folds=3", folds=4) == "--set folds changes nothing: --folds is given too; keep one"
    assert refusal("size=32", "size=48") == "--set size is given twice, with different values; keep one"
    twice = refusal("datasets.synthetic-hfe.subjects=9", "datasets.synthetic-hfe.subjects=8")
    assert twice == "--set datasets.synthetic-hfe.subjects is given twice, with different values; keep one"
    assert settings("size=48", "size=48", "folds=3").size == 48


def test_a_setting_that_says_what_holds_anyway_has_reached_its_value() -> None:
    assert settings("datasets.synthetic-hfe.subjects=40", "size=32").size == 32
