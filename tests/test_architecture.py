"""Imports point one way, the core names no method, and reports never load torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = {"nferbench": "benchmark", "nferbench_methods": "methods", "nferbench_reports": "reports"}
ALLOWED = {
    "nferbench": {"nferbench"},
    "nferbench_methods": {"nferbench", "nferbench_methods"},
    "nferbench_reports": {"nferbench", "nferbench_reports"},
}
LIGHT = {"nferbench.errors", "nferbench.scores"}  # all that reports may use of the core


def files(package: str) -> list[Path]:
    return sorted((ROOT / ROOTS[package] / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where an arrow points"
            yield node.module or ""


@pytest.mark.parametrize("package", ROOTS)
def test_imports_point_one_way(package: str) -> None:
    for path in files(package):
        ours = {name for name in imports(path) if name.split(".")[0].startswith("nferbench")}
        wrong = {name for name in ours if name.split(".")[0] not in ALLOWED[package]}
        if path.name == "cli.py":
            wrong -= {"nferbench_reports"}  # the composition root
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_reports_use_only_light_parts_of_the_core() -> None:
    for path in files("nferbench_reports"):
        core = {name for name in imports(path) if name.split(".")[0] == "nferbench"}
        assert core <= LIGHT, f"{path.relative_to(ROOT)} imports {core - LIGHT}"


def test_methods_do_not_import_each_other() -> None:
    folder = ROOT / "methods" / "nferbench_methods"
    methods = {f"nferbench_methods.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"}
    for path in files("nferbench_methods"):
        wrong = methods & set(imports(path))
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_core_names_no_method() -> None:
    names = ("pix2pix", "nfer_sde", "nfer-sde", "cyclegan", "hifacegan", "egsde", "sdedit", "ilvr", "sr3", "t2v")
    for path in files("nferbench"):
        if path.name == "plugins.py":  # lists the built-in modules as strings
            continue
        code = "\n".join(_without_prose(path))
        found = [name for name in names if name in code.lower()]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


@pytest.mark.parametrize(
    "statement",
    [
        "import nferbench",
        "import nferbench_reports",
        "from nferbench_reports import write_report",
        "from nferbench.plugins import load_plugins; assert not load_plugins(installed=False).failures",
        "import nferbench.cli, nferbench.runner, nferbench.records, nferbench.survey",
    ],
)
def test_planning_and_reporting_do_not_load_torch(statement: str) -> None:
    code = f"{statement}\nimport sys; print([name for name in ('torch', 'diffusers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_import_test_can_fail() -> None:
    code = "import nferbench.noise, sys; print([name for name in ('torch',) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "['torch']", done.stderr


def _without_prose(path: Path) -> Iterator[str]:
    """The strings and names that the code works with, without docstrings, help texts and comments."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            prose.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
