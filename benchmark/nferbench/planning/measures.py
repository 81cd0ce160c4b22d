"""Which metrics a run measures by beside LPIPS, PSNR and SSIM: words become values, with the settings of the preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import NferbenchError, UsageError, unknown
from nferbench.contract.metric import ImageMetric, Metric, MetricLibrary
from nferbench.contract.printable import one_line
from nferbench.contract.values import replaced
from nferbench.planning.checks import check_metric, check_text, check_value
from nferbench.planning.plugins import Table
from nferbench.planning.problems import attempt

SECTION = "metrics"
ALL = "all"
SCORED = ("lpips", "psnr", "ssim")  # what every run scores by, in one stage and as the protocol has it
COLUMNS = ("Acc (%)", "F1 (%)")  # of the same tables


def measures(
    words: Sequence[str],
    content: Mapping[str, Any],
    table: Table[Metric],
    detectors: Mapping[str, FaceDetector],
    problems: list[str],
) -> tuple[ImageMetric, ...]:
    """The metrics that are named, each once, without those that every run scores by.

    Args:
        words: names, LIBRARY:NAME, or "all" for every metric that is registered.
        content: of the preset; its section "metrics" has fields by such names.
        table: what is registered.
        detectors: with the settings of the preset. A field that holds a detector takes its name.
        problems: gets a line for each word and field that will not do.
    """
    given: Mapping[str, Any] = content.get(SECTION, {})
    for word in given:
        if word in SCORED:
            problems.append(f"{SECTION}.{word}: the protocol sets LPIPS, PSNR and SSIM, and no preset; leave it out")
        else:
            attempt(problems, _registered, word.partition(":")[0], table)
    every = [name for name, value in table.items.items() if isinstance(value, ImageMetric)]
    asked = [name for word in words for name in (every if word == ALL else [word])]
    chosen: dict[str, ImageMetric] = {}
    for word in dict.fromkeys(asked):
        metric = attempt(problems, _named, word, table)
        if metric is not None and word not in SCORED:
            settled = attempt(problems, _settled, word, metric, given.get(word) or {}, detectors)
            chosen |= {word: settled} if settled else {}
    titles = {title.casefold(): title for title in (*COLUMNS, *(table[name].title for name in SCORED if name in table))}
    for word, metric in chosen.items():
        first = titles.setdefault(metric.title.casefold(), word)
        if first != word:
            problems.append(
                f"metric {word} has the title of another column, {metric.title}; give it one of its own: "
                f"--set {SECTION}.{word}.title=…"
            )
    return tuple(chosen.values())


def _registered(name: str, table: Table[Metric]) -> Metric:
    return table[name]


def _named(word: str, table: Table[Metric]) -> ImageMetric:
    """The metric that a word means.

    Raises:
        UsageError: there is none, or a library without the name of one of its metrics.
    """
    name, colon, inner = word.partition(":")
    found = table[name]
    if isinstance(found, MetricLibrary):
        if not inner:
            raise UsageError(f"{name} is a library of metrics; name one of them, as in {name}:NAME")
        try:
            metric = found.metric(inner)
            check_value("it", metric)
            check_metric(metric)
        except UsageError:
            raise
        except Exception as error:  # whatever a plugin raises, and the library that it reads
            raise UsageError(f"metric {word}: {_told(error)}") from None
        return dataclasses.replace(metric, name=word)  # type: ignore[type-var]
    if colon:
        raise unknown("metric", word, [ALL, *table], table.command)
    return found


def _settled(
    word: str, metric: ImageMetric, fields: Mapping[str, Any], detectors: Mapping[str, FaceDetector]
) -> ImageMetric:
    """A metric with the settings of the preset; a detector in it is the one of that name, with its own settings.

    Raises:
        UsageError: a field that there is not, or a value that it does not take.
    """
    where = f"{SECTION}.{word}"
    values = {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric)}  # type: ignore[arg-type]
    held = {field: value.name for field, value in values.items() if isinstance(value, FaceDetector)}
    asked = {field: given for field, given in fields.items() if field in held and isinstance(given, str)}
    for field, given in asked.items():
        if given not in detectors:
            error = unknown("face detector", given, detectors, "nferbench detectors")
            raise UsageError(f"{where}.{field}: {error}")
    named = {field: detectors[name] for field, name in {**held, **asked}.items() if name in detectors}
    rest = {field: given for field, given in fields.items() if field not in asked}
    changed = replaced(replaced(metric, named, where), rest, where)
    try:
        check_text("the title", changed.title)
        check_value("it", changed)
        check_metric(changed)
    except Exception as error:  # whatever a plugin raises
        raise UsageError(f"metric {word}: {_told(error)}") from None
    return dataclasses.replace(changed, name=word)  # type: ignore[type-var]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, NferbenchError) else one_line(f"{type(error).__name__}: {error}")
