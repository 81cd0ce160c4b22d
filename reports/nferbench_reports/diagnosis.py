"""What the first faces of a fold tell of guided methods: a table of pushes for each, a figure of all, and the faces."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

import numpy as np

from nferbench.contract.errors import DataError, UsageError
from nferbench_reports.grid import Example, Picture, draw, read_images
from nferbench_reports.naming import stem
from nferbench_reports.pushes import FILE, Panel, Summary, read_pushes, summarised
from nferbench_reports.pushes_figure import draw_pushes
from nferbench_reports.results import Missing, read_table

SHOWN = 10  # steps of a summary

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Translated:
    """A method and where its translation of the first faces lies."""

    name: str
    title: str
    folder: Path


@final
@dataclass(frozen=True)
class Diagnosis:
    """What was written, and what was read for it."""

    paths: tuple[Path, ...]
    pushes: Mapping[str, Summary]  # by name of the method; methods that noted none are absent


def write_diagnosis(prepared: Path, translated: Sequence[Translated], out: Path) -> Diagnosis:
    """Write faces.png, and of the methods that noted their pushes <method>.csv each and pushes.png.

    Args:
        prepared: the folder of the prepared faces.
        translated: translations of the same faces, one at least.
        out: a directory; made if it is not there.

    Raises:
        DataError: a stored file cannot be used.
        UsageError: a directory that cannot be written.
    """
    noted = [each for each in translated if (each.folder / FILE).exists()]
    pushes = {each.name: _known(read_pushes(each.folder / FILE)) for each in noted}
    examples, columns = _grid(prepared, translated)
    figure, grid = out / "pushes.png", out / "faces.png"
    tables = [out / f"{stem(each.name)}.csv" for each in noted]
    try:
        out.mkdir(parents=True, exist_ok=True)
        draw(columns, examples).save(grid)
        for each, path in zip(noted, tables, strict=True):
            shutil.copyfile(each.folder / FILE, path)
        figure.unlink(missing_ok=True)  # never an older figure beside newer tables
        if pushes:
            draw_pushes([Panel(each.title, pushes[each.name]) for each in noted], figure)
    except OSError as error:
        raise UsageError(
            f"the diagnosis cannot be written to '{out}' ({error.strerror}); choose another: --out"
        ) from None
    summaries = {name: summarised(each, SHOWN) for name, each in pushes.items()}
    return Diagnosis((*tables, *([figure] if pushes else []), grid), summaries)


def _grid(prepared: Path, translated: Sequence[Translated]) -> tuple[list[Example], list[tuple[str, list[Picture]]]]:
    """What is a row each, and the columns of the picture grid: the VIS faces, each translation, the NIR faces."""
    faces = _known(read_table(prepared / "faces.csv", ("id", "modality", "subject", "expression", "pair")))
    images = _known(read_images(prepared))
    place = {face: i for i, face in enumerate(faces["id"])}
    nir = faces[(faces["modality"] == "nir") & (faces["pair"] != "")]
    partner = dict(zip(nir["pair"], nir["id"], strict=True))
    shown = _known(read_table(translated[0].folder / "faces.csv", ("id", "subject", "expression", "pair")))
    examples = [
        Example(row["expression"], row["subject"], row["id"], partner[row["pair"]]) for row in shown.to_dict("records")
    ]
    columns: list[tuple[str, list[Picture]]] = [("VIS", [np.asarray(images[place[one.vis]]) for one in examples])]
    columns += [(each.title, [np.asarray(face) for face in _known(read_images(each.folder))]) for each in translated]
    columns.append(("NIR (real)", [np.asarray(images[place[one.nir]]) for one in examples]))
    return examples, columns


def _known(found: T | Missing) -> T:
    if isinstance(found, Missing):
        raise DataError(f"{found.reason}; try 'nferbench verify --set-aside', then the same command again")
    return found
