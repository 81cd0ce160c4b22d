"""Tables and figures from the stored results of nferbench. Nothing here trains, translates or imports torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nferbench_reports.costing import costs
    from nferbench_reports.diagnosis import Diagnosis, Translated, write_diagnosis
    from nferbench_reports.frames import cells, missing, predictions, scores
    from nferbench_reports.listing import Listed, list_records
    from nferbench_reports.pushes import Summary
    from nferbench_reports.report import Report, write_report
    from nferbench_reports.runs import Run, load_runs
    from nferbench_reports.terminal import shown
    from nferbench_reports.training_logs import losses, trainings

_MODULES = {
    "Diagnosis": "diagnosis",
    "Listed": "listing",
    "Report": "report",
    "Run": "runs",
    "Summary": "pushes",
    "Translated": "diagnosis",
    "cells": "frames",
    "costs": "costing",
    "list_records": "listing",
    "load_runs": "runs",
    "losses": "training_logs",
    "missing": "frames",
    "predictions": "frames",
    "scores": "frames",
    "shown": "terminal",
    "trainings": "training_logs",
    "write_diagnosis": "diagnosis",
    "write_report": "report",
}

__all__ = [
    "Diagnosis",
    "Listed",
    "Report",
    "Run",
    "Summary",
    "Translated",
    "cells",
    "costs",
    "list_records",
    "load_runs",
    "losses",
    "missing",
    "predictions",
    "scores",
    "shown",
    "trainings",
    "write_diagnosis",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import pandas and its company only when a report is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nferbench_reports.{_MODULES[name]}"), name)
