"""The sections of the page that show what report.md has: tables, significance, headroom and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from nferbench_reports import headroom
from nferbench_reports.drawn import Drawn, picture
from nferbench_reports.headroom import Recovery
from nferbench_reports.markdown import legend
from nferbench_reports.naming import table_stem
from nferbench_reports.pushes import Panel, pushes_frame
from nferbench_reports.section import Section, Sheet, Shown
from nferbench_reports.studies import Studies, studies_frame
from nferbench_reports.table import Column, Footnotes, Table, TableRow, blocks


def tables_section(tables: Sequence[Table]) -> Section | None:
    """The tables, one sheet each; None where there are none."""
    return Section("tables", "Tables", (), tuple(map(table_sheet, tables))) if tables else None


def table_sheet(table: Table) -> Sheet:
    """A table with a row a method.

    Its frame has method, title, kind, reference and notes (marks), and of each metric M the columns "M" (pooled), "M
    mean", "M sd", "M folds", "M best" and "M notes", beside published values "M published" and "M difference" too; in
    the ablation the data set stands before M.
    """
    names = [_name(table, column) for column in table.columns]
    told = table.footnotes()
    lines = [_line(table, label, row, names, told) for label, block in blocks(table) for row in block]
    labelled = any(label for label, _ in blocks(table))
    shown = [Shown("title", "Method", marks="notes"), *([Shown("kind", "Kind")] if labelled else [])]
    for name, column in zip(names, table.columns, strict=True):
        shown += _shown(name, column, table)
    return Sheet(
        f"table-{table_stem(table)}",
        f"Table {table.number}. {table.caption}",
        pd.DataFrame(lines),
        tuple(shown),
        notes=(
            legend(table, "beside it").strip(),
            *table.remarks,
            *told.remarks,
            *(f"[{mark}] {text}" for text, mark in told.marks.items()),
        ),
        italic="reference",
    )


def headroom_section(recovered: Sequence[Recovery], titles: Mapping[str, str], text: str) -> Section | None:
    """What is recovered of the headroom; None where there is none."""
    if not recovered:
        return None
    frame = headroom.frame(recovered).assign(
        dataset_title=[titles[one.dataset] for one in recovered],
        title=[one.title for one in recovered],
        reference=[one.reference for one in recovered],
    )
    columns = (
        Shown("dataset_title", "Data set"),
        Shown("title", "Method"),
        Shown("subjects", "Subjects"),
        Shown("accuracy", "Acc (%)", 2),
        Shown("difference", "Difference", 2, signed=True, heading="From no translation (points)"),
        Shown("low", "Low", 2, signed=True, heading="From no translation (points)"),
        Shown("high", "High", 2, signed=True, heading="From no translation (points)"),
        Shown("share", "Share", 1, heading="Share of the headroom (%)"),
        Shown("share_low", "Low", 1, heading="Share of the headroom (%)"),
        Shown("share_high", "High", 1, heading="Share of the headroom (%)"),
    )
    notes = headroom.notes(recovered, titles)
    sheet = Sheet(
        "headroom", "Recovered of the headroom", frame, columns, ("dataset_title",), tuple(notes), italic="reference"
    )
    return Section("headroom", "Headroom", (text,), (sheet,))


def studies_sheet(found: Sequence[Studies], titles: Mapping[str, str]) -> Sheet | None:
    """The points of all studies; None where there are none."""
    if not found:
        return None
    columns = {column.metric: column for one in found for column in one.columns}
    frame = studies_frame(found)
    frame = frame.assign(
        dataset_title=frame["dataset"].map(titles),
        metric_title=frame["metric"].map({name: column.title for name, column in columns.items()}),
        decimals=frame["metric"].map({name: column.decimals for name, column in columns.items()}),
    )
    shown = (
        Shown("dataset_title", "Data set"),
        Shown("study", "Study"),
        Shown("metric_title", "Metric"),
        Shown("value", "Value"),
        Shown("pooled", "Pooled", "decimals"),
        Shown("low", "Low", "decimals"),
        Shown("high", "High", "decimals"),
        Shown("folds", "Folds"),
        Shown("subjects", "Subjects"),
        Shown("images", "Images"),
    )
    return Sheet("studies", "Numbers of the studies", frame, shown, ("dataset_title", "study", "metric_title"))


def pushes_sheet(panels: Mapping[str, Sequence[Panel]], titles: Mapping[str, str]) -> Sheet | None:
    """The pushes that are drawn, by data set; None where there are none."""
    if not panels:
        return None
    frame = pushes_frame(panels)
    frame = frame.assign(dataset_title=frame["dataset"].map(titles))
    shown = (
        Shown("dataset_title", "Data set"),
        Shown("method", "Method"),
        Shown("term", "Term"),
        Shown("k", "Step"),
        Shown("t", "t"),
        Shown("rms_mean", "Mean push"),
        Shown("rms_low", "10th percentile"),
        Shown("rms_high", "90th percentile"),
        Shown("relative", "Over the score", 3),
        Shown("cosine", "Cosine", 3, signed=True),
    )
    return Sheet("pushes", "Numbers of the pushes", frame, shown, ("dataset_title", "method", "term"))


def drawn_section(anchor: str, title: str, drawn: Sequence[Drawn], sheet: Sheet | None = None) -> Section | None:
    """Pictures, why others are missing, and a sheet of their numbers; None where there is nothing to show or to say.

    Raises:
        OSError: a picture cannot be read.
    """
    if not drawn:
        return None
    missing = tuple(line for one in drawn if one.path is None for line in (one.said, *one.lines) if line)
    pictures = tuple(found for one in drawn if (found := picture(one)))
    return Section(anchor, title, missing, (*pictures, *([sheet] if sheet else [])))


def _name(table: Table, column: Column) -> str:
    return f"{column.dataset} {column.metric}" if table.kind == "ablation" else column.metric


def _line(table: Table, label: str, row: TableRow, names: Sequence[str], told: Footnotes) -> dict[str, Any]:
    stamps = [*(["†"] if row.heterogeneous else []), *told.titles[row.name]]
    line: dict[str, Any] = {
        "method": row.name,
        "title": row.title,
        "kind": label,
        "reference": row.group == "reference",
        "notes": " ".join(stamps),
    }
    for position, (name, cell) in enumerate(zip(names, row.cells, strict=True)):
        known = asdict(cell) if cell else {}
        best = row.name in table.best(position)
        near = "≈" if cell and cell.separable is False and not best else ""
        mark = told.cells.get((row.name, position), "")
        line |= {
            name: known.get("pooled"),
            f"{name} mean": known.get("mean"),
            f"{name} sd": known.get("std"),
            f"{name} folds": len(cell.folds) if cell else None,
            f"{name} best": best,
            f"{name} notes": " ".join(filter(None, (near, mark))),
        }
        if table.beside_paper:
            line |= {
                f"{name} published": cell.published if cell else None,
                f"{name} difference": cell.difference if cell else None,
            }
    return line


def _shown(name: str, column: Column, table: Table) -> list[Shown]:
    heading = f"{column.heading} {column.title}" if table.kind == "ablation" else column.title
    places = column.decimals
    better: Any = "higher" if column.best is max else "lower"
    shown = [Shown(name, "pooled", places, better, heading=heading, bold=f"{name} best", marks=f"{name} notes")]
    if any(cell.std is not None for cell in table.numbers()):
        shown += [Shown(f"{name} mean", "mean", places, heading=heading)]
        shown += [Shown(f"{name} sd", "sd", places, heading=heading)]
    if table.beside_paper:
        shown += [Shown(f"{name} published", "paper", places, heading=heading)]
        shown += [Shown(f"{name} difference", "Δ", places, signed=True, heading=heading)]
    return shown
