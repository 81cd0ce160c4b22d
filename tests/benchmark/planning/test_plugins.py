from __future__ import annotations

from pathlib import Path

import pytest

from nferbench.contract.errors import PluginError, UsageError
from nferbench.planning.plugins import BUILT_IN, load_plugins

PLUGINS = Path(__file__).parents[2] / "plugins"

EMPTY_HOOK = "from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators({}):\n    return {}\n"


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


def test_a_repeated_name_names_both_plugins(tmp_path: Path) -> None:
    text = (
        "from dataclasses import replace\nfrom nferbench import hookimpl\nfrom nferbench_methods.none import *\n"
        "from nferbench_methods.none import WithoutTranslation\n"
        "@hookimpl\ndef nferbench_translators():\n    return [WithoutTranslation()]\n"
    )
    with pytest.raises(PluginError, match=r"nferbench_methods.none and .*repeats.py both register 'none'"):
        load_plugins([written(tmp_path / "repeats.py", text)])


def test_a_hook_that_returns_something_else_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "returns_text.py", EMPTY_HOOK.format("", "['nfer']"))
    with pytest.raises(PluginError, match="must return a list of Translator"):
        load_plugins([file])


def test_a_plugin_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_plugins(["nowhere.py"])
