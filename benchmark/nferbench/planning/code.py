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
from typing import Any

from nferbench.workspace.stages import Stage

CORE = "nferbench"  # whoever changes what it computes raises the version of a stage
OURS = "nferbench_methods"


def code_of(stage: Stage) -> dict[str, Any]:
    """The code behind the values of a stage; empty for stages of the core alone.

    Returns:
        python: its version, since fingerprints of two versions cannot be compared.
        modules: fingerprints of the modules that define the values, by name, each with what it imports of its package.
        sources: checksums of all these files as they are, by name of the module.
    """
    names = sorted(_modules(stage))
    if not names:
        return {}
    reached = sorted(set().union(*(_reached(name) for name in names)))
    return {
        "python": _version(),
        "modules": {name: fingerprint(name) for name in names},
        "sources": {name: _source(name) for name in reached},
    }


def foreign(stage: Stage) -> str:
    """The code of a stage that is not ours, as one text; "" where all of it is.

    Ours may change without its results changing, and raises its versions where they do; of others nothing is known.
    """
    names = sorted(name for name in _modules(stage) if name.partition(".")[0] != OURS)
    return " ".join(f"{name} {fingerprint(name)}" for name in names)


def has_changed(stage: Stage, earlier: object) -> bool:
    """Whether a stage was done by other code than there is; what is no answer of `code_of` cannot be compared."""
    if not isinstance(earlier, dict) or earlier.get("python") != _version():
        return False
    sources, modules = earlier.get("sources"), earlier.get("modules")
    if not isinstance(sources, dict) or not isinstance(modules, dict) or not modules:
        return False
    if (
        set(modules) == _modules(stage)
        and set(modules) <= set(sources)
        and all(_source(str(name)) == mark for name, mark in sources.items())
    ):
        return False  # the same files import the same files and say the same
    return bool(code_of(stage).get("modules") != modules)


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
def fingerprint(module: str) -> str:
    """Of what a module and all that it reaches say."""
    said = "\0".join(_said(name)[0] for name in _reached(module))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@cache
def _reached(module: str) -> tuple[str, ...]:
    """A module and all that it imports of its own package, wherever in the file, sorted."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached and _file(name) is not None:
            reached.add(name)
            waiting += _said(name)[1]
    return tuple(sorted(reached))


@cache
def _source(module: str) -> str:
    """The checksum of a module's file; "" where there is none."""
    file = _file(module)
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file else ""
    except OSError:
        return ""


@cache
def _said(module: str) -> tuple[str, tuple[str, ...]]:
    """What a module says, as a hash, and which modules of its package it may import."""
    file = _file(module)
    if file is None:
        return "", ()
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
