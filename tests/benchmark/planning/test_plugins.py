from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import UsageError
from nferbench.planning.plugins import BUILT_IN, load_plugins

PLUGINS = Path(__file__).parents[2] / "plugins"

EMPTY_HOOK = "from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators({}):\n    return {}\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a module where an installed package would be, with its entry point."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(module: str, text: str) -> None:
        (site / f"{module}.py").write_text(text)
        about = site / f"nferbench_{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: nferbench-{module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[nferbench]\n{module} = {module}\n")

    return make


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_built_in_plugins_load_by_the_same_hooks() -> None:
    plugins = load_plugins(installed=False)
    assert plugins.failures == ()
    assert {"none", "pix2pix", "nfer-sde"} <= set(plugins.translators)
    assert {"synthetic-hfe", "synthetic-vis", "manifest", "folder"} <= set(plugins.datasets)
    assert {"smallcnn", "resnet18"} <= set(plugins.fer_models)


def test_the_core_lists_its_plugins_as_strings() -> None:
    assert all(isinstance(name, str) for name in BUILT_IN)


def test_a_plugin_file_adds_to_what_is_there() -> None:
    plugins = load_plugins([str(PLUGINS / "toy.py")])
    assert plugins.translators["toy-regression"].title == "Regression"
    assert "none" in plugins.translators.items


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown method 'pix2pics'; did you mean 'pix2pix'\? \(nferbench methods"):
        load_plugins().translators["pix2pics"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import a_module_that_is_not_there\n", "ModuleNotFoundError"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("def broken(:\n", "SyntaxError"),
        (EMPTY_HOOK.format("surprise", "[]"), "PluginValidationError"),
        (
            EMPTY_HOOK.format("", "[]").replace("nferbench_translators", "nferbench_translatorz"),
            "PluginValidationError",
        ),
        (EMPTY_HOOK.format("", "1 / 0"), "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_is_named_and_the_rest_keeps_working(tmp_path: Path, text: str, reason: str) -> None:
    file = written(tmp_path / f"failing_{reason.lower()}_{abs(len(text))}.py", text)
    plugins = load_plugins([file])
    assert [(failure.plugin, failure.reason.split(":")[0]) for failure in plugins.failures] in (
        [(file, reason)],
        [(file, f"nferbench_translators raised {reason}")],
    )
    assert "none" in plugins.translators.items


def test_asking_for_what_a_failed_plugin_may_have_given_names_it(tmp_path: Path) -> None:
    file = written(tmp_path / "gone_wrong.py", "raise RuntimeError('no licence')\n")
    with pytest.raises(UsageError, match=r"gone_wrong.py did not load: RuntimeError: no licence"):
        load_plugins([file]).translators["wanted"]


REPEATS = (
    "from nferbench import hookimpl\nfrom nferbench_methods.none import WithoutTranslation\n"
    "@hookimpl\ndef nferbench_translators():\n    return [WithoutTranslation()]\n"
)


def test_a_file_that_repeats_a_name_is_named_when_the_name_is_asked_for(tmp_path: Path) -> None:
    plugins = load_plugins([written(tmp_path / "repeats.py", REPEATS)])
    assert "pix2pix" in plugins.translators.items
    with pytest.raises(UsageError, match=r"plugins nferbench_methods.none and .*repeats.py both register 'none'"):
        plugins.translators["none"]


def test_a_package_that_repeats_a_name_does_not_take_it(tmp_path: Path, install: Callable[[str, str], None]) -> None:
    install("repeats_a_name", REPEATS)
    install("first_of_two", REPEATS.replace("WithoutTranslation()", 'WithoutTranslation(name="mine")'))
    install("second_of_two", REPEATS.replace("WithoutTranslation()", 'WithoutTranslation(name="mine")'))
    plugins = load_plugins()
    assert type(plugins.translators["none"]).__module__ == "nferbench_methods.none"
    with pytest.raises(UsageError, match=r"first_of_two .* and second_of_two .* both register 'mine'"):
        plugins.translators["mine"]


def test_a_hook_that_returns_something_else_is_told(tmp_path: Path) -> None:
    plugins = load_plugins([written(tmp_path / "returns_text.py", EMPTY_HOOK.format("", "['nfer']"))])
    assert [failure.reason for failure in plugins.failures] == [
        "nferbench_translators: it must return a list of Translator, not 'nfer'"
    ]


METHOD = """
from __future__ import annotations
import sys
from dataclasses import dataclass, field
from nferbench import NetworkRecipe, Translator, hookimpl

@dataclass(frozen=True)
class Recipe(NetworkRecipe):
    batch_size: int = 4
    value: object = 1
    def build(self, faces): ...
    def learner(self, network, faces, pairs): ...
    def updates(self, pairs): return 1

@dataclass({frozen})
class Mine(Translator):
    {body}
    name: str = field(default={name!r}, compare=False)
    title: str = field(default={title!r}, compare=False)
    value: object = {value}
    def networks(self): return {networks}
    def translate(self, vis, networks, noise): return vis

@hookimpl
def nferbench_translators():
    return [Mine(), Mine(name="good", title="Good", value=2)]
"""
RIGHT = {
    "frozen": "frozen=True",
    "body": "group = 'gan'",
    "name": "my-own_1.0+x",
    "title": "My own method, größer",
    "value": "1",
    "networks": "{'network': Recipe()}",
}


def fault(tmp_path: Path, **change: str) -> str:
    file = written(tmp_path / f"mine_{abs(hash(str(change)))}.py", METHOD.format(**{**RIGHT, **change}))
    plugins = load_plugins([file])
    assert "pix2pix" in plugins.translators.items
    assert not any(failure.whole for failure in plugins.failures)
    return str(plugins.failures[0]) if plugins.failures else ""


def test_a_method_that_keeps_the_contract_is_taken(tmp_path: Path) -> None:
    assert fault(tmp_path) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "the name is ''; 1 to 64 letters"),
        ({"name": "a,b"}, "the name is 'a,b'"),
        ({"name": "a b"}, "the name is 'a b'"),
        ({"name": "../up"}, "the name is '../up'"),
        ({"name": "-x"}, "the name is '-x'"),
        ({"name": "line\n"}, r"the name is 'line\\n'"),
        ({"name": "x" * 65}, "the name is 'xxx"),
        ({"name": 5}, "the name is 5"),
        ({"name": "all"}, "the name 'all' means something else"),
        ({"name": "Ablation"}, "the name 'Ablation' means something else"),
        ({"name": "cond"}, "the name 'cond' means something else"),
        ({"name": "ilvr-grey"}, "the name 'ilvr-grey' means something else"),
        ({"name": "nir-only"}, "the name 'nir-only' means something else"),
        ({"title": " "}, "the title is ' '; one printable line"),
        ({"title": "a\x1b[31m"}, r"the title is 'a\\x1b\[31m'"),
        ({"title": "a" * 201}, "the title is 'aaa"),
        ({"body": "group = 'classical'"}, "the group is 'classical'; allowed: none, gan, diffusion"),
        ({"body": "group = None"}, "the group is None"),
        ({"body": ""}, "AttributeError"),
        ({"body": "group, heterogeneous = 'gan', 1"}, "heterogeneous is 1; True or False is due"),
        ({"frozen": ""}, "a Mine, which is no frozen dataclass"),
        ({"value": "field(default_factory=list)"}, "no plain value"),
        ({"value": "field(default_factory=lambda: float('nan'))"}, "no plain value"),
        ({"value": "sys"}, "no plain value"),
        ({"networks": "None"}, "networks\\(\\) gives None; recipes by role are due"),
        ({"networks": "{'network': 3}"}, "network network is 3; a NetworkRecipe is due"),
        ({"networks": "{3: Recipe()}"}, "a network has the role 3"),
        ({"networks": "{'network': Recipe(value=print)}"}, "the recipe of network network has a field"),
        ({"networks": "{'network': Recipe(batch_size=0)}"}, "batch_size of network network is 0"),
        (
            {"networks": "{'network': Recipe(value=__import__('time').perf_counter())}"},
            "not equal when it is asked twice",
        ),
        ({"networks": "1 / 0"}, "ZeroDivisionError"),
        ({"networks": "sys.exit(3)"}, "SystemExit"),
        ({"body": "group = 'gan'; stamps = 'text'"}, "stamps is 'text'; a tuple of texts is due"),
        ({"body": "group = 'gan'; stamps = (3,)"}, "a stamp is 3"),
        ({"body": "group = 'gan'; stamps = property(lambda self: 1 / 0)"}, "ZeroDivisionError"),
        ({"body": "group = 'gan'; presets = 3"}, "presets is 3; a mapping"),
        ({"body": "group = 'gan'; presets = {'quick': {'nothing': 3}}"}, "has no field 'nothing'"),
        ({"body": "group = 'gan'; x: Nowhere = 3"}, "NameError"),
    ],
)
def test_a_method_that_breaks_the_contract_is_told_and_left_out(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    assert re.search(reason, fault(tmp_path, **change))


@pytest.mark.parametrize(
    "text", ["raise SystemExit(3)\n", "raise BaseException('no')\n", "import sys; sys.exit('bye')\n"]
)
def test_a_package_that_ends_the_process_is_set_aside(install: Callable[[str, str], None], text: str) -> None:
    install("ends_the_process", text)
    plugins = load_plugins()
    assert [failure.plugin for failure in plugins.failures] == ["ends_the_process (nferbench-ends_the_process)"]
    assert "none" in plugins.translators.items


def test_what_one_plugin_does_wrong_is_not_told_of_the_next(tmp_path: Path) -> None:
    half = EMPTY_HOOK.format("", "[]").replace("nferbench_translators", "nferbench_translatorz")
    half += "@hookimpl\ndef nferbench_datasets(surprise):\n    return []\n"
    first = written(tmp_path / "half_right.py", half)
    second = written(tmp_path / "wholly_right.py", EMPTY_HOOK.format("", "[]"))
    plugins = load_plugins([first, second])
    assert [failure.plugin for failure in plugins.failures] == [first]
    assert plugins.files == (second,)  # what workers load


@pytest.mark.parametrize(
    ("hook", "kind", "fields", "reason"),
    [
        ("datasets", "FaceDataset", "name: str = 'none'", "the name 'none' means something else"),
        ("datasets", "FaceDataset", "name: str = 'faces.csv'", "its name is that of a file"),
        ("datasets", "FaceDataset", "default_preset = 3", "default_preset is a text"),
        ("fer_models", "FERModel", "batch_size: int = 0", "batch_size is 0"),
        ("detectors", "FaceDetector", "name: str = 'given'", "the name 'given' means something else"),
        ("detectors", "FaceDetector", "points = -1", "points is -1"),
    ],
)
def test_the_other_kinds_are_held_to_their_contracts_too(
    tmp_path: Path, hook: str, kind: str, fields: str, reason: str
) -> None:
    text = (
        "from dataclasses import dataclass\nimport nferbench\n\n@dataclass(frozen=True)\n"
        f"class Mine(nferbench.{kind}):\n    name: str = 'mine'\n    title: str = 'Mine'\n"
        f"    points = 0\n    {fields}\n"
        "Mine.__abstractmethods__ = frozenset()\n"
        f"@nferbench.hookimpl\ndef nferbench_{hook}():\n    return [Mine()]\n"
    )
    plugins = load_plugins([written(tmp_path / f"other_{abs(hash(fields))}.py", text)])
    assert len(plugins.failures) == 1 and reason in plugins.failures[0].reason


def test_a_plugin_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_plugins(["nowhere.py"])
