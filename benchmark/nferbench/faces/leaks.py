"""Looking for test faces in what is fitted: the same picture under two names, or a near-identical one.

That a person is on both sides of a fold is excluded by how folds are made, as far as the data name people rightly. This
looks at the pictures themselves: prepared faces of different subjects, and those of the extra set, that are the same
file or nearly the same picture. A face is known by its thumbnail: brightness on a grid, less the mean of all thumbnails
of its modality, which is what all faces of one set-up share. Among the faces of 80 photographed people (VIS and
pseudo-NIR) thumbnails of two people correlate by 0.83 at most, among 360 drawn people by 0.957. A copy that was shrunk
by a quarter and saved as JPEG of quality 40 correlates with its original by 0.998 or more at 256 px. At 64 px that
falls to 0.90, and some such copies escape; lighter changes do not. Only numpy; some seconds for ten thousand faces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import numpy as np

from nferbench.contract.people import UNKNOWN, plain
from nferbench.faces.prepared import PreparedFaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

RULE = 3  # raise it when the same faces shall be judged anew
GRID = 32  # side of a thumbnail
ALIKE = 0.97  # correlation of two thumbnails from which on they count as one picture
CHUNK = 1024  # thumbnails compared at a time with all others

Kind = Literal["identical", "near-identical", "same subject"]


@dataclass(frozen=True)
class Leak:
    """Two faces that must not lie on two sides, and may."""

    kind: Kind
    test: str  # id of the face that is tested
    other: str  # id of the face that is fitted to
    subjects: tuple[str, str]
    extra: bool  # whether the second is of the extra set

    def __str__(self) -> str:
        where = "extra set" if self.extra else "training part"
        if self.kind == "same subject":
            return f"subject {self.subjects[0]} is tested and is also in the {where} ({self.other})"
        people = f"subjects {self.subjects[0]} and {self.subjects[1]}"
        return f"{self.test} and {self.other} of the {where} are {self.kind} pictures ({people})"


def find_leaks(
    faces: PreparedFaces, tests: Sequence[Sequence[str]], extra: PreparedFaces | None, *, same_people: bool
) -> tuple[Leak, ...]:
    """Every leak from a test part into what is fitted on its fold.

    Args:
        faces: of the target set.
        tests: test subjects of each fold; everyone else trains.
        extra: faces of the extra set, which always train.
        same_people: whether equal subject names in both sets mean the same person, as in two parts of one collection.

    Returns:
        Leaks, sorted; a pair of faces once, whatever the number of folds that it concerns.
    """
    target = _seen(faces)
    found = set(_within(target, tests))
    if extra is not None:
        tested = {subject for part in tests for subject in part}
        others = _seen(extra)
        for i, j in _pairs(target, others):
            one, other = faces.faces[i], extra.faces[j]
            if one.subject in tested:
                kind = _kind(target.digests[i], others.digests[j])
                found.add(Leak(kind, one.id, other.id, (one.subject, other.subject), extra=True))
        if same_people:
            first = {plain(face.subject): face for face in reversed(extra.faces)}
            for subject in sorted(tested - {UNKNOWN}):
                if same := first.get(plain(subject)):
                    found.add(Leak("same subject", "", same.id, (subject, same.subject), extra=True))
    return tuple(sorted(found, key=lambda leak: (leak.extra, leak.kind, leak.test, leak.other)))


@dataclass(frozen=True)
class _Seen:
    """A prepared set as it is compared; row i of each belongs to face i."""

    faces: PreparedFaces
    thumbnails: NDArray[np.float32]  # (N, GRID, GRID), brightness with mean 0 and variance 1
    digests: tuple[bytes, ...]  # SHA-256 of the pixels


def _within(seen: _Seen, tests: Sequence[Sequence[str]]) -> Iterator[Leak]:
    faces = seen.faces
    parts = [set(part) for part in tests]
    for i, j in _pairs(seen, seen):
        one, other = faces.faces[i], faces.faces[j]
        apart = any(one.subject in part and other.subject not in part for part in parts)
        if one.subject != other.subject and apart:
            kind = _kind(seen.digests[i], seen.digests[j])
            yield Leak(kind, one.id, other.id, (one.subject, other.subject), extra=False)


def _kind(one: bytes, other: bytes) -> Kind:
    return "identical" if one == other else "near-identical"


def _seen(faces: PreparedFaces) -> _Seen:
    from PIL import Image

    thumbnails = np.empty((len(faces.images), GRID, GRID), np.float32)
    digests = []
    for row in range(len(faces.images)):  # one at a time: memory stays flat
        pixels = np.asarray(faces.images[row])
        digests.append(sha256(pixels.data).digest())
        grey = Image.fromarray(pixels).convert("L").resize((GRID, GRID), Image.Resampling.BOX)
        thumbnails[row] = np.asarray(grey, np.float32)
    return _Seen(faces, _normalised(thumbnails), tuple(digests))


def _pairs(ones: _Seen, others: _Seen) -> set[tuple[int, int]]:
    """Rows of faces that are one picture."""
    return {*_alike(*_distinct(ones, others)), *_identical(ones.digests, others.digests)}


def _distinct(ones: _Seen, others: _Seen) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Thumbnails less the mean of all of their modality in both sets, again with mean 0 and variance 1."""
    modalities = np.array([face.modality for seen in (ones, others) for face in seen.faces.faces])
    thumbnails = np.concatenate([ones.thumbnails, others.thumbnails])
    for modality in ("vis", "nir"):
        mine = modalities == modality
        if mine.any():
            mean = thumbnails[mine].mean(axis=0)
            thumbnails[mine] -= (mean + mean[:, ::-1]) / 2  # so that a mirrored face stays the mirror of itself
    thumbnails = _normalised(thumbnails)
    return thumbnails[: len(ones.thumbnails)], thumbnails[len(ones.thumbnails) :]


def _normalised(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True)
    return np.asarray(spread / np.maximum(spread.std(axis=(1, 2), keepdims=True), 1e-6), np.float32)


def _identical(ones: Sequence[bytes], others: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Places in two lists with the same content."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for j, content in enumerate(others):
        places[content].append(j)
    for i, content in enumerate(ones):
        for j in places.get(content, ()):
            yield i, j


def _alike(ones: NDArray[np.float32], others: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose thumbnails are alike, one of them mirrored or not."""
    columns = others.reshape(len(others), -1).T / GRID**2
    for start in range(0, len(ones), CHUNK):
        part = ones[start : start + CHUNK]
        as_is, mirrored = (each.reshape(len(part), -1) @ columns for each in (part, part[:, :, ::-1]))
        for i, j in zip(*np.nonzero(np.maximum(as_is, mirrored) >= ALIKE), strict=True):
            yield start + int(i), int(j)
