"""Tables and figures from the stored results of nferbench. Nothing here trains, translates or imports torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nferbench_reports.costing import costs
    from nferbench_reports.diagnosis import Diagnosis, Translated, write_diagnosis
    from nferbench_reports.pushes import Summary
    from nferbench_reports.report import Report, write_report
    from nferbench_reports.training_logs import losses, trainings

_MODULES = {
    "Diagnosis": "diagnosis",
    "Report": "report",
    "Summary": "pushes",
    "Translated": "diagnosis",
    "costs": "costing",
    "losses": "training_logs",
    "trainings": "training_logs",
    "write_diagnosis": "diagnosis",
    "write_report": "report",
}

__all__ = [
    "Diagnosis",
    "Report",
    "Summary",
    "Translated",
    "costs",
    "losses",
    "trainings",
    "write_diagnosis",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import pandas and its company only when a report is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nferbench_reports.{_MODULES[name]}"), name)
