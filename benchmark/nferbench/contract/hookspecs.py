"""The five hooks. Each registers things and returns them; nothing else ever passes through pluggy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from nferbench.contract.dataset import FaceDataset
    from nferbench.contract.detector import FaceDetector
    from nferbench.contract.fer import FERModel
    from nferbench.contract.metric import ImageMetric, MetricLibrary
    from nferbench.contract.translator import Translator

hookspec = pluggy.HookspecMarker("nferbench")
hookimpl = pluggy.HookimplMarker("nferbench")


@hookspec
def nferbench_translators() -> list[Translator]:  # type: ignore[empty-body]
    """Translation methods, as instances with their default hyperparameters (`nferbench methods` lists them)."""


@hookspec
def nferbench_datasets() -> list[FaceDataset]:  # type: ignore[empty-body]
    """Data sets, as instances with their default settings (`nferbench datasets` lists them)."""


@hookspec
def nferbench_fer_models() -> list[FERModel]:  # type: ignore[empty-body]
    """Expression recognisers, as instances with their default settings (`nferbench fer-models` lists them)."""


@hookspec
def nferbench_detectors() -> list[FaceDetector]:  # type: ignore[empty-body]
    """Face detectors, as instances with their default settings (`nferbench detectors` lists them)."""


@hookspec
def nferbench_metrics() -> list[ImageMetric | MetricLibrary]:  # type: ignore[empty-body]
    """Image metrics, as instances with their default settings, and libraries of such (`nferbench metrics`)."""
