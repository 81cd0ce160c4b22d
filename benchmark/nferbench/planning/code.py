"""Which code a stage was done by: a fingerprint that changes with what the code says, not with comments or layout."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from nferbench.workspace.stages import Stage

CORE = "nferbench"  # whoever changes what it computes raises the version of a stage
OURS = "nferbench_methods"


def code_of(stage: Stage) -> dict[str, str]:
    """Fingerprints of the modules that define the values of a stage, by name, each with what it imports of its package.

    They can be compared where they were made by one version of Python, which "python" gives. Empty for stages of the
    core alone.
    """
    found = {name: _fingerprint(name) for name in sorted(_modules(stage))}
    return {**found, "python": _version()} if found else {}


def foreign(code: dict[str, str]) -> str:
    """One text for the code of a stage that is not ours; "" where all of it is.

    Ours may change without its results changing, and raises its versions where they do; of others nothing is known.
    """
    return " ".join(f"{name} {mark}" for name, mark in code.items() if name.partition(".")[0] not in (OURS, "python"))


def has_changed(code: object, earlier: object) -> bool:
    """Whether two answers of `code_of` can be compared and differ; what is no such answer cannot be compared."""
    if not isinstance(code, dict) or not isinstance(earlier, dict) or not earlier:
        return False
    return code.get("python") == earlier.get("python") and code != earlier


@cache
def _modules(value: object) -> frozenset[str]:
    """Where the classes of a value and of all below it are defined; neither the core nor stages that it needs count."""
    if isinstance(value, tuple):
        return frozenset().union(*map(_modules, value))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return frozenset()
    module = type(value).__module__
    below = [getattr(value, field.name) for field in dataclasses.fields(value)]
    own = {module} if module.partition(".")[0] != CORE else set()
    return frozenset(own).union(*(_modules(part) for part in below if not isinstance(part, Stage)))


def _version() -> str:
    return ".".join(platform.python_version_tuple()[:2])


@cache
def _fingerprint(module: str) -> str:
    """Of a module and all that it imports of its own package, wherever in the file."""
    reached: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached and (file := _file(name)) is not None:
            reached[name], imported = _said(name, file)
            waiting += imported
    return hashlib.sha256("\0".join(reached[name] for name in sorted(reached)).encode()).hexdigest()[:16]


@cache
def _said(module: str, file: Path) -> tuple[str, tuple[str, ...]]:
    """What a module says, as a hash, and which modules of its package it may import."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return "", ()
    imported = _imported(tree, module, is_package=file.name == "__init__.py")
    return hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest(), tuple(imported)


def _file(module: str) -> Path | None:
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded:
        return Path(loaded) if loaded.endswith(".py") else None
    top, *rest = module.split(".")
    for root in getattr(sys.modules.get(top), "__path__", ()):
        for path in (Path(root, *rest).with_suffix(".py"), Path(root, *rest, "__init__.py")):
            if path.is_file():
                return path
    return None


def _imported(tree: ast.Module, module: str, *, is_package: bool) -> Iterable[str]:
    """Names that may be modules of the same package."""
    top = module.partition(".")[0]
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == top)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree
