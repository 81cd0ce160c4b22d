"""The embedded data sets: drawn faces, so that everything runs with no licence and no download."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

from nferbench.contract.dataset import EXPRESSIONS, Face, FaceDataset, Listing, Modality, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl


@final
@dataclass(frozen=True)
class SyntheticFaces(FaceDataset):
    """Drawn people who show the six expressions, in visible light and, where asked for, in near-infrared.

    A face depends on nothing but its id: the subject gives the person, subject, expression and take give the moment,
    and the modality gives the light and the sensor. Sets that share an id share the picture, bit for bit.
    """

    default_preset: ClassVar[str] = "quick"
    default_extra: ClassVar[str | None] = "synthetic-vis-nir"

    name: str = field(compare=False)
    title: str = field(compare=False)
    subjects: int = 40  # people, each with all six expressions
    first_subject: int = 1  # number of the first; sets with disjoint numbers have disjoint people
    modalities: tuple[Modality, ...] = ("vis", "nir")  # both make pairs of the same moment
    takes: int = 1  # pictures per person, expression and modality

    def listing(self, root: Path | None) -> Listing:
        """List the faces; `root` is ignored.

        Raises:
            UsageError: a size below one, or modalities other than "vis" and "nir".
        """
        if min(self.subjects, self.takes) < 1 or self.first_subject < 0:
            raise UsageError(
                f"data set '{self.name}' cannot draw {self.subjects} subjects from number {self.first_subject} with "
                f"{self.takes} takes; at least 1 subject and 1 take, numbers from 0"
            )
        if sorted(self.modalities) not in (["vis"], ["nir"], ["nir", "vis"]):
            raise UsageError(f"data set '{self.name}' has modalities {self.modalities}; allowed: 'vis', 'nir' or both")
        faces = []
        for number in range(self.first_subject, self.first_subject + self.subjects):
            subject = f"s{number:03d}"
            for expression in EXPRESSIONS:
                for take in range(self.takes):
                    moment = f"{subject}-{expression}-{take}"
                    pair = moment if len(self.modalities) == 2 else ""
                    faces += [Face(f"{moment}-{m}", m, subject, expression, pair) for m in self.modalities]
        return Listing(tuple(sorted(faces)), landmarks=68)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        """Draw one face at `size` pixels with its 68 exact landmarks; `root` is ignored.

        Raises:
            DataError: the face is not one that this data set draws.
        """
        moment, _, modality = face.id.rpartition("-")
        if (
            face.modality != modality
            or face.expression not in EXPRESSIONS
            or not moment.startswith(f"{face.subject}-{face.expression}-")
        ):
            raise DataError(f"data set '{self.name}' cannot draw face '{face.id}'; its listing names the faces it can")
        from nferbench.datasets.drawing import draw

        pixels, landmarks = draw(face.subject, face.expression, moment, face.modality, size)
        return Picture(pixels, landmarks, cropped=True)


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    """The paired set, the extra set, this with the true NIR that only an oracle may see, and people to pre-train on."""
    return [
        SyntheticFaces("synthetic-hfe", "Synthetic-HFE"),
        SyntheticFaces("synthetic-vis", "Synthetic-VIS", subjects=30, first_subject=501, modalities=("vis",)),
        SyntheticFaces("synthetic-vis-nir", "Synthetic-VIS with true NIR", subjects=30, first_subject=501),
        SyntheticFaces("synthetic-others", "Synthetic, other people", subjects=500, first_subject=2001),
    ]
