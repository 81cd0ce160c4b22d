"""What `methods`, `datasets`, `fer-models`, `detectors`, `metrics` and `plugins` list."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import NferbenchError
from nferbench.contract.metric import ImageMetric, Metric, MetricLibrary
from nferbench.contract.printable import plain
from nferbench.contract.translator import FaceSpec, NetworkRecipe, Translator
from nferbench.contract.values import describe
from nferbench.planning.measures import SCORED
from nferbench.planning.plugins import Plugins
from nferbench.planning.presets import ROWS, presets, read_preset
from nferbench.planning.settings import Request, Settings, resolve
from nferbench.planning.studies import STUDIES, Varied, held

GROUPS = {"ablation": "ablation", "rows": "variants", STUDIES: STUDIES}  # sections of a preset, as --methods calls them
LANDMARKS = 68  # points per face that sizes are given for


def method_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Name, title, group, "made for heterogeneous faces", "uses pairing" of every method."""
    return [
        (t.name, t.title, t.group, _yes(t.heterogeneous), _yes(uses_pairs(t)))
        for t in plugins.translators.items.values()
    ]


def variant_rows(plugins: Plugins, preset: str, changes: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Name, title, method, what is set of it, and the word of --methods for its kind, of each row of a preset."""
    content = read_preset(preset).content
    names = [GROUPS[section] for section in ROWS if content.get(section)]
    resolve(Request(preset=preset, methods=("all", *names), changes=changes), plugins)  # a row that cannot be is told
    return [
        (
            str(row["name"]),
            str(row.get("title", row["name"])),
            str(row["use"]),
            ", ".join(held(row.get("set") or {})) or "-",
            GROUPS[section],
        )
        for section in ROWS
        for row in content.get(section, [])
    ]


def study_rows(plugins: Plugins, preset: str, changes: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Name, method, varied field, values and what is held of every study of a preset."""
    if not read_preset(preset).content.get(STUDIES):
        return []
    rows = resolve(Request(preset=preset, methods=("all", STUDIES), changes=changes), plugins).rows
    studies: dict[str, list[Varied]] = {}
    for varied in (row.varied for row in rows if row.varied):
        studies.setdefault(varied.name, []).append(varied)
    return [
        (name, each[0].method, each[0].field, ", ".join(plain(one.value) for one in each), ", ".join(each[0].held))
        for name, each in studies.items()
    ]


def presets_with_studies() -> list[str]:
    """The presets that come along and have studies."""
    return [name for name in presets() if read_preset(name).content.get(STUDIES)]


def methods_json(plugins: Plugins, preset: str, changes: tuple[str, ...] = ()) -> str:
    """All methods and rows at a preset as JSON, with their networks, sizes and who shares them.

    The parameters of a network that cannot be built are null.
    """
    content = read_preset(preset).content
    names = ("all", *(group for section, group in GROUPS.items() if content.get(section)))
    settings: Settings = resolve(Request(preset=preset, methods=names, changes=changes), plugins)
    users: dict[NetworkRecipe, list[str]] = defaultdict(list)
    for row in settings.rows:
        for recipe in row.translator.networks().values():
            users[recipe].append(row.name)
    spec = FaceSpec(settings.size, LANDMARKS)
    counts = {recipe: _parameters(recipe, spec) for recipe in users}
    listed: list[dict[str, Any]] = []
    for row in settings.rows:
        method = row.translator
        networks = {
            role: {
                "parameters": counts[recipe],
                "shared_with": [name for name in users[recipe] if name != row.name],
                "recipe": describe(recipe),
            }
            for role, recipe in method.networks().items()
        }
        listed.append(
            {
                "name": row.name,
                "title": row.title,
                "group": method.group,
                "heterogeneous": method.heterogeneous,
                "uses_pairs": uses_pairs(method),
                "stamps": list(method.stamps),
                "tables": list(row.tables),
                "study": asdict(row.varied) if row.varied else None,
                "networks": networks,
            }
        )
    return json.dumps(
        {"preset": settings.preset, "size": settings.size, "methods": listed}, indent=1, ensure_ascii=False
    )


def _parameters(recipe: NetworkRecipe, spec: FaceSpec) -> dict[str, int] | None:
    from nferbench.engine.skeletons import parameters

    try:
        return parameters(recipe, spec)
    except Exception:  # whatever a plugin raises; the others are listed
        return None


def uses_pairs(method: Translator) -> bool:
    """Whether any network of a method is trained on pairs, rather than on faces of both modalities in any order."""
    return any(recipe.paired for recipe in method.networks().values())


def dataset_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Name, title, default extra set and default preset of every data set."""
    return [(d.name, d.title, d.default_extra or "-", d.default_preset) for d in plugins.datasets.items.values()]


def fer_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Name and title of every recogniser."""
    return [(m.name, m.title) for m in plugins.fer_models.items.values()]


def plugin_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Plugin, distribution with version, hook without its prefix and names, of every hook that a plugin implements."""
    return [
        (
            each.plugin,
            f"{each.distribution} {each.version}".strip() or "-",
            hook.removeprefix("nferbench_"),
            ", ".join(names) or "-",
        )
        for each in plugins.registrations
        for hook, names in each.names.items()
    ]


def plugins_json(plugins: Plugins) -> str:
    """All plugins as JSON: where each is from, what it registered by hook, and what was left out of it and why."""
    listed = [
        {
            **asdict(each),
            "loaded": not any(failure.whole for failure in plugins.failures if failure.plugin == each.plugin),
            "left_out": [failure.reason for failure in plugins.failures if failure.plugin == each.plugin],
        }
        for each in plugins.registrations
    ]
    return json.dumps({"plugins": listed}, indent=1, ensure_ascii=False)


def detector_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Name, title, landmarks a face and "ready to use" (or what is missing) of every face detector."""
    return [(d.name, d.title, str(d.points), _ready(d)) for d in plugins.detectors.items.values()]


def metric_rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Name, title, better direction, "needs the real NIR face" and "ready to use" of every metric and library."""
    return [
        (value.name, value.title, value.better, _yes(value.reference), _ready(value))
        if isinstance(value, ImageMetric)
        else (f"{value.name}:NAME", value.title, "-", "-", _ready(value))
        for value in plugins.metrics.items.values()
    ]


def metrics_json(plugins: Plugins) -> str:
    """All metrics and libraries as JSON, with their settings; a library has no direction of its own."""
    listed = [
        {
            "name": value.name,
            "title": value.title,
            **(
                {
                    "better": value.better,
                    "reference": value.reference,
                    "decimals": value.decimals,
                    "lacking": value.lacking,
                    "note": value.note,
                    "in_every_run": value.name in SCORED,
                }
                if isinstance(value, ImageMetric)
                else {}
            ),
            "library": isinstance(value, MetricLibrary),
            "ready": _ready(value),
            "settings": describe(value),
        }
        for value in plugins.metrics.items.values()
    ]
    return json.dumps({"metrics": listed}, indent=1, ensure_ascii=False)


def _ready(value: FaceDetector | Metric) -> str:
    try:
        value.ready()
    except NferbenchError as error:
        return str(error)
    except Exception as error:  # whatever a plugin raises; the others are listed
        return f"no ({type(error).__name__}: {error})"
    return "yes"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
