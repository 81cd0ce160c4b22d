"""A field of a method that has in a run what another method has there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import UsageError
from nferbench.contract.values import describe
from nferbench.planning.plugins import Plugins, load_plugins
from nferbench.planning.presets import presets
from nferbench.planning.settings import Request, Settings, resolve

METHOD = """
from dataclasses import dataclass, field
from typing import ClassVar
from nferbench import LIKE, Translator, hookimpl
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, ScoreRecipe


@dataclass(frozen=True)
class {cls}(Translator):
    group: ClassVar = "diffusion"
    presets: ClassVar = {presets}
    name: str = field(default="{name}", compare=False)
    title: str = field(default="{name}", compare=False)
    score: ScoreRecipe = field(default=CONDITIONAL_SCORE, metadata={{LIKE: {to!r}}})
    {more}

    def networks(self):
        return {{"score": self.score}}

    def translate(self, vis, networks, noise):
        return vis


@hookimpl
def nferbench_translators():
    return [{cls}()]
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Plugins]:
    """Loads a plugin for each set of words, in files of names of their own."""

    def load(*methods: dict[str, Any]) -> Plugins:
        files = []
        for words in methods:
            given = {"name": "mine", "cls": "Mine", "to": "nfer-sde.score", "presets": {}, "more": "", **words}
            file = tmp_path / f"{tmp_path.name}_{given['name'].replace('.', '_')}.py"
            file.write_text(METHOD.format(**given))
            files.append(str(file))
        return load_plugins(files, installed=False)

    return load


def settings(plugins: Plugins, *changes: str, **request: Any) -> Settings:
    return resolve(Request(**{"methods": ("mine",), "preset": "quick", "changes": changes, **request}), plugins)


def refusal(plugins: Plugins, *changes: str, **request: Any) -> str:
    with pytest.raises(UsageError) as caught:
        settings(plugins, *changes, **request)
    return str(caught.value)


@pytest.mark.parametrize("preset", presets())
def test_a_plugin_shares_the_network_of_a_method_at_every_preset(preset: str, loaded: Callable[..., Plugins]) -> None:
    plugins = loaded({})
    mine, other = settings(plugins, preset=preset, methods=("mine", "nfer-sde")).rows
    assert mine.translator.networks()["score"] == other.translator.networks()["score"]
    alone = settings(plugins, preset=preset).rows[0].translator
    assert describe(alone) == describe(mine.translator)
    assert set(describe(alone)) == {"is", "version", "score"} and isinstance(describe(alone)["score"], dict)


def test_a_setting_of_the_method_reaches_whoever_follows_it(loaded: Callable[..., Plugins]) -> None:
    plugins = loaded({"presets": {"quick": {"score.lr": 0.5}}})
    found: Any = settings(plugins, "methods.nfer-sde.score.steps=9").rows[0].translator
    assert (found.score.steps, found.score.width, found.score.lr) == (9, 16, 0.5)
    assert settings(plugins, "methods.nfer-sde.score.steps=9", methods=("mine", "none")).rows
    for change in ("methods.nfer-sde.score.lr=0.1", "methods.nfer-sde.lambda_f=1"):  # set by itself; not followed
        assert f"--set {change.partition('=')[0]} changes nothing" in refusal(plugins, change)
    both = refusal(plugins, "methods.nfer-sde.score.steps=9", "methods.mine.score.steps=8")
    assert "--set methods.nfer-sde.score.steps changes nothing" in both


def test_what_is_set_of_the_field_goes_on_top(loaded: Callable[..., Plugins], tmp_path: Path) -> None:
    plugins = loaded({"presets": {"quick": {"score": {"lr": 0.5}}, "small": {"score.lr": 0.25}}})
    own = tmp_path / "own.yaml"
    own.write_text("base: quick\nmethods: {mine: {score: {steps: 3}}}\n")
    at = {
        preset: settings(plugins, "methods.mine.score.ema=0.5", preset=preset).rows[0].translator
        for preset in ("quick", "small", str(own))
    }
    scores = {preset: (each.score.width, each.score.lr, each.score.ema) for preset, each in at.items()}  # type: ignore[attr-defined]
    assert scores == {"quick": (16, 0.5, 0.5), "small": (32, 0.25, 0.5), str(own): (16, 0.5, 0.5)}
    assert at[str(own)].score.steps == 3  # type: ignore[attr-defined]


def test_fields_of_all_kinds_follow_and_so_do_those_of_values_below(loaded: Callable[..., Plugins]) -> None:
    more = 'steps: int | None = field(default=None, metadata={LIKE: "nfer-sde.steps"})'
    plugins = loaded(
        {"more": more},
        {"name": "chained", "cls": "Chained", "to": "mine.score", "more": more.replace("nfer-sde", "mine")},
        {"name": "dot.ted", "cls": "Dotted"},
        {"name": "last", "cls": "Last", "to": "dot.ted.score"},
    )
    methods = ("chained", "last")
    found = settings(plugins, "methods.nfer-sde.steps=7", "methods.nfer-sde.score.steps=9", methods=methods).rows
    chained, last = (row.translator for row in found)
    assert (chained.steps, chained.score.steps, last.score.steps) == (7, 9, 9)  # type: ignore[attr-defined]
    assert settings(plugins, "methods.mine.score.steps=5", methods=("chained",)).rows[0].translator.score.steps == 5  # type: ignore[attr-defined]


