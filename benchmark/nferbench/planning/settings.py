"""From words on a command line and a preset file to frozen values. All problems are collected and shown together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import yaml

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.fer import FERModel
from nferbench.contract.metric import ImageMetric
from nferbench.contract.translator import Translator
from nferbench.contract.values import flatten, replaced
from nferbench.contract.yaml_text import loaded
from nferbench.datasets.detected import Detected
from nferbench.datasets.levels import Range, parsed
from nferbench.planning.alike import followers, in_run, likes, origins
from nferbench.planning.initial import with_digests
from nferbench.planning.measures import measures
from nferbench.planning.naming import Named, named, registered
from nferbench.planning.plugins import Plugins, Table
from nferbench.planning.presets import SECTIONS, SETTINGS, Preset, read_preset
from nferbench.planning.problems import attempt
from nferbench.planning.reach import ineffective, leaves, paths, within
from nferbench.planning.rows import Row, rows_of

Division = Literal["folds", "repeats"]  # as in `nferbench.faces.folds`, which needs numpy
DIVISIONS = ("folds", "repeats")
CROPS = ("given", "none", "box68", "fan", "eyes", "template")  # of `faces.crops`, named here without numpy
Role = Literal["dataset", "extra"]  # by which the sets of a run are told apart: their names are labels
MOST_FER_SEEDS = 100
NO_EXTRA = "none"  # named in place of an extra set
DECLINED = f"no extra set (--extra {NO_EXTRA})"
UNNAMED = "no extra set was named; --extra SET adds these numbers"


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
    fer_seeds: int  # trainings of each recogniser, whose scores are averaged
    rows: tuple[Row, ...]
    metrics: tuple[ImageMetric, ...] = ()  # what is measured beside LPIPS, PSNR and SSIM
    by_path: tuple[Role, ...] = ()  # sets that were given by path
    without_extra: str = ""  # why there is no extra set; "" where there is one
    notes: tuple[str, ...] = ()  # how words that mean two things were understood

    def sets(self) -> dict[Role, FaceDataset]:
        """The data sets of the run, by role."""
        extra: dict[Role, FaceDataset] = {} if self.extra is None else {"extra": self.extra}
        return {"dataset": self.dataset, **extra}


@dataclass(frozen=True)
class Request:
    """What a user asked for; None takes the default of the data set or the preset."""

    dataset: str = "synthetic-hfe"
    methods: tuple[str, ...] = ("all",)
    extra: str | None = None  # a data set, a path, or `NO_EXTRA`
    preset: str | None = None  # a name or the path of a YAML file
    folds: int | None = None
    division: str | None = None
    seed: int | None = None
    fer: str | None = None
    fer_seeds: int | None = None
    detector: str | None = None
    crop: str | None = None
    changes: tuple[str, ...] = ()  # "path=value"
    metrics: tuple[str, ...] = ()  # beside LPIPS, PSNR and SSIM


def resolve(request: Request, plugins: Plugins) -> Settings:
    """Turn a request into values.

    Raises:
        UsageError: one line for each problem: unknown names, fields and values, with the nearest match.
    """
    problems: list[str] = []
    target = attempt(problems, named, request.dataset, plugins)
    preset = request.preset or (target.value.default_preset if target else "paper")
    settled = attempt(problems, read_preset, preset) or Preset(preset, (), {})
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
        for name in ("folds", "division", "seed", "fer", "fer_seeds", "detector", "crop")
        if getattr(request, name) is not None
    }
    problems += [
        f"--set {each} changes nothing: --{each.replace('_', '-')} is given too; keep one"
        for each in chosen
        if each in changes
    ]
    values: dict[str, Any] = {**SETTINGS, **content, **chosen}
    for name, default in SETTINGS.items():
        if type(values[name]) is not type(default):
            problems.append(f"{name} must be a {type(default).__name__}, not {values[name]!r}")
    if isinstance(values["folds"], int) and values["folds"] < 2:
        problems.append(f"folds must be at least 2, not {values['folds']}")
    if isinstance(values["size"], int) and not 16 <= values["size"] <= 1024:
        problems.append(f"size must be 16 to 1024 pixels, not {values['size']}")
    if isinstance(values["fer_seeds"], int) and not 1 <= values["fer_seeds"] <= MOST_FER_SEEDS:
        problems.append(f"fer_seeds must be 1 to {MOST_FER_SEEDS} trainings a recogniser, not {values['fer_seeds']}")
    for name in ("vis_levels", "nir_levels"):
        if isinstance(values[name], str):
            values[name] = attempt(problems, parsed, values[name], name)
    if values["division"] not in DIVISIONS:
        problems.append(f"unknown division '{values['division']}'; known: {', '.join(DIVISIONS)}")
    if values["crop"] not in CROPS:
        problems.append(f"unknown crop '{values['crop']}'; known: {', '.join(CROPS)}")

    other, without_extra = None, ""
    if request.extra == NO_EXTRA:
        without_extra = DECLINED
    elif request.extra:
        other = attempt(problems, named, request.extra, plugins)
    elif target and target.value.default_extra:
        other = attempt(problems, registered, target.value.default_extra, plugins)
    else:
        without_extra = UNNAMED
    datasets = _configured(plugins.datasets, content, "datasets", settled.known_as, problems)
    dataset = target.settled(datasets) if target else None
    extra = other.settled(datasets) if other else None
    recognisers = _configured(plugins.fer_models, content, "fer-models", settled.known_as, problems)
    known = attempt(problems, plugins.fer_models.__getitem__, values["fer"])
    fer = attempt(problems, with_digests, recognisers[known.name]) if known else None
    detectors = _configured(plugins.detectors, content, "detectors", settled.known_as, problems)
    known_detector = (
        attempt(problems, plugins.detectors.__getitem__, values["detector"]) if values["detector"] != "given" else None
    )
    detector = detectors[known_detector.name] if known_detector else None
    values["crop"] = crop_for(values["crop"], detector)
    if detector and dataset and extra:
        dataset, extra = Detected(dataset, detector), Detected(extra, detector)
    elif detector and dataset:
        dataset = Detected(dataset, detector)
    fields = _fields(plugins.translators, content, "methods", settled.known_as, problems)
    translators, refused = _methods(plugins.translators, fields, problems)
    rows = rows_of(request.methods, content, translators, plugins.translators, problems)
    following = followers(plugins.translators.items, fields)
    made_of = [path for row in rows for each in row.made_of for path in origins(each, following)]
    problems += [why for name, why in refused.items() if any(within(path, f"methods.{name}") for path in made_of)]
    metrics = measures(request.metrics, content, plugins.metrics, detectors, problems)
    sets: dict[Role, Named | None] = {"dataset": target, "extra": other}
    if not problems:
        used = made_of
        used += [path for each in sets.values() if each for path in each.settings()]
        used += leaves(fer, f"fer-models.{values['fer']}")
        used += leaves(detector, f"detectors.{values['detector']}") if detector else ()
        used += [path for metric in metrics for path in _paths(metric)]
        problems += ineffective([path for name in SECTIONS for path in paths(changes.get(name, {}), name)], used)
    if problems or dataset is None or fer is None:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    own = ("size", "folds", "division", "seed", "fer_seeds", "crop")
    sizes = {name: values[name] for name in (*own, "register", "smooth", "vis_levels", "nir_levels")}
    return Settings(
        preset=settled.label,
        dataset=dataset,
        extra=extra,
        fer=fer,
        detector=detector,
        rows=rows,
        metrics=metrics,
        by_path=tuple(role for role, each in sets.items() if each and each.by_path),
        without_extra=without_extra,
        notes=tuple(each.note for each in sets.values() if each and each.note),
        **sizes,
    )


def crop_for(crop: str, detector: FaceDetector | None) -> str:
    """The crop recipe that is meant: where a detector finds the faces, data say nothing that "given" could take."""
    if detector is None or crop != "given":
        return crop
    return "box68" if detector.points else "fan"


def _paths(metric: ImageMetric) -> Iterator[str]:
    """The settings of a metric, and those of detectors that it holds."""
    yield from leaves(metric, f"metrics.{metric.name}")
    for field in dataclasses.fields(metric):  # type: ignore[arg-type]
        if isinstance(held := getattr(metric, field.name), FaceDetector):
            yield from leaves(held, f"detectors.{held.name}")


V = TypeVar("V", Translator, FaceDataset, FERModel, FaceDetector)


def _fields(
    table: Table[V], content: Mapping[str, Any], section: str, known_as: Sequence[str], problems: list[str]
) -> dict[str, Mapping[str, Any]]:
    """What a plugin's own nearest preset, and then the run, set of all registered values of a kind, by dotted field."""
    given = content.get(section, {})
    for name in given:
        if name not in table.items:
            attempt(problems, table.__getitem__, name)
    fields: dict[str, Mapping[str, Any]] = {}
    for name, value in table.items.items():
        fields[name] = _fields_of(value, name, content, section, known_as)
    return fields


