"""Stages that come back from their descriptions are the stages that were described."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspaces import Made

from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.detected import Detected
from nferbench.planning.plan import networks_of
from nferbench.planning.plugins import Plugins, load_plugins
from nferbench.planning.presets import presets
from nferbench.planning.restoring import classes_of, restored_translation
from nferbench.planning.settings import NO_EXTRA, Request, resolve
from nferbench.workspace.stages import HeldOut, PrepareFaces, Translate, key
from nferbench.workspace.store import Store


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins(installed=False)


def stored(stage: Translate, store: Store) -> Path:
    """The folder of a translation whose entry, and those of what it needs, have descriptions and nothing else."""
    for each in (stage.source, *stage.networks, stage):
        if store.find(each) is None:
            store.partial(each)
            store.commit(each, {})
    return store.path(stage)


@pytest.mark.parametrize("preset", [*presets()])
def test_every_row_of_every_preset_comes_back(preset: str, plugins: Plugins, tmp_path: Path) -> None:
    store, fold = Store(tmp_path), HeldOut(1, ("a", "b"))
    groups = {"study": ("all", "ablation", "variants", "studies")}.get(preset, ("all",))
    settings = resolve(Request(methods=groups, extra=NO_EXTRA, preset=preset), plugins)
    faces = PrepareFaces(Detected(settings.dataset, plugins.detectors["mesh"]), "c", settings.size, "box68", 468)
    classes = classes_of(plugins)
    for row in settings.rows:
        networks = networks_of(row.translator, faces, fold, 3)
        stage = Translate(row.translator, networks, faces, "test", fold, 3)
        labels = {"name": row.name, "title": row.title}
        back = restored_translation(stored(stage, store), classes, store, labels, {"name": "set", "title": "Set"})
        assert key(back) == key(stage) and back.networks == networks and back.translator == row.translator
        assert (back.translator.name, back.translator.title) == (row.name, row.title)
        assert back.source.dataset.name == "set"


def test_what_is_not_registered_now_asks_for_its_plugin(plugins: Plugins, tmp_path: Path) -> None:
    store, faces = Store(tmp_path), PrepareFaces(plugins.datasets["synthetic-hfe"], "c", 32, "given", 68)
    stage = Translate(plugins.translators["none"], (), faces, "test", HeldOut(0, ()), 0)
    place = stored(stage, store)
    with pytest.raises(UsageError, match="is not registered now; give the file of its plugin with --plugin"):
        restored_translation(place, {}, store, {}, {})


def test_what_it_needs_and_is_gone_is_named(plugins: Plugins, tmp_path: Path) -> None:
    store, faces = Store(tmp_path), PrepareFaces(plugins.datasets["synthetic-hfe"], "c", 32, "given", 68)
    stage = Translate(plugins.translators["none"], (), faces, "test", HeldOut(0, ()), 0)
    place = stored(stage, store)
    (store.path(faces) / "stage.json").unlink()
    store.path(faces).rmdir()
    with pytest.raises(DataError, match="which is not in the workspace any more; start its run again"):
        restored_translation(place, classes_of(plugins), store, {}, {})


def test_a_translation_of_no_method_is_refused(tmp_path: Path) -> None:
    made = Made(tmp_path)
    named = made.stage("translations", "theirs0", made.stage("faces", "tiny"))
    with pytest.raises(UsageError, match="was made by no method that could translate anything else; name another row"):
        restored_translation(tmp_path / named["path"], {}, Store(tmp_path), {}, {})
