"""Initial weights are known by their content, told under the tables, and never those that saw the tested people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nferbench.contract.errors import UsageError
from nferbench.contract.values import describe
from nferbench.planning.initial import ORIGIN, check_unseen, stamps, with_digests
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
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
