"""Preparing faces: every face of a data set is decoded and cropped once, and stored as arrays (see `prepared`)."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract import ibug
from nferbench.contract.dataset import Dropped, Face, FaceDataset
from nferbench.contract.errors import DataError, PluginError
from nferbench.contract.printable import cell
from nferbench.datasets.left_out import by_kind, counted
from nferbench.datasets.pairing import by_pair, contradictions, is_paired, partnered
from nferbench.faces.blocks import BLOCK, Block, read_block, together, write_block
from nferbench.faces.crops import crop_named
from nferbench.faces.geometry import Square
from nferbench.faces.registration import apart, summary
from nferbench.faces.sources import Source, write_sources
from nferbench.machine.cores import mapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS = "blocks"  # folder of what is prepared so far

_COLUMNS = ("id", "modality", "subject", "expression", "pair", "split")


def prepare(
    dataset: FaceDataset,
    root: Path | None,
    size: int,
    crop: str,
    out: Path,
    progress: Callable[[int, int], None],
    *,
    key: str = "",
    register: bool = False,
    smooth: bool = False,
) -> dict[str, Any]:
    """Decode, crop and scale all faces of a data set, block by block, on all cores.

    Writes images.npy, landmarks.npy (where the data set has landmarks), faces.csv, with one row for each row of the
    arrays, sources.csv (see `nferbench.faces.sources`), pairs.csv (how far apart the faces of each pair are, where they
    have 68 landmarks) and dropped.csv. A face that cannot be read or cropped, that is black, or whose partner was left
    out is left out and named with the reason. A preparation that was cut off goes on after its last whole block.

    Args:
        dataset: what to prepare.
        root: its data root; None where none was given.
        size: side of the crops in pixels.
        crop: name of a crop recipe, see `nferbench.faces.crops`.
        out: the folder to write to.
        progress: called with (faces done, faces in all) after each block, from one thread at a time.
        key: what names this work; blocks that an attempt under another one left are done again.
        register: lay the NIR face of each pair on its VIS face, see `nferbench.faces.registration`.
        smooth: crop all frames of a sequence by one square, the median of theirs.

    Returns:
        Counts, ready for JSON: faces, vis, nir, pairs, subjects, expressions (by name), listed, left_out (of those
        that were listed, by kind of reason), dropped (with those that were never listed), apart (see
        `nferbench.faces.registration.summary`).

    Raises:
        UsageError: an unknown crop recipe; registration of faces without 68 landmarks; what `dataset.listing` raises.
        DataError: no face remains; what `dataset.listing` raises.
        PluginError: the data set returns something else than its contract says.
    """
    recipe = crop_named(crop)
    listing = dataset.listing(root)
    listed = sorted(listing.faces, key=lambda face: face.id)
    check_listing(dataset, listed)
    register = register and is_paired(listed)
    if register:
        ibug.require(listing.landmarks, "registration", dataset.name)
    (out / BLOCKS).mkdir(parents=True, exist_ok=True)
    blocks = _in_blocks(together(listed, sequences=smooth))

    def block_of(number: int) -> Block:
        path = out / BLOCKS / f"{number:06d}.npz"
        return read_block(path, blocks[number], key) or write_block(
            path,
            blocks[number],
            dataset,
            root,
            size,
            recipe,
            listing.landmarks,
            key=key,
            register=register,
            smooth=smooth,
        )

    kept: list[Face] = []
    place: dict[str, tuple[Path, int]] = {}  # block and row of each face
    sources: dict[str, Source] = {}
    points: dict[str, NDArray[np.float32]] = {}
    before: dict[str, float] = {}  # how far registered faces were apart
    unusable: list[Dropped] = []
    done = 0
    for faces, block in zip(blocks, mapped(block_of, range(len(blocks))), strict=True):
        for row, index in enumerate(block.kept):
            face = faces[index]
            kept.append(face)
            place[face.id] = (block.path, row)
            sources[face.id] = Source(block.contents[row], Square(*block.squares[row].tolist()))
            points[face.id] = block.landmarks[row]
            before[face.id] = float(block.before[row])
        unusable += [Dropped(faces[index].id, reason) for index, reason in block.dropped.items()]
        done += len(faces)
        progress(done, len(listed))
    kept.sort(key=lambda face: face.id)
    unusable.sort(key=lambda drop: drop.what)
    if is_paired(listed):
        kept, partnerless = partnered(kept)
        unusable += partnerless
    dropped = [*listing.dropped, *unusable]
    if not kept:
        shutil.rmtree(out / BLOCKS)
        raise DataError(f"{dataset.name}: no face can be used: {'; '.join(counted(dropped)[:3]) or 'none is listed'}")
    _write_images(out / "images.npy", _stored([place[face.id] for face in kept]), len(kept), size)
    if listing.landmarks:
        np.save(out / "landmarks.npy", np.stack([points[face.id] for face in kept]))
    distances = _write_pairs(out / "pairs.csv", kept, points, before) if listing.landmarks == ibug.POINTS else None
    _write_csv(out / "faces.csv", _COLUMNS, ([getattr(face, name) for name in _COLUMNS] for face in kept))
    write_sources(out, {face.id: sources[face.id] for face in kept})
    _write_csv(out / "dropped.csv", ("what", "reason"), ((drop.what, drop.reason) for drop in dropped))
    shutil.rmtree(out / BLOCKS)
    left_out = by_kind(drop.reason for drop in unusable)
    return {
        **_counts(kept),
        "listed": len(listed),
        "left_out": left_out,
        "dropped": len(dropped),
        "apart": distances,
    }


def check_listing(dataset: FaceDataset, faces: Sequence[Face]) -> None:
    """Hold the faces of a listing to ids of their own and to pairs that agree with themselves.

    Raises:
        DataError: pairs with two images of one modality, or of two subjects or expressions.
        PluginError: an id that comes twice.
    """
    faults = contradictions(faces)
    if faults:
        raise DataError(f"{dataset.name}: {len(faults)} pairs contradict themselves, such as {faults[0]}")
    repeated = [name for name, count in Counter(face.id for face in faces).items() if count > 1]
    if repeated:
        raise PluginError(f"{dataset.name}: lists {len(repeated)} ids more than once, such as '{repeated[0]}'")


def _in_blocks(groups: Iterable[Sequence[Face]]) -> list[tuple[Face, ...]]:
    """Whole groups in blocks of about `BLOCK` faces."""
    blocks: list[list[Face]] = []
    for group in groups:
        if not blocks or len(blocks[-1]) >= BLOCK:
            blocks.append([])
        blocks[-1] += group
    return [tuple(block) for block in blocks]


def _write_pairs(
    path: Path, faces: Sequence[Face], points: Mapping[str, NDArray[np.float32]], before: Mapping[str, float]
) -> dict[str, Any] | None:
    couples = [sorted(group, key=lambda face: face.modality) for group in by_pair(faces).values() if len(group) == 2]
    if not couples:
        return None
    nir, vis = (np.stack([points[face.id] for face in column]) for column in zip(*couples, strict=True))
    distances, earlier = apart(vis, nir), np.array([before[face.id] for face, _ in couples])
    rows = zip(couples, distances, earlier, strict=True)
    columns = ("pair", "vis", "nir", "distance", "before_registration")
    _write_csv(path, columns, ([n.pair, v.id, n.id, _number(d), _number(e)] for (n, v), d, e in rows))
    return summary(distances, earlier)


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""


def _stored(places: Iterable[tuple[Path, int]]) -> Iterator[bytes]:
    """The pixels of faces in the blocks that hold them; faces of one block follow each other."""
    opened: tuple[Path, NDArray[np.uint8]] | None = None
    for path, row in places:
        if opened is None or opened[0] != path:
            with np.load(path, allow_pickle=False) as block:
                opened = (path, block["images"])
        yield opened[1][row].tobytes()


def _write_images(path: Path, images: Iterable[bytes], count: int, size: int) -> None:
    # Written in a stream, not through a memory map: a full disk is then an error and not a bus error.
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(text) for text in row] for row in rows)


def _counts(faces: Sequence[Face]) -> dict[str, Any]:
    return {
        "faces": len(faces),
        "vis": sum(face.modality == "vis" for face in faces),
        "nir": sum(face.modality == "nir" for face in faces),
        "pairs": sum(len(group) == 2 for group in by_pair(faces).values()),
        "subjects": len({face.subject for face in faces} - {"?"}),
        "expressions": dict(sorted(Counter(face.expression for face in faces).items())),
    }
