"""Initial weights are known by their content, told under the tables, and never those that saw the tested people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nferbench.contract.errors import PluginError, UsageError
from nferbench.contract.values import describe
from nferbench.planning.initial import ORIGIN, check_trained, check_unseen, frozen, stamps, with_digests
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.planning.updates import asked
from nferbench.recognisers.smallcnn import SmallCNN
from nferbench_methods.pix2pix import Pix2Pix, Pix2PixRecipe


def weights(path: Path, value: float = 1.0, **told: object) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    save_file({"w": torch.full((1,), value)}, path, {ORIGIN: json.dumps(told)} if told else None)
    return str(path)


def starting(file: str, **fields: str) -> Pix2Pix:
    return Pix2Pix(generator=Pix2PixRecipe(init=file, **fields))


def test_the_content_of_the_file_is_part_of_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    here, there = weights(tmp_path / "a.safetensors"), weights(tmp_path / "b" / "c.safetensors")
    other = weights(tmp_path / "d.safetensors", 2.0)
    found = [describe(with_digests(starting(file))) for file in (here, there, other)]
    assert found[0] == found[1] != found[2]
    assert describe(Pix2Pix()) not in found
    assert "init_sha256" not in json.dumps(describe(Pix2Pix()))  # keys of what is stored already stay


def test_a_file_that_is_not_there_or_not_the_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"init.*nowhere' is not a file"):
        with_digests(starting(str(tmp_path / "nowhere")))
    file = weights(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="has SHA-256"):
        with_digests(starting(file, init_sha256="ab"))
    settled = with_digests(starting(file))
    assert with_digests(settled) == settled


def test_a_row_says_where_its_weights_are_from(tmp_path: Path) -> None:
    told = weights(tmp_path / "a.safetensors", trained_on="Other\npeople", pairs=1200, faces="ab")
    assert stamps(starting(told)) == ("networks pre-trained on Other\\npeople, 1,200 pairs seen",)
    (line,) = stamps(with_digests(starting(weights(tmp_path / "b.safetensors"))))
    assert line.startswith("starts from given weights (SHA-256 ")
    assert stamps(Pix2Pix()) == ()


def test_weights_that_saw_everyone_in_the_data_set_are_refused(tmp_path: Path) -> None:
    method = starting(weights(tmp_path / "a.safetensors", trained_on="S", pairs=1, faces="content"))
    check_unseen(method, "another", "synthetic-hfe")
    with pytest.raises(UsageError, match="trained on everyone in synthetic-hfe"):
        check_unseen(method, "content", "synthetic-hfe")


def fold(workspace: Path, test: list[str], updates: int = 5) -> str:
    """Weights as they lie in a workspace after a training in which some people were held out."""
    file = weights(workspace / "networks" / "n" / "weights.safetensors")
    faces = workspace / "faces" / f"s-{'f' * 12}"
    faces.mkdir(parents=True, exist_ok=True)
    (faces / "stage.json").write_text(json.dumps({"description": {"content": "content"}}))
    training = {"description": {"needs": ["f" * 64], "fold": {"test": test}}, "result": {"updates": updates}}
    (workspace / "networks" / "n" / "stage.json").write_text(json.dumps(training))
    return file


def test_weights_of_a_fold_are_refused_but_for_people_that_it_held_out(tmp_path: Path) -> None:
    method = starting(fold(tmp_path, ["a", "b"]))
    check_unseen(method, "content", "S", {"a"})
    check_unseen(method, "another", "S", {"c"})
    with pytest.raises(UsageError, match="people in S who are tested now"):
        check_unseen(method, "content", "S", {"a", "c"})
    with pytest.raises(UsageError, match="everyone in S"):
        check_unseen(starting(fold(tmp_path, [])), "content", "S", {"a"})
    check_unseen(starting(fold(tmp_path, [], updates=0)), "content", "S", {"a"})
    (tmp_path / "networks" / "n" / "stage.json").write_text("[]")
    check_unseen(method, "content", "S", {"c"})


def test_without_updates_there_must_be_weights_and_the_row_says_so(tmp_path: Path) -> None:
    given = Pix2Pix(generator=Pix2PixRecipe(epochs=0, init=weights(tmp_path / "a.safetensors")))
    check_trained(given, 10)
    assert frozen(given, 10) == ("pix2pix: weights as released, not trained on this set",)
    assert frozen(Pix2Pix(), 10) == ()
    check_trained(Pix2Pix(), 10)
    for wrong in (
        Pix2Pix(generator=Pix2PixRecipe(epochs=0)),
        replace(given, generator=replace(given.generator, epochs=-1)),
    ):
        with pytest.raises(UsageError, match=r"^pix2pix: network generator would have .* updates; allowed: .*\(init\)"):
            check_trained(wrong, 10)


def test_a_folder_of_diffusers_is_known_by_both_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "presets" / "unet"
    weights_of = Path(weights(folder / "diffusion_pytorch_model.safetensors"))
    (folder / "config.json").write_text("{}")
    before = with_digests(starting(str(folder))).generator.init_sha256
    (folder / "config.json").write_text('{"a": 1}')
    assert with_digests(starting(str(folder))).generator.init_sha256 != before
    assert recipe(preset(folder.parent, "unet")).init == str(folder.resolve())
    weights_of.unlink()
    with pytest.raises(UsageError, match=r"a folder without config\.json and"):
        with_digests(starting(str(folder)))


def preset(folder: Path, init: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"base: quick-cold\nmethods: {{pix2pix: {{generator: {{init: {init}}}}}}}\n")
    return str(path)


def recipe(preset: str, *changes: str) -> Pix2PixRecipe:
    plugins = load_plugins(())
    (row,) = resolve(Request(methods=("pix2pix",), preset=preset, changes=changes), plugins).rows
    assert isinstance(row.translator, Pix2Pix)
    return row.translator.generator


def test_a_preset_names_the_file_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights(tmp_path / "presets" / "w" / "a.safetensors")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = recipe(preset(tmp_path / "presets", "w/a.safetensors"))
    assert Path(found.init).is_file() and len(found.init_sha256) == 64


@pytest.mark.parametrize("nothing", ["", "''"])
def test_an_empty_init_starts_from_nothing_again(tmp_path: Path, nothing: str) -> None:
    weights(tmp_path / "a.safetensors")
    found = recipe(preset(tmp_path, "a.safetensors"), f"methods.pix2pix.generator.init={nothing}")
    assert found == replace(found, init_sha256="") and not found.init


def broken(self: object, samples: int) -> int:
    raise ZeroDivisionError("two\nlines")


@pytest.mark.parametrize(
    ("updates", "came"),
    [
        (broken, r"raised ZeroDivisionError: two\\nlines"),
        (lambda self, samples: samples / 3, r"is 2\.666\d*"),
        (lambda self, samples: None, "is None"),
    ],
)
def test_a_recipe_that_cannot_say_its_updates_is_one_line(
    updates: Callable[..., Any], came: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for recipe in (Pix2PixRecipe, SmallCNN):
        monkeypatch.setattr(recipe, "updates", updates)
    with pytest.raises(PluginError, match=rf"^pix2pix: network generator: updates\(8\) {came}; a whole number is due$"):
        check_trained(Pix2Pix(), 8)
    with pytest.raises(PluginError, match=rf"^recognition x: updates\(8\) {came}; a whole number is due$"):
        asked("recognition x", SmallCNN(), 8)
