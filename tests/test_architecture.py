"""Imports point one way: between packages, and between the rooms of the core. The core names no method."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "benchmark" / "nferbench"
ROOTS = {"nferbench": "benchmark", "nferbench_methods": "methods", "nferbench_reports": "reports"}
# The rooms of the core, lowest first. A room imports rooms of lower levels only, never one beside it.
LEVELS = (
    ("contract", "machine"),
    ("weights",),
    ("datasets", "detectors", "recognisers", "workspace"),
    ("faces", "metrics"),
    ("planning",),
    ("engine",),
    ("checking",),
    ("cli",),
)
ROOMS = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
PUBLIC = {"nferbench", "nferbench.weights"}  # all that methods may use of the core
LIGHT = {
    "nferbench.contract.errors",
    "nferbench.contract.printable",
    "nferbench.metrics.classification",
}  # all that reports may use of the core


def files(package: str) -> list[Path]:
    return sorted((ROOT / ROOTS[package] / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where an arrow points"
            for alias in node.names:
                submodule = (node.module or "") + f".{alias.name}"
                yield submodule if _is_module(submodule) else node.module or ""


def _is_module(name: str) -> bool:
    package, *rest = name.split(".")
    path = ROOT.joinpath(ROOTS.get(package, ""), package, *rest)
    return package in ROOTS and (path.is_dir() or path.with_suffix(".py").is_file())


def room_of(module: str) -> str:
    """The room of a module of the core; "" for what lies directly in the package."""
    _, room, *_ = [*module.split("."), ""]
    return room if room in ROOMS else ""


def arrows(room: str) -> dict[str, set[str]]:
    """The rooms that a room imports, each with the files that do."""
    found: dict[str, set[str]] = {}
    for path in sorted((CORE / room).rglob("*.py")):
        for name in imports(path):
            if name.split(".")[0] == "nferbench" and room_of(name) not in ("", room):
                found.setdefault(room_of(name), set()).add(path.relative_to(CORE).as_posix())
    return found


def test_few_modules_lie_outside_the_rooms() -> None:
    assert {path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ROOMS)
    assert len(list(CORE.glob("*.py"))) <= 4


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_lower_rooms_only(room: str) -> None:
    for other, paths in arrows(room).items():
        assert ROOMS[other] < ROOMS[room], f"{', '.join(sorted(paths))} in {room} import {other}, which is not below"


def test_no_module_of_the_core_waits_for_itself() -> None:
    graph: dict[str, set[str]] = {}
    for path in files("nferbench"):
        module = ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")
        graph[module] = {name for name in imports(path) if name.split(".")[0] == "nferbench" and name != "nferbench"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_docs_show_the_rooms_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = re.findall(r"^\| `(\w+)/` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    expected = []
    for room in reversed(ROOMS):
        what = (importlib.import_module(f"nferbench.{room}").__doc__ or "").strip().splitlines()[0]
        below = ", ".join(sorted(arrows(room), key=list(ROOMS).index)) or "nothing of ours"
        expected.append((room, what, below))
    assert shown == expected


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("nferbench", {"nferbench"}),
        ("nferbench_methods", {"nferbench", "nferbench_methods"}),
        ("nferbench_reports", {"nferbench", "nferbench_reports"}),
    ],
)
def test_imports_between_packages_point_one_way(package: str, allowed: set[str]) -> None:
    for path in files(package):
        ours = {name for name in imports(path) if name.split(".")[0].startswith("nferbench")}
        wrong = {name for name in ours if name.split(".")[0] not in allowed}
        if path in (CORE / "cli" / "report.py", CORE / "cli" / "diagnose.py"):  # where the parts are put together
            wrong -= {"nferbench_reports"}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(("package", "allowed"), [("nferbench_methods", PUBLIC), ("nferbench_reports", LIGHT)])
def test_methods_use_public_names_and_reports_light_parts(package: str, allowed: set[str]) -> None:
    for path in files(package):
        core = {name for name in imports(path) if name.split(".")[0] == "nferbench"}
        assert core <= allowed, f"{path.relative_to(ROOT)} imports {core - allowed}"


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


def test_one_command_downloads_and_nothing_else_can() -> None:
    downloads, network = "nferbench.weights.downloading", {"urllib", "http", "ftplib", "requests"}
    importers = {path.relative_to(CORE).as_posix() for path in files("nferbench") if downloads in imports(path)}
    assert importers == {"cli/weights.py"}
    for package in ROOTS:
        for path in files(package):
            fetching = network & {name.split(".")[0] for name in imports(path)}
            assert not fetching or path == CORE / "weights" / "downloading.py", f"{path} imports {fetching}"


@pytest.mark.parametrize(
    "statement",
    [
        "import nferbench",
        "import nferbench_reports",
        "from nferbench_reports import write_report",
        "from nferbench.planning.plugins import load_plugins; assert not load_plugins(installed=False).failures",
        "import nferbench.cli, nferbench.engine.runner, nferbench.planning.records, nferbench.engine.preflight",
    ],
)
def test_planning_and_reporting_do_not_load_torch(statement: str) -> None:
    code = f"{statement}\nimport sys; print([name for name in ('torch', 'diffusers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_import_test_can_fail() -> None:
    code = "import nferbench.contract.noise, sys; print([name for name in ('torch',) if name in sys.modules])"
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
