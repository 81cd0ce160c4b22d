"""Whether a copy of a data set can be used: what it holds, what is odd about it, and how its crops look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nferbench.contract.dataset import Face, FaceDataset
from nferbench.contract.errors import DataError, NferbenchError
from nferbench.contract.ibug import POINTS
from nferbench.contract.people import UNKNOWN, lookalikes
from nferbench.contract.people import told as told_people
from nferbench.datasets.depth import levelled
from nferbench.datasets.labels import CLASSES
from nferbench.datasets.left_out import counted
from nferbench.datasets.levels import Wanted
from nferbench.datasets.pairing import by_pair
from nferbench.faces.blocks import check_picture, crop_of
from nferbench.faces.crops import crop_named
from nferbench.faces.folds import check_folds, folds_of
from nferbench.faces.geometry import Square, moved
from nferbench.faces.registration import apart, registered, summary, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASS_TRIED = 24  # faces of a class, before it is given up
FEWEST_FOLDS = 2
CROPS_SHOWN = 24  # on a contact sheet, those of a pair side by side
COLUMNS = 6
SHOWN = 5  # subjects at either end of a list of counts


@dataclass(frozen=True)
class Verdict:
    """What a check of a data set came to."""

    lines: tuple[str, ...]
    usable: bool
    sheet: NDArray[np.uint8] | None  # (h, w, 3) RGB contact sheet; None where no crop could be made


def verify(
    dataset: FaceDataset,
    root: Path | None,
    size: int,
    crop: str,
    seed: int = 0,
    folds: int = 5,
    levels: Wanted = MappingProxyType({}),
) -> Verdict:
    """List a data set, count, and crop some faces of it.

    A set of both modalities is usable where it has pairs and can be divided into folds, one of VIS faces alone as an
    extra set. Neither is where half of the faces that were tried cannot be cropped, or no face of a class.

    Args:
        dataset: what to look at.
        root: its data root.
        size: side of the crops in pixels.
        crop: name of a crop recipe.
        seed: of the folds, and of the choice of faces on the sheet.
        folds: how many there shall be.
        levels: black and white of files of more than 8 bits, as settings say.

    Raises:
        UsageError: no root, or nothing there looks like this data set.
    """
    if problems := dataset.problems(root):
        return Verdict((*problems, f"{dataset.title}: not usable, {len(problems)} problems"), False, None)
    listing = dataset.listing(root)
    findings = dataset.findings(listing, root)
    dataset, listing = levelled(dataset, listing, root, levels)
    tried = _some(listing.faces, seed)
    crops, failures = _crops(dataset, tried, root, size, crop, listing.landmarks)
    usable, lacking, notes = _purpose(listing.faces, folds, seed)
    serious = [*(finding.text for finding in findings if finding.serious), *lacking]
    if listing.faces and not crops:
        serious.append("none of the faces that were tried could be cropped")
    elif 2 * len(failures) >= len(tried):
        serious.append(f"{len(failures)} of {len(tried)} faces that were tried could not be cropped")
    serious += [
        f"none of the {len(faces)} {faces[0].modality.upper()} faces of class `{faces[0].expression}` that were tried "
        "could be cropped"
        for faces in _untried(listing.faces, tried, crops)
        if not any(_crops(dataset, [face], root, size, crop, listing.landmarks)[0] for face in faces)
    ]
    lines = [
        *_counts(listing.faces),
        *(f"note: {text}" for text in (*(one.text for one in findings if not one.serious), *listing.notes, *notes)),
        *_alike(listing.faces),
        *counted(listing.dropped),
        *(f"could not be cropped: {failure}" for failure in failures),
        *_apart(tried, crops, size),
        *(f"serious: {text}" for text in serious),
        f"{dataset.title}: {'not usable as it is' if serious else usable}; {len(crops)} of "
        f"{len(tried)} faces that were tried could be cropped",
    ]
    sheet = _sheet([cropped.pixels for cropped in crops.values()], size) if crops else None
    return Verdict(tuple(lines), not serious, sheet)


def _counts(faces: Sequence[Face]) -> Iterator[str]:
    classes = [name for name in CLASSES if any(face.expression == name for face in faces)]
    for modality in ("vis", "nir"):
        mine = [face for face in faces if face.modality == modality]
        if mine:
            count = Counter(face.expression for face in mine)
            told = ", ".join(f"{name} {count[name]}" for name in classes)
            people = len({face.subject for face in mine} - {UNKNOWN})
            yield f"{modality}: {len(mine)} faces{f' of {people} subjects' if people else ''}: {told}"
    each = Counter(face.subject for face in faces if face.subject != UNKNOWN)
    if len(set(each.values())) == 1:
        yield f"faces a subject: {each.most_common(1)[0][1]}"
    elif each:
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


def _alike(faces: Sequence[Face]) -> Iterator[str]:
    if groups := lookalikes(face.subject for face in faces):
        yield f"note: {told_people(groups)}"


@dataclass(frozen=True)
class _Cropped:
    pixels: NDArray[np.uint8]  # (S, S, 3)
    square: Square
    landmarks: NDArray[np.float32] | None  # in pixels of the picture


def _some(faces: Sequence[Face], seed: int) -> list[Face]:
    """Faces to look at: of random pairs where there are pairs, VIS first, else random ones."""
    random = np.random.default_rng(seed)
    groups = (group for group in by_pair(faces).values() if len(group) == 2)
    couples = [sorted(group, key=lambda face: face.modality, reverse=True) for group in groups]
    if couples:
        chosen = sorted(random.permutation(len(couples))[: CROPS_SHOWN // 2])
        return [face for index in chosen for face in couples[index]]
    return [faces[index] for index in sorted(random.permutation(len(faces))[:CROPS_SHOWN])]


def _purpose(faces: Sequence[Face], folds: int, seed: int) -> tuple[str, list[str], list[str]]:
    """What some faces are usable for, what they lack for it, and what to note."""
    modalities = {face.modality for face in faces}
    if modalities == {"vis"}:
        return "usable as an extra set", [], []
    if "vis" not in modalities:
        return "", ["there are NIR faces only; a data set needs VIS-NIR pairs, an extra set VIS faces"], []
    if not any(len(group) == 2 for group in by_pair(faces).values()):
        return (
            "",
            ["no VIS face has a NIR partner; a data set needs pairs, and only as an extra set this can serve"],
            [],
        )
    try:
        check_folds(faces, folds_of(faces, folds, seed))
    except NferbenchError as error:
        try:
            check_folds(faces, folds_of(faces, FEWEST_FOLDS, seed))
        except NferbenchError as worse:
            return "", [str(worse)], []
        return "usable", [], [f"{error} (--folds {FEWEST_FOLDS} would do)"]
    return "usable", [], []


def _untried(faces: Sequence[Face], tried: Sequence[Face], crops: Collection[str]) -> Iterator[list[Face]]:
    """For each class and modality of which no face was cropped: some of its faces, those first that failed."""
    groups: dict[tuple[str, str], list[Face]] = defaultdict(list)
    known = set(tried)
    for face in (*tried, *(face for face in faces if face not in known)):
        groups[face.expression, face.modality].append(face)
    for group in groups.values():
        if not any(face.id in crops for face in group):
            yield group[:CLASS_TRIED]


def _crops(
    dataset: FaceDataset, faces: Sequence[Face], root: Path | None, size: int, crop: str, landmarks: int
) -> tuple[dict[str, _Cropped], list[str]]:
    """What became of some faces: crops by id, and why others could not be cropped."""
    recipe = crop_named(crop)
    crops, failures = {}, []
    for face in faces:
        try:
            picture = dataset.load(face, root, size)
            check_picture(dataset, face, picture, landmarks)
            square = recipe(picture)
            crops[face.id] = _Cropped(crop_of(face, picture, square, size), square, picture.landmarks)
        except DataError as error:
            failures.append(f"{face.id}: {error}")
    return crops, failures


def _apart(faces: Sequence[Face], crops: Mapping[str, _Cropped], size: int) -> Iterator[str]:
    """How far apart the faces of the pairs that were looked at are, as they are and if they were registered."""
    before, after = [], []
    for vis, nir in (group for group in by_pair(faces).values() if len(group) == 2):
        if vis.id not in crops or nir.id not in crops:
            continue
        one, other = crops[vis.id], crops[nir.id]
        if one.landmarks is None or other.landmarks is None or len(one.landmarks) != POINTS:
            continue
        try:
            square = registered(one.square, one.landmarks, other.landmarks)
        except DataError:
            continue
        shown = moved(one.landmarks, one.square, size)[None]
        before.append(apart(shown, moved(other.landmarks, other.square, size)[None])[0])
        after.append(apart(shown, moved(other.landmarks, square, size)[None])[0])
    if distance := summary(np.array(before), np.full(len(before), np.nan)):
        yield f"{told(distance)}; {np.nanmedian(after):.3f} if registered (--set register=true)"


def _sheet(crops: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    rows = -(-len(crops) // COLUMNS)
    sheet = np.full((rows * (size + 4) + 4, COLUMNS * (size + 4) + 4, 3), 255, np.uint8)
    for place, crop in enumerate(crops):
        top, left = (4 + (size + 4) * index for index in divmod(place, COLUMNS))
        sheet[top : top + size, left : left + size] = crop
    return sheet
