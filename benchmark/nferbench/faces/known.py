"""Which images show somebody of a prepared data set, as far as names and contents tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, final

import numpy as np

from nferbench.contract.people import UNKNOWN, plain
from nferbench.faces.prepared import PreparedFaces, read_prepared
from nferbench.faces.sources import read_sources

How = Literal["file", "picture", "name"]


@final
@dataclass(frozen=True, order=True)
class Known:
    """Somebody of the data set, and by what an image was found to show them."""

    subject: str  # as the data set names them; "?" where it does not
    how: How  # the same image file; the same pixels once prepared; the same name of the person


def known_people(images: Path, dataset: Path) -> dict[str, tuple[Known, ...]]:
    """Who of a data set is shown by each of some images.

    Names are the same where their `people.plain` forms are, "?" is nobody's. A copy that was saved anew, or cropped
    otherwise, is another file and another picture.

    Args:
        images: the folder of the prepared images.
        dataset: that of the prepared data set.

    Returns:
        By the id of the image; images that show nobody known are absent.

    Raises:
        DataError: prepared faces are damaged.
    """
    ours, theirs = _marks(images), _marks(dataset)
    found: dict[str, set[Known]] = defaultdict(set)
    for mark, names in ours.items():
        for face, _ in names:
            found[face] |= {Known(subject, mark[0]) for _, subject in theirs.get(mark, ())}
    return {face: tuple(sorted(known)) for face, known in found.items() if known}


def _marks(folder: Path) -> Mapping[tuple[How, str], set[tuple[str, str]]]:
    """Ids and subjects of the faces of a folder by each thing that they can be known by."""
    prepared, sources = read_prepared(folder), read_sources(folder)
    found: dict[tuple[How, str], set[tuple[str, str]]] = defaultdict(set)
    for face, picture in zip(prepared.faces, _pictures(prepared), strict=True):
        marks: list[tuple[How, str]] = [("picture", picture)]
        if face.id in sources and sources[face.id].sha256:
            marks.append(("file", sources[face.id].sha256))
        if plain(face.subject) != UNKNOWN:
            marks.append(("name", plain(face.subject)))
        for mark in marks:
            found[mark].add((face.id, face.subject))
    return found


def _pictures(prepared: PreparedFaces) -> Iterable[str]:
    return (sha256(np.ascontiguousarray(image).data).hexdigest() for image in prepared.images)
