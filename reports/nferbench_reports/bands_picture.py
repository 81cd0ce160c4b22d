"""The paper's Figure 3 as a picture: VIS and NIR faces of a few pairs, each parted in low and high frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nferbench_reports.bands import usable_faces
from nferbench_reports.frequencies import CELLS, Values, low_pass
from nferbench_reports.grid import Picture, choose, draw, test_subjects
from nferbench_reports.record import Record
from nferbench_reports.results import Missing

if TYPE_CHECKING:
    from PIL import Image

SHOWN = 3  # pairs
RULE = (
    "VIS and NIR faces of pairs and what a low-pass filter makes of both, that of the energy E_f of NFER-SDE with its "
    f"defaults ({CELLS} × {CELLS} values of a face, linear): the low frequencies that it keeps, and the high ones that "
    f"it takes away, around grey. The pairs are those of the first {SHOWN} lines of the picture grid."
)


def bands_picture(workspace: Path, record: Record) -> tuple[Image.Image, int] | Missing:
    """The picture of a record's prepared faces and how many faces it shows, or why there is none."""
    prepared = usable_faces(workspace, record)
    if isinstance(prepared, Missing):
        return prepared
    faces, images = prepared
    examples = choose(faces, test_subjects(workspace, record), record.protocol.classes)[:SHOWN]
    if not examples:
        return Missing("no pairs among the test faces of fold 0")
    position = {face: i for i, face in enumerate(faces["id"])}
    columns: list[tuple[str, Sequence[Picture]]] = []
    for title, ids in (("VIS", [one.vis for one in examples]), ("NIR", [one.nir for one in examples])):
        whole = [np.asarray(images[position[face]]) for face in ids]
        parted = [parts(face) for face in whole]
        columns += [(title, whole), (f"{title}, low", [low for low, _ in parted])]
        columns.append((f"{title}, high", [high for _, high in parted]))
    return draw(columns, examples), len(columns) * len(examples)


def parts(face: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The low frequencies of a face (S, S, 3), and the high ones around mid-grey; what leaves 0 to 255 is clipped."""
    channels: Values = np.moveaxis(face, -1, 0).astype(float)
    low = low_pass(channels)
    kept, taken = (
        np.moveaxis(each.round().clip(0, 255), 0, -1).astype(np.uint8) for each in (low, 128 + channels - low)
    )
    return kept, taken
