"""Presets: YAML files of sizes and counts, each of which may build on another by naming it as its base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line
from nferbench.contract.yaml_text import loaded
from nferbench.planning.studies import STUDIES, row_name, study_name

# What a preset may set by itself, with what holds where none says anything; a value must be of the same type.
SETTINGS: Mapping[str, int | str | bool] = {
    "size": 256,
    "folds": 5,
    "division": "folds",
    "seed": 0,
    "crop": "given",
    "register": False,
    "smooth": False,
    "vis_levels": "",
    "nir_levels": "",
    "detector": "given",
    "fer": "resnet18",
    "fer_seeds": 1,
}
SECTIONS = ("methods", "datasets", "fer-models", "detectors", "metrics")  # fields of what is registered, by its name
ROWS = ("ablation", "rows")  # lists of variants
NAMED = (*ROWS, STUDIES)  # lists whose entries are each known by a name
LISTS = (*NAMED, "plugins")
BASE = "base"


@dataclass(frozen=True)
class Preset:
    """A preset as it stands after everything that it builds on."""

    label: str  # the name of one that comes along, else the stem of the file
    known_as: tuple[str, ...]  # those of it and its bases that come along, nearest first; the last base only by itself
    content: Mapping[str, Any]  # settings, sections and lists


def presets() -> dict[str, Path]:
    """The presets that come with nferbench, by name."""
    folder = Path(str(files("nferbench_configs")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


@cache
def row_names() -> frozenset[str]:
    """The names of all rows and studies of the presets that come along."""
    contents = [read_preset(name).content for name in presets()]
    rows = {str(row["name"]) for content in contents for section in ROWS for row in content.get(section, [])}
    for study in (study for content in contents for study in content.get(STUDIES, [])):
        rows |= {study_name(study), *(row_name(study_name(study), value) for value in study["values"])}
    return frozenset(rows)


def read_preset(name: str) -> Preset:
    """A preset and all that it builds on.

    Its own settings replace those of its base one by one, fields of methods too; rows and studies are added, and
    replace those of equal name.

    Args:
        name: of `presets()`, or the path of a YAML file; a base may also be a path from the folder of its file.

    Raises:
        UsageError: no such preset, one that builds on itself, or a file that is not a mapping of the known sections.
    """
    known = presets()
    chain: list[tuple[str, Path]] = []
    contents: list[dict[str, Any]] = []
    while name:
        path = _path_of(name, chain[-1][1].parent if chain else Path())
        chain.append((name, path))
        if path.resolve() in [earlier.resolve() for _, earlier in chain[:-1]]:
            raise UsageError(f"preset {path} builds on itself: {' -> '.join(name for name, _ in chain)}")
        contents.append(_read(path))
        name = contents[-1].pop(BASE, "")
    first = chain[0][0]
    content: dict[str, Any] = {}
    for each in reversed(contents):
        content = merged(content, each)
    label = first if first in known else Path(first).stem
    names = [name for name, _ in chain if name in known]
    return Preset(label, tuple(names[:-1] or names), content)


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a preset on top of what it builds on; mappings are merged at every depth, other values replaced.

    >>> merged({"size": 64, "methods": {"m": {"a": 1, "b": 2}}}, {"size": 32, "methods": {"m": {"b": 3}}})
    {'size': 32, 'methods': {'m': {'a': 1, 'b': 3}}}
    """
    content = dict(base)
    for word, value in own.items():
        before = content.get(word)
        if isinstance(before, Mapping) and isinstance(value, Mapping | None):
            content[word] = merged(before, value or {})
        elif word in NAMED and isinstance(before, list) and isinstance(value, list):
            mine = [_name(row, word) for row in value]
            content[word] = [row for row in before if _name(row, word) not in mine] + value
        else:
            content[word] = value
    return content


def _name(row: object, section: str) -> object:
    if not isinstance(row, Mapping):
        return None
    return study_name(row) if section == STUDIES else row.get("name")


def _path_of(name: str, folder: Path) -> Path:
    known = presets()
    if name in known:
        return known[name]
    if Path(name).suffix not in (".yaml", ".yml"):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"unknown preset '{name}'; {hint} (or the path of a .yaml file)")
    return folder / name


def _read(path: Path) -> dict[str, Any]:
    """The content of one file, without sections of the author's own."""
    try:
        content = loaded(path.read_text("utf-8")) or {}
    except OSError as error:
        raise UsageError(f"preset {path} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        why = f"line {where.line + 1}" if where else one_line(str(error))
        raise UsageError(f"preset {path} is not YAML ({why})") from None
    if not isinstance(content, dict):
        raise UsageError(f"preset {path} must be a mapping, not a {type(content).__name__}")
    shapes = {
        BASE: str,
        **dict.fromkeys(SETTINGS, object),
        **dict.fromkeys(SECTIONS, dict),
        **dict.fromkeys(LISTS, list),
    }
    for word, value in content.items():
        if word in shapes:
            if not isinstance(value, shapes[word]):
                raise UsageError(f"preset {path}: '{word}' must be a {shapes[word].__name__}")
        elif not str(word).startswith("x-"):
            near = get_close_matches(str(word), shapes, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(shapes)}"
            raise UsageError(f"preset {path}: unknown section '{word}'; {hint} ('x-' starts a section of your own)")
    return {word: _located(value, path.parent) for word, value in content.items() if word in shapes}


def _located(value: Any, folder: Path) -> Any:
    """A part of a preset in which each `init` that leads to weights from its folder does so from anywhere."""
    if isinstance(value, list):
        return [_located(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    located = {word: _located(item, folder) for word, item in value.items()}
    for word, item in located.items():
        if str(word).rpartition(".")[2] == "init" and isinstance(item, str) and item and _is_there(folder / item):
            located[word] = str((folder / item).resolve())
    return located


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no file can have that name, or its folder is not ours to look into
        return False
