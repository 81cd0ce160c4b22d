"""What a data set is: a listing of faces that costs no decoding, and a way to load one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from nferbench.contract.people import spelled_alike
from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Modality = Literal["vis", "nir"]

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")  # canonical order of the classes
NEUTRAL = "neutral"  # optional seventh class, after the six


@dataclass(frozen=True, order=True)
class Face:
    """One image of one person, as listed: nothing is decoded yet."""

    id: str  # unique within the data set and stable; random streams and results are tied to it
    modality: Modality
    subject: str  # identity; "?" where unknown (such faces may train, never be split or tested)
    expression: str  # canonical name
    pair: str = ""  # faces with equal, non-empty pair and different modality are a pair
    files: tuple[str, ...] = ()  # paths under the root, POSIX form: the image, then its side files; () if drawn
    box: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2 in pixels of the image file
    split: str = ""  # fixed split from a manifest ("train", "test" or a fold number); "" leaves it to the splitter
    sequence: str = ""  # the recording that it is a frame of, unique within the data set for each modality; "" if none


@dataclass(frozen=True)
class Dropped:
    """Something that was left out of a listing or of the prepared faces, and why; both as one printable line each."""

    what: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", one_line(self.what))
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True)
class Listing:
    """All usable faces of a data set, sorted by id, and what was left out.

    Subjects whose names differ in nothing that can be seen are one (see `people.spelled_alike`).
    """

    faces: tuple[Face, ...]
    landmarks: int = 0  # points per face; 0 where the data set has none
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()  # how the files are read where that is not a matter of course, one line each

    def __post_init__(self) -> None:
        names = spelled_alike({face.subject for face in self.faces})
        if any(names[name] != name for name in names):
            faces = tuple(replace(face, subject=names[face.subject]) for face in self.faces)
            object.__setattr__(self, "faces", faces)


@dataclass(frozen=True)
class Picture:
    """One decoded face before cropping."""

    pixels: NDArray[np.uint8]  # (h, w, 3) RGB; NIR as three equal channels
    landmarks: NDArray[np.float32] | None = None  # (K, 2) x, y in pixels of `pixels`; NaN where missing
    box: tuple[float, float, float, float] | None = None
    cropped: bool = False  # True where `pixels` is already the square face


@dataclass(frozen=True)
class Finding:
    """Something that a check of a copy of a data set found."""

    text: str  # one line
    serious: bool = False  # True where the copy should not be used as it is


class FaceDataset(ABC):
    """A source of faces. Subclasses are frozen dataclasses; raise `version` when the same fields give other faces."""

    version: ClassVar[int] = 1
    default_preset: ClassVar[str] = "paper"
    default_extra: ClassVar[str | None] = None  # name of the extra VIS set used with it unless another is asked for

    name: str  # as typed on the command line; a dataclass field with compare=False
    title: str  # as printed in tables; a dataclass field with compare=False

    @abstractmethod
    def listing(self, root: Path | None) -> Listing:
        """List the faces under `root` (None where no data root was given; drawn data sets ignore it).

        Raises:
            UsageError: no root, or nothing under it looks like this data set.
            DataError: the data contradict themselves (two files of one modality under one pair, an unsafe path).
        """

    def base(self, root: Path | None) -> Path | None:
        """The folder that `Face.files` are relative to, for the data root given, if any."""
        return root

    def problems(self, root: Path | None) -> list[str]:
        """All that keeps the data from being listed, one line each, where `listing` would tell only the first ones."""
        return []

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        """What a user should know of this copy: how it differs from the published counts, how its pairs came about.

        Args:
            listing: what `listing(root)` returned.
            root: the data root.
        """
        return ()

    @abstractmethod
    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        """Decode one face. `size` is the side it will be cropped to, for data sets that draw at any size.

        Raises:
            DataError: the file is missing, empty, truncated or not an image.
        """
