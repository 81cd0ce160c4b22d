"""KDEF (Lundqvist, Flykt & Öhman 1998): 70 people, seven expressions, five views, twice each, in visible light.

The layout is that of public code that reads it; no real copy was tried: `KDEF_and_AKDEF/KDEF/AF01/AF01ANS.JPG`, where
the name says session (A or B), sex (F or M), number (01 to 35), expression and view. The faces in AKDEF are averages
over all people and are never listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Literal, final, get_args

from nferbench.contract.dataset import EXPRESSIONS, NEUTRAL, Dropped, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.left_out import counted
from nferbench.datasets.table import inside
from nferbench.datasets.tree import folders_in, images_below, only_copy, required_root

View = Literal["FL", "HL", "S", "HR", "FR"]  # full left profile, half left, straight, half right, full right profile

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "AF": "fear",
        "AN": "anger",
        "DI": "disgust",
        "HA": "happiness",
        "NE": "neutral",
        "SA": "sadness",
        "SU": "surprise",
    }
)
# Two files of the official release are misnamed; what they show follows from the one name that their folder lacks.
ERRATA: Mapping[str, str] = MappingProxyType({"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"})
# Black images of the official release; none is frontal.
BLACK = frozenset(
    {"AF01SUFR", "AF10AFFR", "AF11NEHL", "AF20DIHL", "AM25DIFL"}
    | {"AM34DIFR", "BF13NEHR", "BM21DIFL", "BM22DIHL", "BM24DIFL"}
)
PEOPLE = tuple(f"{sex}{number:02d}" for sex in "FM" for number in range(1, 36))
SESSIONS = 2  # images of each person, expression and view

_HOLDING = "KDEF_and_AKDEF or KDEF"  # what the data root holds
_AVERAGES = "akdef"
_NAME = re.compile(rf"[AB]([FM](?:0[1-9]|[12][0-9]|3[0-5]))({'|'.join(LABELS)})({'|'.join(get_args(View))})")
_PERSON = re.compile(r"[AB][FM][0-9]{2}", re.IGNORECASE)


@final
@dataclass(frozen=True)
class KdefDataset(FaceDataset):
    """The faces of a copy of KDEF; all in visible light, so there are no pairs.

    Both sessions show the same people: AF01 and BF01 are the subject F01. Capitals do not matter in names.
    """

    name: str = field(default="kdef", compare=False)
    title: str = field(default="KDEF", compare=False)
    # Deviation: the paper is silent; the faces to be recognised are frontal.
    views: tuple[View, ...] = ("S",)  # FL, HL, S, HR, FR: full left profile to full right profile; S is straight
    neutral: bool = False  # keep neutral faces, as a seventh class

    def listing(self, root: Path | None) -> Listing:
        root = required_root(self.name, root, _HOLDING)
        if not self.views or not set(self.views) <= set(get_args(View)):
            raise UsageError(
                f"data set '{self.name}' has views {self.views}; allowed: one or more of {', '.join(get_args(View))}"
            )
        folder = _people(self.name, root)
        paths, dropped = images_below(root, folder)
        stems = {path.stem.upper() for path in paths}
        faces: dict[str, Face] = {}
        for path in paths:
            file = path.relative_to(root).as_posix()
            stem = path.stem.upper()
            name = ERRATA.get(stem, stem)
            if any(part.casefold() == _AVERAGES for part in path.relative_to(folder).parts):
                reason = "an average over all people (AKDEF)"
            elif name in faces or (name != stem and name in stems):
                reason = "another file has this name"
            else:
                reason = self._refusal(name)
            if reason:
                dropped.append(Dropped(file, reason))
            else:
                faces[name] = Face(name, "vis", name[1:4], LABELS[name[4:6]], files=(file,))
        if not faces:
            why = "; ".join(counted(dropped)[:3]) or "there is no image file"
            raise DataError(f"{folder}: no face can be used: {why}; images are called as AF01ANS.JPG")
        return Listing(tuple(sorted(faces.values(), key=lambda face: face.id)), 0, tuple(dropped))

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        return (*self._counts(listing.faces), *_errata(listing))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import read_image

        root = required_root(self.name, root, _HOLDING)
        return Picture(read_image(root / inside(root, face.files[0])))

    def _refusal(self, name: str) -> str:
        """Why an image of this name, corrected and in capitals, is left out; "" where it is not."""
        match = _NAME.fullmatch(name)
        if match is None:
            return "the name is not of the form AF01ANS.JPG"
        if name in BLACK:
            return "black in the official release"
        if match[3] not in self.views:
            return f"the view is not {' or '.join(self.views)}"
        if LABELS[match[2]] == NEUTRAL and not self.neutral:
            return "neutral faces are not wanted"
        return ""

    def _counts(self, faces: Sequence[Face]) -> Iterator[Finding]:
        """How the faces differ from those of a complete copy."""
        people = {face.subject for face in faces}
        missing = [person for person in PEOPLE if person not in people]
        if missing:
            yield Finding(f"{len(people)} people of {len(PEOPLE)}; not there: {', '.join(missing)}")
        counts = Counter(face.expression for face in faces)
        expected = self._expected()
        for name in (*EXPRESSIONS, NEUTRAL) if self.neutral else EXPRESSIONS:
            if not counts[name]:
                yield Finding(f"no image of {name}; is the copy complete?", serious=True)
            elif counts[name] != expected[name]:
                yield Finding(f"{counts[name]} images of {name}; a complete copy has {expected[name]}")
        basic, complete = (sum(count[name] for name in EXPRESSIONS) for count in (counts, expected))
        if basic != complete:
            yield Finding(f"{basic:,} images of the six basic expressions; a complete copy has {complete:,}")

    def _expected(self) -> Counter[str]:
        """Images of each expression in a complete copy, in the views that are wanted, without the black ones."""
        black = Counter(LABELS[name[4:6]] for name in BLACK if name[6:] in self.views)
        return Counter({name: SESSIONS * len(PEOPLE) * len(set(self.views)) - black[name] for name in LABELS.values()})


def _errata(listing: Listing) -> Iterator[Finding]:
    """The misnamed files that were met, whether or not they were kept."""
    files = [*(file for face in listing.faces for file in face.files), *(drop.what for drop in listing.dropped)]
    for file in files:
        stem = PurePosixPath(file).stem.upper()
        if stem in ERRATA:
            yield Finding(f"{file} is misnamed in the official release and stands for {ERRATA[stem]}")


def _people(name: str, root: Path) -> Path:
    """The folder of the people."""
    return only_copy(
        name,
        root,
        lambda folder: any(_PERSON.fullmatch(child.name) for child in folders_in(root, folder)),
        marked="folders of people such as AF01",
        holding=_HOLDING,
        passed_over=(_AVERAGES,),
    )


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [KdefDataset()]
