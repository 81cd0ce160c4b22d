"""Pictures of test faces as a page carries them: exact where they fit, compressed or fewer where they do not."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from nferbench_reports import paper
from nferbench_reports.gallery import Face
from nferbench_reports.grid import Picture, prepared_faces, read_images
from nferbench_reports.record import Entry, Row
from nferbench_reports.results import Missing, Outcome
from nferbench_reports.runs import Run
from nferbench_reports.stage_files import folder_of, missing_reason

BUDGET = 10_000_000  # characters of all pictures of a page
QUALITIES = (None, 85, 60, 30)  # of a JPEG file, tried in this order; None is a PNG file, which loses nothing
_SMALL = 500_000  # bytes of a stage's pictures that are kept while faces are chosen
_GROUPS = ("reference", "none", "gan", "diffusion", "given")


@final
@dataclass(frozen=True)
class Stack:
    """The pictures of a stage, and which of them belongs to which VIS test face."""

    folder: Path
    place: Mapping[str, int]  # by the id of the VIS face


@final
@dataclass(frozen=True)
class Source:
    """A column of the gallery: VIS faces, the translations of a row, or real NIR faces."""

    name: str  # of the row; "" for VIS and NIR
    title: str
    stacks: Mapping[int, Stack | Missing]  # by fold


@final
@dataclass(frozen=True)
class Embedded:
    """The pictures that fit."""

    faces: tuple[Face, ...]  # in the order in which they were wanted
    pictures: tuple[str, ...]  # data: URIs, each once
    shown: tuple[tuple[int | Missing, ...], ...]  # by source and face: which of the pictures, or why there is none
    side: int  # pixels
    quality: int | None  # of JPEG; None where all is exactly as it is stored
    off: float = 0.0  # mean |embedded - stored| in levels of 255
    off_most: int = 0  # the largest such difference


def sources(run: Run, translated: Mapping[str, Mapping[int, Outcome]]) -> tuple[Source, ...] | Missing:
    """VIS, the translations of each row in the order of the tables, the ablation last, and NIR.

    Args:
        run: of which the pictures are.
        translated: what each row translated, by its name and fold, in the order of its pictures.

    Returns:
        Why there are no pictures at all where the prepared faces cannot be read.
    """
    prepared = prepared_faces(run.workspace, run.record)
    if isinstance(prepared, Missing):
        return prepared
    faces, _ = prepared
    folder = folder_of(run.workspace, run.record.faces)
    listed = list(faces[["id", "modality", "pair"]].itertuples(index=False))
    vis = {face: i for i, (face, modality, _) in enumerate(listed) if modality == "vis"}
    of_pair = {pair: i for i, (_, modality, pair) in enumerate(listed) if modality == "nir" and pair}
    nir = {face: of_pair[pair] for face, modality, pair in listed if modality == "vis" and pair in of_pair}
    rows = sorted((one.row for one in run.tabled() if one.row.name in translated), key=_printed)
    folds = {fold.fold for row in run.record.rows for fold in row.folds}
    return (
        Source("", "VIS", dict.fromkeys(folds, Stack(folder, vis))),
        *(Source(row.name, row.title, _stacks(run, row, translated[row.name])) for row in rows),
        Source("", "NIR (real)", dict.fromkeys(folds, Stack(folder, nir))),
    )


def embed(sources: Sequence[Source], wanted: Sequence[Face], needed: int, budget: int = BUDGET) -> Embedded:
    """As many faces as fit, by every source: exact if those that are needed fit so, else compressed as little as helps.

    Args:
        sources: the first shows the size that all pictures have.
        wanted: the faces, most wanted first; taken until the next one is too much.
        needed: how many of them must not be left out for the sake of exact pictures.
        budget: characters of all pictures.
    """
    side = _side(sources)
    for quality in QUALITIES:
        found = _filled(sources, wanted, budget, quality, side)
        if len(found.faces) >= needed:
            break
    return found if found.quality is None else _compared(found, sources)


def _printed(row: Row) -> tuple[bool, int, int]:
    ablation = "comparison" not in row.tables
    position = paper.printed_position("ablation" if ablation else "comparison", row.name)
    return ablation, 0 if ablation else _GROUPS.index(row.group), position


def _stacks(run: Run, row: Row, translated: Mapping[int, Outcome]) -> dict[int, Stack | Missing]:
    entries = {fold.fold: fold.translation for fold in row.folds if fold.translation is not None}
    return {fold: _stack(run.workspace, entries[fold], table) for fold, table in translated.items()}


def _stack(workspace: Path, entry: Entry, table: Outcome) -> Stack | Missing:
    if isinstance(table, Missing):
        return table
    if reason := missing_reason(workspace, entry, "images.npy"):
        return Missing(reason)
    return Stack(folder_of(workspace, entry), {face: i for i, face in enumerate(table["id"])})


def _side(sources: Sequence[Source]) -> int:
    """The side of the prepared faces, which all translations have; 0 where there are none."""
    stacks = [stack for stack in sources[0].stacks.values() if isinstance(stack, Stack)]
    images = read_images(stacks[0].folder) if stacks else Missing("no fold has a translation")
    return 0 if isinstance(images, Missing) else images.shape[1]


def _images(folder: Path, opened: dict[Path, np.ndarray]) -> np.ndarray | Missing:
    """The pictures of a stage. Small ones are kept; others are opened anew: what is kept open counts as memory."""
    if folder in opened:
        return opened[folder]
    images = read_images(folder)
    if not isinstance(images, Missing) and images.nbytes <= _SMALL:
        opened[folder] = images = np.array(images)
    return images


def _read(source: Source, face: Face, side: int, opened: dict[Path, np.ndarray]) -> Picture:
    stack = source.stacks.get(face.fold, Missing("not part of the run"))
    if isinstance(stack, Missing):
        return stack
    if face.id not in stack.place:
        return Missing("there is no such picture of this face")
    images = _images(stack.folder, opened)
    if isinstance(images, Missing):
        return images
    if images.shape[1:3] != (side, side) or stack.place[face.id] >= len(images):
        return Missing(f"{stack.folder.name}/images.npy does not hold the pictures that its faces.csv lists")
    return np.array(images[stack.place[face.id]])


def _filled(sources: Sequence[Source], wanted: Sequence[Face], budget: int, quality: int | None, side: int) -> Embedded:
    """Those of the faces, from the first on, whose pictures fit."""
    pictures: dict[str, int] = {}
    columns: list[list[int | Missing]] = [[] for _ in sources]
    opened: dict[Path, np.ndarray] = {}
    spent = 0
    for face in wanted:
        found = [_read(source, face, side, opened) for source in sources]
        coded = [each if isinstance(each, Missing) else _encoded(each, quality) for each in found]
        new = dict.fromkeys(uri for uri in coded if isinstance(uri, str) and uri not in pictures)
        spent += sum(map(len, new))
        if spent > budget:
            break
        pictures |= {uri: len(pictures) + i for i, uri in enumerate(new)}
        for column, uri in zip(columns, coded, strict=True):
            column.append(uri if isinstance(uri, Missing) else pictures[uri])
    return Embedded(
        tuple(wanted[: len(columns[0])]), tuple(pictures), tuple(tuple(column) for column in columns), side, quality
    )


def _compared(embedded: Embedded, sources: Sequence[Source]) -> Embedded:
    """The same with how far its pictures are off."""
    opened: dict[Path, np.ndarray] = {}
    differences = [
        _difference(picture, embedded.pictures[shown])
        for source, column in zip(sources, embedded.shown, strict=True)
        for face, shown in zip(embedded.faces, column, strict=True)
        if not isinstance(shown, Missing)
        and not isinstance(picture := _read(source, face, embedded.side, opened), Missing)
    ]
    if not differences:
        return embedded
    means, largest = zip(*differences, strict=True)
    return replace(embedded, off=float(np.mean(means)), off_most=max(largest))


def _encoded(picture: np.ndarray, quality: int | None) -> str:
    """A picture (S, S, 3) as a data: URI; one of three equal channels is stored as one."""
    from PIL import Image

    grey = np.array_equal(picture[..., 0], picture[..., 1]) and np.array_equal(picture[..., 0], picture[..., 2])
    image = Image.fromarray(np.ascontiguousarray(picture[..., 0]) if grey else picture)
    file = io.BytesIO()
    if quality is None:
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=quality, subsampling=0)
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _difference(picture: np.ndarray, uri: str) -> tuple[float, int]:
    """The mean and the largest difference of an embedded picture from the stored one, in levels of 255."""
    from PIL import Image

    embedded = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    off = np.abs(np.asarray(embedded).astype(np.int16) - picture)
    return float(off.mean()), int(off.max())
