"""Tables and figures from the stored results of nferbench. Nothing here trains, translates or imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nferbench_reports.report import Report, write_report

__all__ = ["Report", "write_report"]


def __getattr__(name: str) -> Any:
    """Import pandas and its company only when a report is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nferbench_reports import report

    return getattr(report, name)
