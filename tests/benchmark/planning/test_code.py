from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from nferbench.planning import code
from nferbench.planning.code import code_of, foreign, has_changed
from nferbench.planning.plugins import import_file, load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import HeldOut, PrepareFaces, TrainNetwork

TOY = import_file(str(Path(__file__).parents[2] / "plugins" / "toy.py"))
FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


def training(recipe: Any) -> TrainNetwork:
    return TrainNetwork(recipe, FACES, HeldOut(0, ("a",)), 0)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose module `net` imports `parts` inside a function."""
    root = tmp_path / "thirdparty"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "net.py").write_text(
        '"""A network."""\nfrom dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Recipe:\n'
        "    width: int = 3\n\n    def build(self):\n        from thirdparty.parts import block\n        return block\n"
    )
    (root / "parts.py").write_text("def block(x):\n    return x + 1\n")
    (root / "other.py").write_text("unused = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "thirdparty"]:
        del sys.modules[name]


def now(package: Path) -> TrainNetwork:
    for cached in (code._said, code.fingerprint, code._reached, code._source):
        cached.cache_clear()
    from thirdparty.net import Recipe  # type: ignore[import-not-found]

    return training(Recipe())


def test_code_changes_with_what_a_module_and_its_imports_say_and_not_with_comments(package: Path) -> None:
    before = code_of(now(package))
    assert set(before["modules"]) == {"thirdparty.net"}
    assert set(before["sources"]) == {"thirdparty.net", "thirdparty.parts"}
    for name, old, new, changes in (
        ("net.py", '"""A network."""', '"""Another docstring."""  # and a comment\n\n', False),
        ("parts.py", "x + 1", "x  +  1", False),
        ("other.py", "unused = 1", "unused = 2", False),
        ("net.py", "width: int = 3", "width: int = 4", True),
        ("parts.py", "x  +  1", "x + 2", True),
    ):
        path = package / name
        path.write_text(path.read_text().replace(old, new))
        stage = now(package)
        assert has_changed(stage, before) is changes, name
        before = code_of(stage)
        assert not has_changed(stage, before)


def test_what_cannot_be_compared_has_not_changed(package: Path) -> None:
    stage = now(package)
    mine = code_of(stage)
    assert has_changed(stage, {**mine, "modules": {"thirdparty.net": "0"}, "sources": {"thirdparty.net": "0"}})
    for earlier in (
        None,
        {},
        [],
        "x",
        {**mine, "python": "3.1", "sources": {}, "modules": {"a": "0"}},
        {**mine, "modules": 3},
    ):
        assert not has_changed(stage, earlier)


def test_the_core_has_no_code_of_its_own_and_only_that_of_others_is_foreign(package: Path) -> None:
    ours = resolve(Request(preset="quick", methods=("pix2pix",)), load_plugins(installed=False)).rows[0].translator
    recipe = ours.networks()["generator"]
    assert set(code_of(training(recipe))["modules"]) == {"nferbench_methods.pix2pix"}
    assert foreign(training(recipe)) == ""
    assert foreign(now(package)).startswith("thirdparty.net ")
