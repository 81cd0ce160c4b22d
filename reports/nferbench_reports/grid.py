"""The picture grid of the paper's Figure 4: a VIS face, its translation by each method, and the real NIR face.

The faces are chosen by rule, never by eye: the expression in row j (from 0) shows test subject number j of fold 0 among
those who have that expression, subjects sorted by name and counted round; of several pairs the first by VIS id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench.contract.printable import one_line
from nferbench_reports import paper
from nferbench_reports.record import Entry, Record, Row, TableName
from nferbench_reports.results import Missing, Outcome, read_table
from nferbench_reports.stage_files import folder_of, missing_reason

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

FOLD = 0
RULE = (
    "Row j shows the j-th test subject of fold 0 (sorted by name, counted round) who has the expression; of several "
    "pairs the first by id."
)
COMPRESSION = 4  # of PNG files: a tenth larger than by the default, in half the time
LEFT_OUT = "pictures of faces were left out (--no-faces)"
_SIDE = 160  # pixels a face is enlarged to at least
_GAP = 4
_FONT = 14


@final
@dataclass(frozen=True)
class Example:
    """The pair that one row of the grid shows."""

    expression: str
    subject: str
    vis: str  # id of the VIS face
    nir: str  # id of its NIR partner


Picture = NDArray[np.uint8] | Missing


def choose(faces: pd.DataFrame, test_subjects: Sequence[str], classes: Sequence[str]) -> list[Example]:
    """The examples of a grid; expressions that no test subject has as a pair are left out.

    Args:
        faces: prepared faces with id, modality, subject, expression and pair, in any order.
        test_subjects: the test subjects of fold 0, in any order.
        classes: the expressions, in the order of the rows.
    """
    faces = faces[(faces["pair"] != "") & faces["subject"].isin(list(test_subjects))].sort_values("id")
    partners = faces[faces["modality"] == "nir"].drop_duplicates("pair").set_index("pair")["id"]
    sources = faces[(faces["modality"] == "vis") & faces["pair"].isin(partners.index)]
    examples = []
    for j, expression in enumerate(classes):
        mine = sources[sources["expression"] == expression]
        if mine.empty:
            continue
        subjects = sorted(set(mine["subject"]))
        face = mine[mine["subject"] == subjects[j % len(subjects)]].iloc[0]
        examples.append(Example(expression, face["subject"], face["id"], partners[face["pair"]]))
    return examples


def prepared_faces(workspace: Path, record: Record) -> tuple[pd.DataFrame, NDArray[np.uint8]] | Missing:
    """The table of a record's prepared faces, and their images (N, S, S, 3) left on the disk, or why there are none."""
    if reason := missing_reason(workspace, record.faces, "faces.csv", "images.npy"):
        return Missing(f"the prepared faces: {reason}")
    folder = folder_of(workspace, record.faces)
    faces = read_table(folder / "faces.csv", ("id", "modality", "subject", "expression", "pair"))
    images = read_images(folder)
    if isinstance(faces, Missing):
        return faces
    if isinstance(images, Missing):
        return images
    if len(images) != len(faces) or images.shape[1] != images.shape[2]:
        return Missing(f"{folder.name}/images.npy does not hold the square faces of faces.csv")
    return faces, images


def write_grid(workspace: Path, record: Record, path: Path, table: TableName = "comparison") -> int | Missing:
    """Draw the grid of a record's rows in a table to a PNG file; return its number of faces, or why there is none."""
    prepared = prepared_faces(workspace, record)
    if isinstance(prepared, Missing):
        return prepared
    faces, images = prepared
    order = ("gan", "diffusion", "given")
    rows = [row for row in record.rows if table in row.tables and row.group in order]
    rows.sort(key=lambda row: (order.index(row.group), paper.printed_position(table, row.name)))
    subjects = test_subjects(workspace, record)
    if not subjects:
        return Missing(f"no stage of fold {FOLD} is complete")
    examples = choose(faces, subjects, record.protocol.classes)
    if not examples:
        return Missing(f"no pairs among the test faces of fold {FOLD}")
    position = {face: i for i, face in enumerate(faces["id"])}
    columns: list[tuple[str, list[Picture]]] = [("VIS", [np.asarray(images[position[one.vis]]) for one in examples])]
    columns += [(row.title, _translated(workspace, row, examples)) for row in rows]
    columns.append(("NIR (real)", [np.asarray(images[position[one.nir]]) for one in examples]))
    draw(columns, examples).save(path, compress_level=COMPRESSION)
    return sum(not isinstance(face, Missing) for _, pictures in columns for face in pictures)


def _fold(row: Row, number: int) -> Sequence[Entry]:
    """The stages of a row on a fold."""
    return [
        entry
        for fold in row.folds
        if fold.fold == number
        for entry in (fold.translation, fold.quality, fold.fer)
        if entry is not None
    ]


