"""The columns of Tables 1-3: recognition, image quality, and the metrics that were added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nferbench_reports.record import Metric, Protocol
from nferbench_reports.table import Column

Convention = Literal["standard", "paper"]


def comparison_columns(
    protocol: Protocol, convention: Convention, metrics: Sequence[Metric] = ()
) -> tuple[Column, ...]:
    """The metrics of Table 1 or 2, recognition and image quality, and after them those that were added."""
    return (
        *recognition_columns(protocol.dataset, "Performance"),
        Column(protocol.dataset, "Image quality", "lpips", "LPIPS ↓", 4, min),
        Column(protocol.dataset, "Image quality", "psnr", "PSNR ↑", 2, max, convention),
        Column(protocol.dataset, "Image quality", "ssim", "SSIM ↑", 4, max, convention),
        *(metric_column(protocol.dataset, "Image quality", metric) for metric in metrics),
    )


def recognition_columns(dataset: str, heading: str) -> tuple[Column, Column]:
    """Accuracy and macro F1 on a data set, as percentages."""
    return (
        Column(dataset, heading, "accuracy", "Acc (%)", 2, max),
        Column(dataset, heading, "macro_f1", "F1 (%)", 2, max),
    )


def metric_column(dataset: str, heading: str, metric: Metric) -> Column:
    """The column of a metric that was added."""
    arrow, best = ("↑", max) if metric.better == "higher" else ("↓", min)
    return Column(dataset, heading, metric.name, f"{metric.title} {arrow}", metric.decimals, best)