def _fields_of(
    value: V, name: str, content: Mapping[str, Any], section: str, known_as: Sequence[str]
) -> Mapping[str, Any]:
    presets = getattr(value, "presets", {})
    own: Mapping[str, Any] = next((presets[each] for each in known_as if each in presets), {})
    return {**dict(flatten(own)), **dict(flatten(content.get(section, {}).get(name) or {}))}


def _configured(
    table: Table[V], content: Mapping[str, Any], section: str, known_as: Sequence[str], problems: list[str]
) -> dict[str, V]:
    """All registered values of a kind with the settings of the preset."""
    configured = {}
    for name, fields in _fields(table, content, section, known_as, problems).items():
        value = table.items[name]
        changed = attempt(problems, replaced, value, fields, f"{section}.{name}") if fields else value
        configured[name] = changed or value
    return configured


def _methods(
    table: Table[Translator], fields: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> tuple[dict[str, Translator], dict[str, str]]:
    """All methods with the settings of the preset and what they have of others; why some cannot have that, by name."""
    methods: dict[str, Translator] = {}
    refused: dict[str, str] = {}
    for name, method in table.items.items():
        told: list[str] = []
        methods[name] = attempt(told, in_run, name, table.items, fields) or method
        if told and likes(method):  # it may be that of a package that this run does not use
            refused[name] = told[0]
        else:
            problems += told
    return methods, refused


def at_preset(
    value: V,
    content: Mapping[str, Any],
    section: str,
    known_as: Sequence[str],
    methods: Mapping[str, Translator] = MappingProxyType({}),
) -> V:
    """A registered value with the settings of a preset; those of its own come first.

    Args:
        value: what is registered.
        content: of the preset.
        section: of it, that has the settings of such values.
        known_as: names of the preset, nearest first.
        methods: that are registered, which fields of a method may follow.

    Raises:
        UsageError: a field that does not exist or a value that it cannot take.
    """
    if isinstance(value, Translator):
        known = {**methods, value.name: value}
        fields = {name: _fields_of(each, name, content, section, known_as) for name, each in known.items()}
        return in_run(value.name, known, fields)  # type: ignore[return-value]
    own = _fields_of(value, value.name, content, section, known_as)
    return replaced(value, own, f"{section}.{value.name}") if own else value


def _changes(changes: Sequence[str], problems: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            problems.append(f"--set {change}: write path=value, for example --set size=64")
            continue
        try:
            value = loaded(text)
        except yaml.YAMLError:
            problems.append(f"--set {change}: the value is not YAML")
            continue
        section, _, rest = path.partition(".")
        if section in SETTINGS and not rest:
            if result.setdefault(section, value) != value:
                problems.append(f"--set {path} is given twice, with different values; keep one")
        elif section in SECTIONS and "." in rest:
            name, _, field = rest.partition(".")
            fields = result.setdefault(section, {}).setdefault(name, {})
            if fields.setdefault(field, value) != value:
                problems.append(f"--set {path} is given twice, with different values; keep one")
        else:
            allowed = [*SETTINGS, *(f"{s}.NAME.FIELD" for s in SECTIONS)]
            near = get_close_matches(section, [*SETTINGS, *SECTIONS], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(allowed)}"
            problems.append(f"--set {path}: no such setting; {hint}")
    return result