def test_subjects(workspace: Path, record: Record, fold: int = FOLD) -> list[str]:
    """The test subjects of a fold, sorted, as every finished stage of a method on that fold tells; none without one."""
    for row in record.rows:
        for entry in _fold(row, fold):
            for name in ("faces.csv", "scores.csv", "predictions.csv"):
                path = folder_of(workspace, entry) / name
                if path.is_file() and missing_reason(workspace, entry, name) is None:
                    table = read_table(path, ("subject",))
                    if not isinstance(table, Missing):
                        return sorted(set(table["subject"]))
    return []


def _translated(workspace: Path, row: Row, examples: Sequence[Example]) -> list[Picture]:
    entry = next((fold.translation for fold in row.folds if fold.fold == FOLD), None)
    if entry is None:
        return [Missing("not part of the run") for _ in examples]
    if reason := missing_reason(workspace, entry, "faces.csv", "images.npy"):
        return [Missing(reason) for _ in examples]
    faces: Outcome = read_table(folder_of(workspace, entry) / "faces.csv", ("id",))
    images = read_images(folder_of(workspace, entry))
    if isinstance(faces, Missing):
        return [faces for _ in examples]
    if isinstance(images, Missing):
        return [images for _ in examples]
    position = {face: i for i, face in enumerate(faces["id"])}
    return [
        np.asarray(images[position[one.vis]]) if one.vis in position else Missing("this face was not translated")
        for one in examples
    ]


def read_images(folder: Path) -> NDArray[np.uint8] | Missing:
    """The faces of a stage, (N, S, S, 3), left on the disk until they are indexed."""
    try:
        images: NDArray[np.uint8] = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        return Missing(f"{folder.name}/images.npy is damaged ({type(error).__name__})")
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        return Missing(f"{folder.name}/images.npy does not hold 8-bit RGB images")
    return images


def draw(columns: Sequence[tuple[str, Sequence[Picture]]], examples: Sequence[Example]) -> Image.Image:
    """A grid of faces.

    Args:
        columns: their titles, and a picture (S, S, 3) for each example; the first column has one picture at least.
        examples: one a row.
    """
    from PIL import Image, ImageDraw

    size = next(len(picture) for picture in columns[0][1] if not isinstance(picture, Missing))
    side = size * math.ceil(_SIDE / size)  # a whole multiple, so that every pixel grows alike
    font = _font()
    head, left = 3 * (_FONT + 4) + _GAP, 150
    canvas = Image.new(
        "RGB", (left + len(columns) * (side + _GAP), head + len(examples) * (side + _GAP)), (255, 255, 255)
    )
    pen = ImageDraw.Draw(canvas)
    for j, one in enumerate(examples):
        _write(
            pen, font, f"{one.expression}\nsubject {one_line(one.subject)}", (0, head + j * (side + _GAP)), (left, side)
        )
    for i, (title, pictures) in enumerate(columns):
        x = left + i * (side + _GAP)
        _write(pen, font, title, (x, 0), (side, head))
        for j, picture in enumerate(pictures):
            y = head + j * (side + _GAP)
            if isinstance(picture, Missing):
                _hatch(canvas, (x, y), side)
                _write(pen, font, picture.reason, (x, y), (side, side), background=True)
            else:
                enlarged = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
                canvas.paste(enlarged, (x, y))
    return canvas


def _hatch(canvas: Image.Image, corner: tuple[int, int], side: int) -> None:
    """An empty place: diagonal lines in a frame."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    grey = np.where((across + down) % 12 < 2, 205, 245)
    grey[[0, -1], :] = grey[:, [0, -1]] = 150
    from PIL import Image

    canvas.paste(Image.fromarray(grey.astype(np.uint8)).convert("RGB"), corner)


def _write(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    text: str,
    corner: tuple[int, int],
    box: tuple[int, int],
    background: bool = False,
) -> None:
    """Centred text, broken into lines that fit the box; what does not fit ends in an ellipsis."""
    width, height = box[0] - 8, box[1] - 4
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    room = max(1, height // (_FONT + 4))
    if len(lines) > room:
        lines = [*lines[: room - 1], f"{lines[room - 1]} …"]
    centre = (corner[0] + box[0] / 2, corner[1] + box[1] / 2)
    fitted = "\n".join(_shortened(line, font, width) for line in lines)
    if background:
        x0, y0, x1, y1 = pen.multiline_textbbox(centre, fitted, font=font, anchor="mm", align="center")
        pen.rectangle((x0 - 4, y0 - 4, x1 + 4, y1 + 4), fill=(255, 255, 255))
    pen.multiline_text(centre, fitted, fill=(0, 0, 0), font=font, anchor="mm", align="center")


def _shortened(line: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    line = line[:500]  # as long as no place is wide; a longer one would take minutes
    if font.getlength(line) <= width:
        return line
    while len(line) > 1 and font.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line}…"


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries: the letters of most languages, the same on every machine."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", _FONT)
