"""The docs say what the sources do."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import typer
import yaml

import nferbench
from nferbench.cli.app import app
from nferbench.contract import hookspecs
from nferbench.planning.plugins import load_plugins

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_deviation_has_its_row() -> None:
    marks: Counter[str] = Counter()
    for folder in ("benchmark", "methods", "reports"):
        for path in (ROOT / folder).rglob("*.py"):
            count = len(re.findall(r"# Deviation:", path.read_text("utf-8")))
            if count:
                marks[path.relative_to(ROOT).as_posix()] = count
    rows = Counter(re.findall(r"^\| `([^`]+\.py)` \|", (DOCS / "deviations.md").read_text("utf-8"), re.MULTILINE))
    assert rows == marks


def test_every_hook_has_a_section_with_its_signature() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8")
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("nferbench_")]
    assert len(hooks) == 4
    for hook in hooks:
        returns = inspect.signature(hook).return_annotation
        assert f"## {hook.__name__}() -> {returns}\n" in text


def test_the_worked_example_is_a_plugin_that_loads(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (DOCS / "plugins.md").read_text("utf-8"), re.DOTALL)[0]
    file = tmp_path / "unet_l1.py"
    file.write_text(code)
    plugins = load_plugins([str(file)])
    assert plugins.failures == ()
    assert plugins.translators["unet-l1"].title == "U-Net, L1"


def test_the_example_trains_and_translates(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (DOCS / "plugins.md").read_text("utf-8"), re.DOTALL)[0]
    (tmp_path / "example.py").write_text(code)
    words = [
        *("run", "--plugin", str(tmp_path / "example.py"), "--plugin", str(ROOT / "tests" / "plugins" / "toy.py")),
        *("--methods", "unet-l1", "--dataset", "toy", "--extra", "none", "--folds", "2", "--workspace", str(tmp_path)),
        *("--set", "methods.unet-l1.network.steps=2"),
    ]
    call = [sys.executable, "-m", "nferbench", *words]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("quality/unet-l1-*/scores.csv"))) == 2


def test_the_readme_lists_every_method_command_and_data_set() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    plugins = load_plugins(installed=False)
    for name in (*plugins.translators, *plugins.datasets, *plugins.fer_models):
        assert f"`{name}`" in text, name
    tree = [("nferbench", typer.main.get_command(app))]
    commands = []
    while tree:
        words, command = tree.pop()
        inner = getattr(command, "commands", {})
        tree += [(f"{words} {name}", each) for name, each in inner.items()]
        commands += [] if inner else [words]
    assert len(commands) == 20
    for name in commands:
        assert name in text, name


def test_the_readme_shows_the_set_up_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("install", "demo", "test", "bench"):
        assert f"make {target}" in text and f"\n{target}:" in makefile


def test_the_docs_name_every_public_name() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8")
    table = re.findall(r"^\| [\w ]+ \| (`.+`) \|$", text, re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`(\w+)`", row)}
    assert named == set(nferbench.__all__) - {"__version__", "Group", "NferbenchError"}


def test_licence_and_citation_are_those_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["version"] == project["version"] == nferbench.__version__
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert {"LICENSE", "CITATION.cff"} <= set(project["license-files"])


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")]), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", prose):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
