"""Presets that build on others, and rows that stand once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nferbench.contract.errors import UsageError
from nferbench.planning.plugins import load_plugins
from nferbench.planning.presets import SETTINGS, merged, presets, read_preset
from nferbench.planning.settings import Request, Settings, resolve

PLUGINS = load_plugins(installed=False)


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def settings(preset: str, *methods: str) -> Settings:
    return resolve(Request(preset=preset, methods=methods or ("all",)), PLUGINS)


def test_rows_are_written_once_and_every_preset_has_them() -> None:
    written = {name: yaml.safe_load(path.read_text("utf-8")) for name, path in presets().items()}
    assert [name for name, content in written.items() if {"ablation", "rows"} & set(content)] == ["paper"]
    for name in presets():
        content = read_preset(name).content
        assert len(content["ablation"]) == 5 and len(content["rows"]) == 8


def test_a_preset_states_what_differs_from_its_base(tmp_path: Path) -> None:
    mine = written(tmp_path, "mine.yaml", "base: quick\nfolds: 3\nmethods: {sr3: {score: {steps: 7}}}\n")
    found, quick = settings(mine, "all", "ablation"), settings("quick", "all", "ablation")
    assert (found.preset, found.size, found.fer, found.folds) == ("mine", 32, quick.fer, 3)
    rows = {row.name: row.translator for row in found.rows}
    for row in quick.rows:
        assert (rows[row.name] == row.translator) == (row.name != "sr3")
    assert rows["sr3"].score.steps == 7  # type: ignore[attr-defined]
    assert rows["sr3"].score.width == 16  # type: ignore[attr-defined]


def test_a_base_may_be_a_path_from_the_folder_of_the_file(tmp_path: Path) -> None:
    written(tmp_path, "shared/lab.yaml", "base: small\nfolds: 4\nsize: 96\n")
    mine = written(tmp_path, "mine.yaml", "base: shared/lab.yaml\nsize: 64\n")
    found = read_preset(mine)
    assert (found.content["folds"], found.content["size"], found.known_as) == (4, 64, ("small",))


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        ({"size": 64}, {"size": 32}, {"size": 32}),
        (
            {"methods": {"m": {"a": {"x": 1, "y": 2}}}},
            {"methods": {"m": {"a": {"y": 3}}}},
            {"m": {"a": {"x": 1, "y": 3}}},
        ),
        ({"methods": {"m": {"a": 1}}}, {"methods": {"n": {"a": 2}}}, {"m": {"a": 1}, "n": {"a": 2}}),
        ({"methods": {"m": {"a": 1}}}, {"methods": {"m": None}}, {"m": {"a": 1}}),
        ({"methods": {"m": {"a": [1, 2]}}}, {"methods": {"m": {"a": [3]}}}, {"m": {"a": [3]}}),
        ({"methods": {"m": None}}, {"methods": {"m": {"a": 1}}}, {"m": {"a": 1}}),
    ],
)
def test_mappings_are_merged_and_other_values_replaced(base: Any, own: Any, expected: Any) -> None:
    content = merged(base, own)
    assert content.get("methods", content) == expected


def test_rows_are_added_and_replace_those_of_equal_name(tmp_path: Path) -> None:
    mine = written(
        tmp_path,
        "mine.yaml",
        "base: quick\nrows:\n"
        "  - {use: sdedit, name: sdedit-300, title: Mine, set: {start_step: 310}}\n"
        "  - {use: sdedit, name: sdedit-20, title: New, set: {start_step: 20}}\n",
    )
    rows = {row.name: row for row in settings(mine, "variants").rows}
    assert len(rows) == 9
    assert (rows["sdedit-300"].title, rows["sdedit-300"].translator.start_step) == ("Mine", 310)  # type: ignore[attr-defined]
    assert rows["sdedit-20"].translator.start_step == 20  # type: ignore[attr-defined]


def test_a_row_may_take_what_another_method_has_at_the_preset(tmp_path: Path) -> None:
    for name in presets():
        rows = {row.name: row.translator for row in settings(name, "all", "ablation").rows}
        assert rows["baseline"].score == rows["sdedit"].score  # type: ignore[attr-defined]
    mine = written(tmp_path, "mine.yaml", "base: quick\nmethods: {sdedit: {score: {steps: 9}}}\n")
    baseline = settings(mine, "baseline").rows[0].translator
    assert (baseline.score.steps, baseline.score.conditional) == (9, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (
            "sdedit.scores",
            "like: sdedit.scores leads nowhere, there is no field 'scores'; known there: name, title, score",
        ),
        ("sdedit.score.width.x", "there is no field 'x'; known there: none"),
        ("sdedi.score", "unknown method 'sdedi'; did you mean 'sdedit'?"),
        ("sdedit.steps", "rows.mine.score: 8 is not allowed (it has fields: conditional, width,"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_clear_line(tmp_path: Path, like: str, message: str) -> None:
    row = f"{{use: nfer-sde, name: mine, set: {{score: {{like: {like}}}}}}}"
    mine = written(tmp_path, "mine.yaml", f"base: quick\nrows: [{row}]\n")
    with pytest.raises(UsageError) as caught:
        settings(mine, "mine")
    assert message in str(caught.value).splitlines()[0]


def test_a_plugin_s_own_sizes_are_those_of_the_nearest_preset_that_comes_along(tmp_path: Path) -> None:
    (tmp_path / "sized.py").write_text(
        "from dataclasses import dataclass, field\n"
        "from nferbench import Translator, hookimpl\n\n"
        "@dataclass(frozen=True)\n"
        "class Sized(Translator):\n"
        "    group = 'none'\n"
        "    presets = {'quick': {'wide': 2}, 'paper': {'wide': 9}}\n"
        "    name: str = field(default='sized', compare=False)\n"
        "    title: str = field(default='Sized', compare=False)\n"
        "    wide: int = 5\n\n"
        "    def networks(self):\n        return {}\n\n"
        "    def translate(self, vis, networks, noise):\n        return vis\n\n"
        "@hookimpl\n"
        "def nferbench_translators():\n    return [Sized()]\n"
    )
    plugins = load_plugins([str(tmp_path / "sized.py")], installed=False)
    on_quick = written(tmp_path, "on-quick.yaml", "base: quick\n")
    alone = written(tmp_path, "alone.yaml", "size: 32\nfer: smallcnn\n")
    for preset, wide in (("quick", 2), ("study", 2), ("small", 5), ("paper", 9), (on_quick, 2), (alone, 5)):
        row = resolve(Request(preset=preset, methods=("sized",)), plugins).rows[0]
        assert row.translator.wide == wide, preset  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: quik\n", "unknown preset 'quik'; did you mean 'quick'?"),
        ("base: other.yaml\n", "other.yaml cannot be read"),
        ("base: mine.yaml\n", "builds on itself"),
        ("base: ../{here}/mine.yaml\n", "builds on itself"),
        ("base: [quick]\n", "'base' must be a str"),
        ("base: quick\nmethod: {}\n", "unknown section 'method'; did you mean 'methods'?"),
    ],
)
def test_a_bad_base_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    mine = written(tmp_path, "mine.yaml", text.replace("{here}", tmp_path.name))
    with pytest.raises(UsageError) as caught:
        settings(mine)
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_every_setting_has_a_default() -> None:
    found = resolve(Request(preset="paper", methods=("none",)), PLUGINS)
    for name in SETTINGS:
        assert hasattr(found, name)


def test_weights_lead_from_the_folder_of_the_preset_and_a_name_that_no_file_can_have_stays(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    for init, located in (("w.safetensors", str(tmp_path / "w.safetensors")), ("x" * 300, "x" * 300)):
        mine = written(tmp_path, "mine.yaml", f"methods: {{pix2pix: {{generator: {{init: {init}}}}}}}\n")
        assert read_preset(mine).content["methods"]["pix2pix"]["generator"]["init"] == located
