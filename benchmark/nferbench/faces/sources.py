"""Where prepared faces are from: the content of the file that each was cut from, and the square that was cut."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import cell, from_cell
from nferbench.faces.geometry import Square

FILE = "sources.csv"
_COLUMNS = ("id", "sha256", "left", "top", "side", "degrees")


@final
@dataclass(frozen=True)
class Source:
    """What one prepared face was cut from."""

    sha256: str  # of its image file; "" where it was drawn
    square: Square  # in pixels of the upright picture


def write_sources(folder: Path, sources: Mapping[str, Source]) -> None:
    """Write the sources of prepared faces, by their ids, beside them; positions to hundredths of a pixel."""
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, source in sources.items():
            square = source.square
            place = (square.left, square.top, square.side, math.degrees(square.angle))
            writer.writerow([cell(name), source.sha256, *(f"{value:.2f}" for value in place)])


def read_sources(folder: Path) -> dict[str, Source]:
    """What `write_sources` wrote, by id; empty where faces were prepared by a version that did not keep it.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with (folder / FILE).open(newline="", encoding="utf-8") as file:
            return {from_cell(row["id"]): _source(row) for row in csv.DictReader(file)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder / FILE} is damaged ({error}); delete the folder to prepare again") from None


def _source(row: Mapping[str, str]) -> Source:
    left, top, side, degrees = (float(row[name]) for name in _COLUMNS[2:])
    return Source(row["sha256"], Square(left, top, side, math.radians(degrees)))
