"""Measuring translated test faces by a metric of a plugin, which is held to its contract."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nferbench.contract.errors import PluginError
from nferbench.contract.metric import ImageMetric, Measure
from nferbench.engine.artifacts import entry_of, write_table
from nferbench.engine.batches import in_halves
from nferbench.engine.compared import compared
from nferbench.engine.context import Context
from nferbench.workspace.stages import MeasureTranslation


def measure_faces(stage: MeasureTranslation, context: Context) -> dict[str, Any]:
    """Measure translated test faces and write scores.csv, one row an image, `value` empty where there is none.

    A translation can be done again by a run that does not name this metric, so it is noted of which images this was.
    """
    images = entry_of(stage.translation, context).info["files"]["images.npy"]["sha256"]
    measure = stage.metric.load(context.device)
    table: list[dict[str, Any]] = []
    for batch in compared(stage.translation, context):
        translated, real = batch.translated.to(context.device), batch.real.to(context.device)
        values = measured(stage.metric, measure, translated, real, [face.id for face in batch.faces])
        table += [
            {**named, "value": "" if value is None else value}
            for named, value in zip(batch.named(), values, strict=True)
        ]
    write_table(context.store.partial(stage) / "scores.csv", table)
    return {"images": len(table), "units": len(table), "measured": images}


def measured(
    metric: ImageMetric, measure: Measure, translated: Tensor, real: Tensor, names: Sequence[str]
) -> list[float | None]:
    """The numbers of some faces; None where the real face gives nothing to measure by.

    Args:
        metric: which one.
        measure: the metric on the device of the faces.
        translated: (B, 3, H, W) in [-1, 1].
        real: their NIR partners, likewise.
        names: of the faces, for messages.

    Raises:
        PluginError: what came is no finite floating-point number a face, or is NaN because of the translation.
    """
    values = in_halves(partial(_called, metric, measure), translated, real)
    missing = values.isnan()
    wrong = values.isinf() | (missing if not metric.lacking else torch.zeros_like(missing))
    if wrong.any():
        name, value = next((n, v) for n, v, bad in zip(names, values.tolist(), wrong.tolist(), strict=True) if bad)
        raise PluginError(f"metric '{metric.name}' gives {value} for face {name}; a finite number is due")
    if missing.any():
        same = real[missing]
        if not in_halves(partial(_called, metric, measure), same, same).isnan().all():
            raise PluginError(
                f"metric '{metric.name}' gives NaN for a translation whose real face it can measure; a number is due "
                "there"
            )
    return [None if absent else value for value, absent in zip(values.tolist(), missing.tolist(), strict=True)]


def _called(metric: ImageMetric, measure: Measure, translated: Tensor, real: Tensor) -> Tensor:
    """The numbers (B,) on the CPU, as they come."""
    given = (translated.clone(), real.clone()) if metric.reference else (translated.clone(),)
    with torch.inference_mode():
        values = measure(*given)
    if not isinstance(values, Tensor):
        raise PluginError(f"metric '{metric.name}' gives {type(values).__name__}; a tensor of a number a face is due")
    due = (len(translated),)
    if tuple(values.shape) != due or not values.is_floating_point():
        came = f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"
        raise PluginError(f"metric '{metric.name}' gives {came}; floating point of shape {due} is due")
    return values.cpu()
