"""Rules of data sets: what they list, and what a face of theirs loads as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import final

import numpy as np

from nferbench.checking.chance import apart, drawn_from, seed_globals, states
from nferbench.checking.rules import Broken, Rule, Skipped, told
from nferbench.contract.dataset import Face, FaceDataset, Listing
from nferbench.contract.errors import UsageError
from nferbench.datasets.pairing import is_paired, partnered
from nferbench.faces.blocks import check_picture
from nferbench.faces.prepare import check_listing

SIZE = 64  # side of the crop that a face is loaded for, in pixels
LOADED = 6  # faces of a listing that are loaded, from its beginning to its end


@final
@dataclass(frozen=True)
class Source:
    """A data set and where its data lie."""

    dataset: FaceDataset
    root: Path | None

    @cached_property
    def listing(self) -> Listing:
        """What it lists."""
        return self.dataset.listing(self.base)

    @property
    def base(self) -> Path | None:
        """The folder that its files are relative to."""
        return self.dataset.base(self.root)

    @property
    def some(self) -> Sequence[Face]:
        """A few of its faces."""
        faces = sorted(self.listing.faces)
        places = np.linspace(0, len(faces) - 1, min(LOADED, len(faces))).round().astype(int)
        return [faces[place] for place in places]


def lists(source: Source) -> str:
    try:
        listing = source.listing
    except UsageError as error:
        if source.root is None:
            raise Skipped(f"{error}; nferbench check … --data-root PATH") from None
        raise
    if not isinstance(listing, Listing):
        raise Broken(f"listing returns {told(repr(listing))}; a Listing is due")
    if not listing.faces:
        raise Broken("lists no face")
    if type(listing.landmarks) is not int or listing.landmarks < 0:
        raise Broken(f"the listing says {listing.landmarks!r} landmarks; a whole number is due, 0 for none")
    for face in listing.faces:
        if not isinstance(face, Face):
            raise Broken(f"lists {told(repr(face))}; a Face is due")
        _check_face(face)
    if source.dataset.listing(source.base) != listing:
        raise Broken("lists other faces when it is asked again")
    return f"{len(listing.faces)} faces"


def _check_face(face: Face) -> None:
    texts = {name: getattr(face, name) for name in ("id", "subject", "expression", "pair", "split", "sequence")}
    for name, text in texts.items():
        if not isinstance(text, str) or not (text or name in ("pair", "split", "sequence")):
            raise Broken(f"face {told(face.id)} has the {name} {text!r}; a text is due")
    if face.modality not in ("vis", "nir"):
        raise Broken(f"face {told(face.id)} is {face.modality!r}; 'vis' or 'nir' is due")
    for file in face.files:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or "\\" in file:
            raise Broken(f"face {told(face.id)} has the file {told(file)}; a path under the root, with '/', is due")


def pairs_agree(source: Source) -> str | None:
    check_listing(source.dataset, source.listing.faces)
    if not is_paired(source.listing.faces):
        return "faces of one modality, no pairs"
    kept, dropped = partnered(source.listing.faces)
    if not kept:
        raise Broken("has faces of both modalities, and none of them has its partner")
    return f"{len(dropped)} faces lack their partner and are left out" if dropped else None


def loads(source: Source) -> None:
    for face in source.some:
        picture = source.dataset.load(face, source.base, SIZE)
        check_picture(source.dataset, face, picture, source.listing.landmarks)
        if picture.cropped and picture.pixels.shape[0] != picture.pixels.shape[1]:
            raise Broken(f"{face.id} is cropped already, but {picture.pixels.shape[1::-1]} pixels; a square is due")
        if face.modality == "nir" and np.ptp(picture.pixels, axis=2).any():
            raise Broken(f"{face.id} is NIR in colour; three equal channels are due")
        if not picture.pixels.any():
            raise Broken(f"{face.id} is black")


def loads_again(source: Source) -> None:
    with apart():
        for face in source.some:
            seed_globals(1)
            first = source.dataset.load(face, source.base, SIZE).pixels
            seed_globals(2)
            before = states()
            again = source.dataset.load(face, source.base, SIZE).pixels
            if drawn := drawn_from(before):
                raise Broken(f"load draws from the global generator of {' and '.join(drawn)}")
            if not np.array_equal(first, again):
                raise Broken(f"{face.id} has other pixels when it is loaded again")


RULES: tuple[Rule[Source], ...] = (
    Rule(
        "lists",
        "`listing` returns the same faces whenever it is asked, each with id, modality, subject and expression",
        lists,
    ),
    Rule(
        "pairs",
        "ids are unique, and a pair is one VIS and one NIR face of one subject and one expression",
        pairs_agree,
        ("lists",),
    ),
    Rule(
        "faces",
        "`load` returns a `Picture`: pixels in uint8 (h, w, 3), grey for NIR, and as many landmarks as are listed",
        loads,
        ("pairs",),
    ),
    Rule("faces-again", "a face is the same pixels whenever it is loaded", loads_again, ("faces",)),
)