def test_values_that_only_hold_together_are_set_together(loaded: Callable[..., Plugins]) -> None:
    more = (
        "learned: bool = True\n\n    def __post_init__(self):\n"
        "        if self.learned != self.score.learned_variance:\n            raise ValueError('they differ')\n"
    )
    plugins = loaded({"more": more})
    changes = "methods.nfer-sde.score.learned_variance=false", "methods.mine.learned=false"
    assert settings(plugins, *changes).rows
    assert refusal(plugins, changes[0]) == "methods.mine: they differ"
    assert settings(plugins, changes[0], methods=("nfer-sde",)).rows  # a run without it is not concerned


def test_rows_that_use_a_method_have_what_it_has(loaded: Callable[..., Plugins], tmp_path: Path) -> None:
    plugins = loaded({})
    own = tmp_path / "own.yaml"
    own.write_text(
        "base: quick\nrows:\n  - {use: mine, name: faster, set: {score: {like: mine.score}, score.steps: 2}}\n"
        "  - {use: sdedit, name: reversed, set: {score.steps: 2, score: {like: mine.score}}}\n"
    )
    faster, other = settings(
        plugins, "methods.nfer-sde.score.width=32", preset=str(own), methods=("faster", "reversed")
    ).rows
    for row in (faster, other):
        assert (row.translator.score.steps, row.translator.score.width) == (2, 32)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("to", "more", "reason"),
    [
        ("nfer-sdee.score", "", r"mine.score: like: nfer-sdee.score leads nowhere: unknown method 'nfer-sdee'; did"),
        ("nfer-sde.scores", "", r"mine.score: like: nfer-sde.scores leads nowhere, there is no field 'scores'; known"),
        ("nfer-sde.score.x", "", r"there is no field 'x'; known there: conditional, width"),
        ("nfer-sde.steps.x", "", r"there is no field 'x'; known there: none"),
        ("baseline.score", "", r"unknown method 'baseline'"),
        ("nfer-sde.heatmaps", "", r"mine.score: like: nfer-sde.heatmaps is of type HeatmapRecipe; ScoreRecipe is due"),
        ("nfer-sde.steps", "", r"mine.score: like: nfer-sde.steps is of type NoneType; ScoreRecipe is due"),
        ("mine.score", "", r"mine.score: like: mine.score leads in a circle \(mine -> mine\); give one"),
        ("nfer-sde", "", r"the field score is declared with LIKE 'nfer-sde'; a text METHOD.FIELD is due"),
        ("nfer-sde..x", "", r"declared with LIKE 'nfer-sde..x'"),
        (3, "", r"the field score is declared with LIKE 3"),
        ("nfer-sde.score", "x: int = field(default=1, metadata={LIKE: 'sdedit.score'})", "ScoreRecipe; int is due"),
        ("nfer-sde.score", "x: int = field(default=1, metadata={LIKE: 'sdedit.steps'})", "mine.x: None is not allowed"),
        ("nfer-sde.score", "x: int = field(default=1, metadata={LIKE: 'sdedit.none'})", r"there is no field 'none'"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_leaves_its_method_out(
    loaded: Callable[..., Plugins], to: object, more: str, reason: str
) -> None:
    plugins = loaded({"to": to, "more": more})
    assert "mine" not in plugins.translators.items and len(plugins.failures) == 1
    assert settings(plugins, methods=("none", "nfer-sde")).rows
    (line,) = refusal(plugins).splitlines()
    assert re.search(reason, line) and "is used in part only" in line


def test_a_circle_leaves_all_of_it_out_and_nothing_else(loaded: Callable[..., Plugins]) -> None:
    plugins = loaded(
        {"to": "other.score"},
        {"name": "other", "cls": "Other", "to": "mine.score"},
        {"name": "beside", "cls": "Beside", "to": "other.score"},
        {"name": "sound", "cls": "Sound"},
    )
    assert {"mine", "other", "beside"}.isdisjoint(plugins.translators) and "sound" in plugins.translators
    assert "leads in a circle (mine -> other -> mine); give one of these methods its own values" in refusal(plugins)


def test_only_methods_follow_others(tmp_path: Path) -> None:
    file = tmp_path / "following_set.py"
    file.write_text(
        "from dataclasses import dataclass, field\nimport nferbench\n\n@dataclass(frozen=True)\n"
        "class Mine(nferbench.FaceDataset):\n    name: str = 'mine'\n    title: str = 'Mine'\n"
        "    subjects: int = field(default=3, metadata={nferbench.LIKE: 'nfer-sde.steps'})\n"
        "Mine.__abstractmethods__ = frozenset()\n@nferbench.hookimpl\ndef nferbench_datasets():\n    return [Mine()]\n"
    )
    (failure,) = load_plugins([str(file)], installed=False).failures
    assert failure.reason.endswith("the field subjects is declared with LIKE, which only those of methods can be")
