"""A block of prepared faces: what is decoded, cropped and stored at a time, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nferbench.contract.dataset import Face, FaceDataset, Picture
from nferbench.contract.errors import DataError, PluginError
from nferbench.datasets.images import MIN_SIDE, luminance
from nferbench.faces.crops import Crop, median
from nferbench.faces.geometry import Square, cut, moved
from nferbench.faces.registration import apart, registered

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 64  # faces, or one more; a thread holds as many crops at a time, and a killed preparation loses no more
BLACK = 10  # mean level (of 255) below which a face counts as black; some official releases contain such files


@dataclass(frozen=True)
class Block:
    """What became of some faces; the images stay on disk."""

    path: Path  # an .npz file whose `images` (n, S, S, 3) uint8 has one row for each kept face
    kept: tuple[int, ...]  # places of the kept faces among those of the block
    landmarks: NDArray[np.float32]  # (n, K, 2) in pixels of the crops, NaN where missing
    before: NDArray[np.float32]  # (n,) how far each registered face would be apart from its partner; NaN for others
    squares: NDArray[np.float64]  # (n, 4) left, top, side in pixels of the upright picture, and angle in radians
    contents: tuple[str, ...]  # SHA-256 of the image file of each kept face; "" where it was drawn
    dropped: Mapping[int, str]  # why each of the others was left out, by its place


def together(faces: Iterable[Face], *, sequences: bool) -> list[list[Face]]:
    """Faces whose crops depend on each other: the two of a pair, and, if asked for, all frames of a sequence.

    Returns:
        Groups, in the order of their first faces; in each VIS faces come first, and else the order is as it was.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    faces = list(faces)
    ties: dict[tuple[str, ...], int] = {}  # nodes of pairs and sequences, after those of faces
    links: list[tuple[int, int]] = []
    for node, face in enumerate(faces):
        if face.pair:
            links.append((node, ties.setdefault((face.pair,), len(faces) + len(ties))))
        if sequences and face.sequence:
            links.append((node, ties.setdefault((face.modality, face.sequence), len(faces) + len(ties))))
    nodes = len(faces) + len(ties)
    ends = np.array(links, int).reshape(-1, 2).T
    _, numbers = connected_components(coo_array((np.ones(len(links)), ends), (nodes, nodes)), directed=False)
    groups: dict[int, list[Face]] = defaultdict(list)
    for face, number in zip(faces, numbers[: len(faces)].tolist(), strict=True):
        groups[number].append(face)
    return [sorted(group, key=lambda face: face.modality, reverse=True) for group in groups.values()]


def write_block(
    path: Path,
    faces: Sequence[Face],
    dataset: FaceDataset,
    root: Path | None,
    size: int,
    recipe: Crop,
    landmarks: int,
    *,
    key: str,
    register: bool,
    smooth: bool,
) -> Block:
    """Decode, crop and scale some faces and store them.

    Args:
        path: the file to write.
        faces: whole groups of `together`.
        dataset: what they belong to.
        root: the folder that its files are relative to.
        size: side of the crops in pixels.
        recipe: where the face is in a picture.
        landmarks: points that the listing promises for each face.
        key: what names the work that this is part of.
        register: whether NIR faces of pairs are laid on their VIS faces.
        smooth: whether the frames of a sequence are cropped by one square.

    Raises:
        PluginError: the data set returns something else than its contract says.
    """
    images: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    before: list[float] = []
    squares: list[tuple[float, ...]] = []
    contents: list[str] = []
    kept: list[int] = []
    dropped: dict[int, str] = {}
    places = {face.id: place for place, face in enumerate(faces)}
    base = dataset.base(root)
    for group in together(faces, sequences=smooth):
        located: list[tuple[Face, Picture, Square]] = []
        for face in group:
            try:
                picture = dataset.load(face, root, size)
                check_picture(dataset, face, picture, landmarks)
                located.append((face, picture, recipe(picture)))
            except DataError as error:
                dropped[places[face.id]] = _told(error, face, root)
        if smooth:
            located = _smoothed(located)
        shown: dict[str, tuple[Square, NDArray[np.float32] | None]] = {}  # VIS faces of the pairs to register
        for face, picture, own in located:
            square, unregistered = own, np.nan
            try:
                if register and face.pair and face.modality == "vis":
                    shown[face.pair] = square, picture.landmarks
                elif register and face.pair:
                    square, unregistered = _laid_on(shown.get(face.pair), picture, square, size)
                pixels = crop_of(face, picture, square, size)
                content = _content(face, base)
            except DataError as error:
                dropped[places[face.id]] = _told(error, face, root)
                continue
            kept.append(places[face.id])
            images.append(pixels)
            before.append(unregistered)
            squares.append((square.left, square.top, square.side, square.angle))
            contents.append(content)
            points.append(
                np.full((landmarks, 2), np.nan, np.float32)
                if picture.landmarks is None
                else moved(picture.landmarks, square, size)
            )
    stacked = np.stack(images) if images else np.empty((0, size, size, 3), np.uint8)
    positions = np.stack(points) if points else np.empty((0, landmarks, 2), np.float32)
    note = json.dumps(
        {"key": key, "ids": [face.id for face in faces], "kept": kept, "dropped": dropped, "contents": contents}
    )
    earlier, where = np.array(before, np.float32), np.array(squares, np.float64).reshape(-1, 4)
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        np.savez(file, images=stacked, landmarks=positions, before=earlier, squares=where, note=np.array(note))
    aside.replace(path)
    return Block(path, tuple(kept), positions, earlier, where, tuple(contents), dropped)


