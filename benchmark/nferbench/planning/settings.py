"""From words on a command line and a preset file to frozen values. All problems are collected and shown together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import yaml

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.contract.fer import FERModel
from nferbench.contract.translator import Translator
from nferbench.contract.values import replaced
from nferbench.datasets.detected import Detected
from nferbench.datasets.levels import Range, parsed
from nferbench.planning.plugins import Plugins, Table
from nferbench.planning.presets import SECTIONS, SETTINGS, Preset, read_preset

TableName = Literal["comparison", "ablation"]
Division = Literal["folds", "repeats"]  # as in `nferbench.faces.folds`, which needs numpy
DIVISIONS = ("folds", "repeats")
GROUPS: dict[str, TableName] = {"ablation": "ablation", "variants": "comparison"}  # what else --methods understands
CROPS = ("given", "none", "box68", "fan", "eyes", "template")  # of `faces.crops`, named here without numpy
LIKE = "like"  # {like: METHOD.FIELD} in a row stands for what that method has there at the preset


@dataclass(frozen=True)
class Row:
    """One row of a table: a translator under a name."""

    name: str
    title: str
    translator: Translator
    tables: tuple[TableName, ...]


@dataclass(frozen=True)
class Settings:
    """Everything that decides the numbers of a run."""

    preset: str
    size: int  # side of the faces in pixels
    folds: int
    division: Division
    seed: int
    crop: str  # crop recipe, see `nferbench.faces.crops`
    register: bool  # whether NIR faces of the data set are laid on their VIS faces, see `nferbench.faces.registration`
    smooth: bool  # whether the frames of a sequence are cropped alike, see `nferbench.faces.crops`
    vis_levels: Range | None  # black and white of VIS files of more than 8 bits; None leaves that to the files
    nir_levels: Range | None  # those of NIR files
    detector: FaceDetector | None  # finds the faces of both data sets; None takes them where the data say
    dataset: FaceDataset
    extra: FaceDataset | None  # the VIS set that is translated for training; None leaves recognition out
    fer: FERModel
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Request:
    """What a user asked for; None takes the default of the data set or the preset."""

    dataset: str = "synthetic-hfe"
    methods: tuple[str, ...] = ("all",)
    extra: str | None = None  # a data set, a path, or "none"
    preset: str | None = None  # a name or the path of a YAML file
    folds: int | None = None
    division: str | None = None
    seed: int | None = None
    fer: str | None = None
    detector: str | None = None
    crop: str | None = None
    changes: tuple[str, ...] = ()  # "path=value"


def resolve(request: Request, plugins: Plugins) -> Settings:
    """Turn a request into values.

    Raises:
        UsageError: one line for each problem: unknown names, fields and values, with the nearest match.
    """
    problems: list[str] = []
    dataset = _try(problems, _dataset, request.dataset, plugins)
    preset = request.preset or (dataset.default_preset if dataset else "paper")
    settled = _try(problems, read_preset, preset) or Preset(preset, "", {})
    content = dict(settled.content)
    changes = _changes(request.changes, problems)
    for section, entries in changes.items():
        if section in SECTIONS:
            merged = {name: dict(fields or {}) for name, fields in content.get(section, {}).items()}
            for name, fields in entries.items():
                merged.setdefault(name, {}).update(fields)
            content[section] = merged
        else:
            content[section] = entries
    chosen = {
        name: getattr(request, name)
        for name in ("folds", "division", "seed", "fer", "detector", "crop")
        if getattr(request, name) is not None
    }
    values: dict[str, Any] = {**SETTINGS, **content, **chosen}
    for name, default in SETTINGS.items():
        if type(values[name]) is not type(default):
            problems.append(f"{name} must be a {type(default).__name__}, not {values[name]!r}")
    if isinstance(values["folds"], int) and values["folds"] < 2:
        problems.append(f"folds must be at least 2, not {values['folds']}")
    if isinstance(values["size"], int) and not 16 <= values["size"] <= 1024:
        problems.append(f"size must be 16 to 1024 pixels, not {values['size']}")
    for name in ("vis_levels", "nir_levels"):
        if isinstance(values[name], str):
            values[name] = _try(problems, parsed, values[name], name)
    if values["division"] not in DIVISIONS:
        problems.append(f"unknown division '{values['division']}'; known: {', '.join(DIVISIONS)}")
    if values["crop"] not in CROPS:
        problems.append(f"unknown crop '{values['crop']}'; known: {', '.join(CROPS)}")

    extra_name = request.extra or (dataset.default_extra if dataset else None)
    extra = None
    if extra_name and extra_name != "none":
        extra = _try(problems, _dataset, extra_name, plugins)
    datasets = _configured(plugins.datasets, content, "datasets", settled.known_as, problems)
    dataset = datasets.get(dataset.name, dataset) if dataset else None
    extra = datasets.get(extra.name, extra) if extra else None
    recognisers = _configured(plugins.fer_models, content, "fer-models", settled.known_as, problems)
    registered = _try(problems, plugins.fer_models.__getitem__, values["fer"])
    fer = recognisers[registered.name] if registered else None
    detector = _detector(values["detector"], content, plugins, settled.known_as, problems)
    if detector and values["crop"] == "given":
        values["crop"] = "box68" if detector.points else "fan"
    if detector and dataset and extra:
        dataset, extra = Detected(dataset, detector), Detected(extra, detector)
    elif detector and dataset:
        dataset = Detected(dataset, detector)
    translators = _configured(plugins.translators, content, "methods", settled.known_as, problems)
    rows = _rows(request.methods, content, translators, plugins.translators, problems)
    if problems or dataset is None or fer is None:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    own = ("size", "folds", "division", "seed", "crop", "register", "smooth", "vis_levels", "nir_levels")
    sizes = {name: values[name] for name in own}
    return Settings(preset=settled.label, dataset=dataset, extra=extra, fer=fer, detector=detector, rows=rows, **sizes)


def _detector(
    name: str, content: Mapping[str, Any], plugins: Plugins, preset: str, problems: list[str]
) -> FaceDetector | None:
    detectors = _configured(plugins.detectors, content, "detectors", preset, problems)
    registered = _try(problems, plugins.detectors.__getitem__, name) if name != "given" else None
    return detectors[registered.name] if registered else None


P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", Translator, FaceDataset, FERModel, FaceDetector)


def _configured(
    table: Table[V], content: Mapping[str, Any], section: str, preset: str, problems: list[str]
) -> dict[str, V]:
    """All registered values of a kind with the settings of the preset; a plugin's own presets come first."""
    given = content.get(section, {})
    for name in given:
        if name not in table.items:
            _try(problems, table.__getitem__, name)
    configured = {}
    for name, value in table.items.items():
        own = getattr(value, "presets", {}).get(preset, {})
        fields = {**own, **(given.get(name) or {})}
        configured[name] = _try(problems, replaced, value, fields, f"{section}.{name}") or value
    return configured


