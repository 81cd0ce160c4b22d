"""Looking through the files of a data set for values of more than 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from nferbench.contract.dataset import Face, FaceDataset, Listing
from nferbench.contract.errors import DataError
from nferbench.datasets.images import values_of
from nferbench.datasets.levels import (
    BITS,
    FULL,
    MODALITIES,
    NARROW,
    Found,
    Levels,
    Values,
    Wanted,
    decided,
    with_levels,
)

CHUNK = 64  # files looked at before asking whether more of them can change what is decided


def levelled(
    dataset: FaceDataset, listing: Listing, root: Path | None, wanted: Wanted, found: Found | None = None
) -> tuple[FaceDataset, Listing]:
    """A data set that reads its files with the levels decided for all of them, and its listing with notes on that.

    Args:
        dataset: what to read.
        listing: its faces.
        root: the data root.
        wanted: what settings say.
        found: what an earlier look at the same files found; None looks now.
    """
    base = dataset.base(root)
    if base is None or with_levels(dataset, Levels()) is None:
        found = dict.fromkeys(MODALITIES)
    elif found is None:
        found = values_in(listing.faces, base)
    levels, notes = decided(found, wanted, dataset.name)
    return with_levels(dataset, levels) or dataset, replace(listing, notes=(*listing.notes, *notes))


def values_in(faces: Sequence[Face], base: Path) -> Found:
    """The values of each modality; of files of 8 bits a few bytes are read.

    Looking ends where no further file can change what is decided: at the first files of a set that uses 16 bits. A
    file that cannot be read says nothing: whoever prepares it leaves it out.

    Args:
        faces: all that are listed, in the order of the listing.
        base: the folder that their files are relative to.
    """
    return {
        modality: _values_in([base / face.files[0] for face in faces if face.modality == modality and face.files])
        for modality in MODALITIES
    }


def _values_in(paths: Sequence[Path]) -> Values | None:
    found: Values | None = None
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
        for start in range(0, len(paths), CHUNK):
            for values in pool.map(_values_of, paths[start : start + CHUNK]):
                found = _joined(found, values)
            if found is not None and found.top >> BITS[-2] and found.low <= NARROW * FULL[1]:
                break
    return found


def _values_of(path: Path) -> Values | None:
    try:
        return values_of(path)
    except DataError:
        return None


def _joined(ones: Values | None, others: Values | None) -> Values | None:
    if ones is None or others is None:
        return ones or others
    return Values(min(ones.low, others.low), max(ones.high, others.high), max(ones.top, others.top))