def read_block(path: Path, faces: Sequence[Face], key: str) -> Block | None:
    """A block of these faces and this work that is there already; None where there is none that can be used.

    The archive's own checksums of all its parts are looked at.
    """
    try:
        with np.load(path, allow_pickle=False) as block:
            note = json.loads(str(block["note"]))
            kept, before, images = tuple(note["kept"]), block["before"], block["images"]
            squares, contents = block["squares"], tuple(map(str, note["contents"]))
            if squares.shape != (len(kept), 4) or len(contents) != len(kept):
                return None
            if note["key"] != key or note["ids"] != [face.id for face in faces] or len(images) != len(kept):
                return None
            dropped = {int(place): str(reason) for place, reason in note["dropped"].items()}
            if sorted([*kept, *dropped]) != list(range(len(faces))):
                return None
            return Block(path, kept, block["landmarks"], before, squares, contents, dropped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError, zipfile.BadZipFile):
        return None


def crop_of(face: Face, picture: Picture, square: Square, size: int) -> NDArray[np.uint8]:
    """The crop of one face, as it is stored: (size, size, 3), NIR as three equal channels.

    Raises:
        DataError: the crop lies outside the picture or is black.
    """
    pixels = luminance(picture.pixels) if face.modality == "nir" else picture.pixels
    crop = cut(pixels, square, size)
    if crop.mean() < BLACK:
        raise DataError(f"black (mean level below {BLACK} of 255)")
    return crop


def _content(face: Face, base: Path | None) -> str:
    """The SHA-256 of the image file of a face; "" where it has none."""
    if not face.files or base is None:
        return ""
    try:
        with (base / face.files[0]).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from None


def _smoothed(located: Sequence[tuple[Face, Picture, Square]]) -> list[tuple[Face, Picture, Square]]:
    """The same faces, those of one sequence and modality with one square."""
    squares: dict[tuple[str, str], list[Square]] = defaultdict(list)
    for face, _, square in located:
        squares[face.modality, face.sequence].append(square)
    shared = {key: median(each) for key, each in squares.items() if key[1]}
    return [(face, picture, shared.get((face.modality, face.sequence), square)) for face, picture, square in located]


def _told(error: DataError, face: Face, root: Path | None) -> str:
    """Why a face is left out, without what names the face already: whose machine it is does not matter."""
    places = [f"{root / file}: " for file in face.files] if root is not None else []
    return next((str(error).removeprefix(place) for place in places if str(error).startswith(place)), str(error))


def _laid_on(
    partner: tuple[Square, NDArray[np.float32] | None] | None, picture: Picture, own: Square, size: int
) -> tuple[Square, float]:
    """The square that registers a NIR face, and how far apart the two faces are without it."""
    if partner is None:
        raise DataError("cannot be registered: its VIS partner was left out")
    (shown, vis), nir = partner, picture.landmarks
    if vis is None or nir is None:
        raise DataError("cannot be registered: one face of the pair has no landmarks")
    square = registered(shown, vis, nir)
    return square, float(apart(moved(vis, shown, size)[None], moved(nir, own, size)[None])[0])


def check_picture(dataset: FaceDataset, face: Face, picture: Picture, landmarks: int) -> None:
    """Hold a picture to the contract, and what says where its face is to the rule that files have.

    Args:
        dataset: what it was loaded from.
        face: which one it is.
        picture: what was loaded.
        landmarks: points that the listing promises for each face.

    Raises:
        PluginError: pixels or landmarks are of another type or shape.
        DataError: the box or the landmarks keep to fewer than `MIN_SIDE` pixels, as shares of the image do.
    """
    if not isinstance(picture, Picture):
        raise PluginError(f"{dataset.name}: {face.id} loads as {type(picture).__name__}; it must be a Picture")
    pixels, points = picture.pixels, picture.landmarks
    for name, array in (("pixels", pixels), ("landmarks", points)):
        if not isinstance(array, np.ndarray) and not (array is None and name == "landmarks"):
            raise PluginError(f"{dataset.name}: {face.id} has {name} that are a {type(array).__name__}, no numpy array")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise PluginError(
            f"{dataset.name}: {face.id} loads as {pixels.dtype} of shape {pixels.shape}; it must be uint8 (h, w, 3)"
        )
    if points is not None and points.dtype.kind != "f":
        raise PluginError(f"{dataset.name}: {face.id} has landmarks of {points.dtype}; floating point is due")
    if picture.box is not None and not _is_box(picture.box):
        raise PluginError(f"{dataset.name}: {face.id} has the box {picture.box!r:.80}; four finite numbers are due")
    if points is not None and points.shape != (landmarks, 2):
        raise PluginError(
            f"{dataset.name}: {face.id} has landmarks of shape {points.shape}; the listing says ({landmarks}, 2)"
        )
    due = f"fewer than {MIN_SIDE} pixels; pixels of the upright image are due, not shares of it"
    if picture.box is not None and min(np.subtract(picture.box[2:], picture.box[:2])) < MIN_SIDE:
        raise DataError(f"its box has a side of {due}")
    known = points[np.isfinite(points).all(axis=1)] if points is not None else ()
    if len(known) > 1 and np.ptp(known, axis=0).max() < MIN_SIDE:
        raise DataError(f"its landmarks keep to {due}")


def _is_box(box: object) -> bool:
    numbers = np.asarray(box, dtype=object)
    return numbers.shape == (4,) and all(isinstance(x, Real) and math.isfinite(x) for x in numbers)