def _rows(
    names: Sequence[str],
    content: Mapping[str, Any],
    translators: Mapping[str, Translator],
    table: Table[Translator],
    problems: list[str],
) -> tuple[Row, ...]:
    variants: dict[str, Row] = {}
    kinds: tuple[tuple[str, TableName], ...] = (("ablation", "ablation"), ("rows", "comparison"))
    for section, kind in kinds:
        for entry in content.get(section, []):
            row = _try(problems, _variant, entry, kind, section, translators, table)
            if row:
                variants[row.name] = row
    chosen: dict[str, Row] = {}
    for name in names:
        if name == "all":
            found = [Row(t.name, t.title, t, ("comparison",)) for t in translators.values()]
        elif name in GROUPS:
            found = [row for row in variants.values() if row.tables == (GROUPS[name],)]
            if not found:
                problems.append(f"this preset has no {name}; name methods instead (nferbench methods lists all)")
        elif name in variants:
            found = [variants[name]]
        elif name in translators:
            found = [Row(name, translators[name].title, translators[name], ("comparison",))]
        else:
            known = [*table, *variants, "all", *GROUPS]
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            _try(problems, table.__getitem__, name)
            if near and near[0] not in table.items:
                problems[-1] = f"unknown method '{name}'; did you mean '{near[0]}'? (nferbench methods lists all)"
            continue
        for row in found:
            chosen.setdefault(row.name, row)
    if not names:
        problems.append("no methods named; --methods takes names, 'all', 'ablation' or 'variants'")
    return tuple(chosen.values())


def _variant(
    entry: object, kind: TableName, section: str, translators: Mapping[str, Translator], table: Table[Translator]
) -> Row:
    if not isinstance(entry, Mapping) or not {"use", "name"} <= set(entry) <= {"use", "name", "title", "set"}:
        raise UsageError(
            f"{section}: an entry is {{use: METHOD, name: NAME, title: TEXT, set: {{field: value}}}}, not {entry}"
        )
    base = translators.get(entry["use"]) or table[entry["use"]]
    name, title = str(entry["name"]), str(entry.get("title", entry["name"]))
    where = f"{section}.{name}"
    fields = {field: _alike(value, where, translators, table) for field, value in (entry.get("set") or {}).items()}
    changed = replaced(base, {**fields, "name": name, "title": title}, where)
    return Row(name, title, changed, (kind,))


def _alike(value: Any, where: str, translators: Mapping[str, Translator], table: Table[Translator]) -> Any:
    """What {like: METHOD.FIELD} stands for; any other value as it is."""
    if not isinstance(value, Mapping) or set(value) != {LIKE}:
        return value
    method, *fields = str(value[LIKE]).split(".")
    found: Any = translators.get(method) or table[method]
    for field in fields:
        known = [each.name for each in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else []
        if field not in known:
            hint = f"known there: {', '.join(known) or 'none'}"
            raise UsageError(f"{where}: {LIKE}: {value[LIKE]} leads nowhere, there is no field '{field}'; {hint}")
        found = getattr(found, field)
    return found


def _dataset(name: str, plugins: Plugins) -> FaceDataset:
    from nferbench.datasets.manifest import dataset_from_path

    path = Path(name)
    if name not in plugins.datasets.items and (path.suffix == ".csv" or path.is_dir()):
        return dataset_from_path(path)
    return plugins.datasets[name]


def _changes(changes: Sequence[str], problems: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            problems.append(f"--set {change}: write path=value, for example --set size=64")
            continue
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            problems.append(f"--set {change}: the value is not YAML")
            continue
        section, _, rest = path.partition(".")
        if section in SETTINGS and not rest:
            result[section] = value
        elif section in SECTIONS and "." in rest:
            name, _, field = rest.partition(".")
            result.setdefault(section, {}).setdefault(name, {})[field] = value
        else:
            allowed = [*SETTINGS, *(f"{s}.NAME.FIELD" for s in SECTIONS)]
            near = get_close_matches(section, [*SETTINGS, *SECTIONS], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(allowed)}"
            problems.append(f"--set {path}: no such setting; {hint}")
    return result


def _try(problems: list[str], make: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What `make` returns, or None after noting what it raised."""
    try:
        return make(*args, **kwargs)
    except NferbenchError as error:
        problems.append(str(error))
        return None
