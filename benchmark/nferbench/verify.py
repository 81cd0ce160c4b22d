"""Whether a copy of a data set can be used: what it holds, what is odd about it, and how its crops look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nferbench.crops import crop_named, cut
from nferbench.datasets import Face, FaceDataset, Listing
from nferbench.datasets.labels import CLASSES
from nferbench.datasets.left_out import counted
from nferbench.datasets.pairing import by_pair
from nferbench.errors import DataError
from nferbench.folds import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

CROPS_SHOWN = 24  # on a contact sheet
COLUMNS = 6
SHOWN = 5  # subjects at either end of a list of counts


@dataclass(frozen=True)
class Verdict:
    """What a check of a data set came to."""

    lines: tuple[str, ...]
    usable: bool
    sheet: NDArray[np.uint8] | None  # (h, w, 3) RGB contact sheet; None where no crop could be made


def verify(dataset: FaceDataset, root: Path | None, size: int, crop: str, seed: int = 0) -> Verdict:
    """List a data set, count, and crop some faces of it.

    Args:
        dataset: what to look at.
        root: its data root.
        size: side of the crops in pixels.
        crop: name of a crop recipe.
        seed: of the choice of faces on the sheet.

    Raises:
        UsageError: no root, or nothing there looks like this data set.
    """
    if problems := dataset.problems(root):
        return Verdict((*problems, f"{dataset.title}: not usable, {len(problems)} problems"), False, None)
    listing = dataset.listing(root)
    findings = dataset.findings(listing, root)
    crops, failures = _crops(dataset, listing, root, size, crop, seed)
    serious = [finding.text for finding in findings if finding.serious]
    if listing.faces and not crops:
        serious.append("none of the faces that were tried could be cropped")
    lines = [
        *_counts(listing.faces),
        *(f"note: {finding.text}" for finding in findings if not finding.serious),
        *counted(listing.dropped),
        *(f"could not be cropped: {failure}" for failure in failures),
        *(f"serious: {text}" for text in serious),
        f"{dataset.title}: {'not usable as it is' if serious else 'usable'}; {len(crops)} of "
        f"{len(crops) + len(failures)} faces that were tried could be cropped",
    ]
    return Verdict(tuple(lines), not serious, _sheet(crops, size) if crops else None)


def _counts(faces: Sequence[Face]) -> Iterator[str]:
    classes = [name for name in CLASSES if any(face.expression == name for face in faces)]
    for modality in ("vis", "nir"):
        mine = [face for face in faces if face.modality == modality]
        if mine:
            count = Counter(face.expression for face in mine)
            told = ", ".join(f"{name} {count[name]}" for name in classes)
            people = len({face.subject for face in mine} - {UNKNOWN})
            yield f"{modality}: {len(mine)} faces of {people} subjects: {told}"
    each = Counter(face.subject for face in faces if face.subject != UNKNOWN)
    if each:
        ordered = sorted(each.items(), key=lambda item: (item[1], item[0]))
        few, many = ordered[:SHOWN], ordered[-SHOWN:][::-1]
        yield (
            f"faces a subject: {ordered[0][1]} to {ordered[-1][1]}; fewest "
            + ", ".join(f"{name} {count}" for name, count in few)
            + "; most "
            + ", ".join(f"{name} {count}" for name, count in many)
        )
    if unknown := sum(face.subject == UNKNOWN for face in faces):
        yield f"{unknown} faces of unknown people: they may train, and are never tested"
    pairs = sum(len(group) == 2 for group in by_pair(faces).values())
    yield f"{pairs} VIS-NIR pairs"


def _crops(
    dataset: FaceDataset, listing: Listing, root: Path | None, size: int, crop: str, seed: int
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    recipe = crop_named(crop)
    order = np.random.default_rng(seed).permutation(len(listing.faces))[:CROPS_SHOWN]
    crops, failures = [], []
    for index in sorted(order):
        face = listing.faces[index]
        try:
            picture = dataset.load(face, root, size)
            crops.append(cut(picture.pixels, recipe(picture), size))
        except DataError as error:
            failures.append(f"{face.id}: {error}")
    return crops, failures


def _sheet(crops: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    rows = -(-len(crops) // COLUMNS)
    sheet = np.full((rows * (size + 4) + 4, COLUMNS * (size + 4) + 4, 3), 255, np.uint8)
    for place, crop in enumerate(crops):
        top, left = (4 + (size + 4) * index for index in divmod(place, COLUMNS))
        sheet[top : top + size, left : left + size] = crop
    return sheet
