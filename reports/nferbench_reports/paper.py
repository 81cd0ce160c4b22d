"""The numbers that the NFER-SDE paper printed (Luo et al., AAAI 2024, Tables 1-3), and how its rows are called here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

METRICS = ("accuracy", "macro_f1", "lpips", "psnr", "ssim")
DATASETS = ("oulu-casia", "large-hfe")  # in the order of the paper's tables
CONVENTION = "paper"  # the convention that the printed PSNR and SSIM fit

_ABLATION_TITLES: Mapping[str, str] = {
    "baseline": "Baseline",
    "cond": "Cond",
    "cond+eh": "Cond + E_h",
    "cond+ef": "Cond + E_f",
    "cond+eh+ef": "Cond + E_h + E_f",
}

# The last ablation row is the proposed method itself, so it is run once under its own name.
_ABLATION_NAMES: Mapping[str, str] = {"nfer-sde": "cond+eh+ef"}


@cache
def published() -> Mapping[tuple[str, str, str], Mapping[str, float]]:
    """Published values by (table kind, dataset, method).

    The kind is "comparison" or "ablation"; accuracy and macro F1 are percentages. A metric that the paper does not
    print for a row is absent.
    """
    text = files("nferbench_reports").joinpath("paper_tables.csv").read_text(encoding="utf-8")
    values: dict[tuple[str, str, str], Mapping[str, float]] = {}
    for line in csv.DictReader(text.splitlines()):
        kind = "ablation" if line["group"] == "ablation" else "comparison"
        values[kind, line["dataset"], line["method"]] = {name: float(line[name]) for name in METRICS if line[name]}
    return values


def published_value(kind: str, dataset: str, method: str, metric: str) -> float | None:
    """The printed value of one cell, None where the paper has none."""
    row = published().get((kind, dataset, _printed_name(kind, method)), {})
    return row.get(metric)


def printed_position(kind: str, method: str) -> int:
    """The place of a method among the paper's rows; methods that the paper does not have come after all of those."""
    names = list(dict.fromkeys(name for table, _, name in published() if table == kind))
    name = _printed_name(kind, method)
    return names.index(name) if name in names else len(names)


def ablation_title(method: str, title: str) -> str:
    """How the paper's Table 3 calls a row; a method that is called otherwise elsewhere has that title behind it."""
    printed = _ABLATION_TITLES.get(_printed_name("ablation", method), title)
    return f"{printed}, {title}" if method in _ABLATION_NAMES else printed


def _printed_name(kind: str, method: str) -> str:
    return _ABLATION_NAMES.get(method, method) if kind == "ablation" else method
