"""Large-HFE (NFER-Former, arXiv 2312.05907): NIR and VIS faces of 360 people who show the six expressions.

Neither a layout nor a public way to get the set was found, so it is read by a manifest, written by whoever has a copy.
No real copy was tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

from nferbench.contract.dataset import EXPRESSIONS, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.manifest import ManifestDataset
from nferbench.datasets.pairing import by_pair

SUBJECTS = 360
TESTED = 996  # NIR faces: the accuracies published for this set are multiples of 1/996
UNKNOWN = "?"
LIST = ManifestDataset("large-hfe", "Large-HFE", neutral=False)


@final
@dataclass(frozen=True)
class LargeHfeDataset(FaceDataset):
    """The faces that manifest.csv under the data root lists; its columns are those of `ManifestDataset`."""

    default_preset: ClassVar[str] = "paper"
    default_extra: ClassVar[str | None] = "cfee"

    name: str = field(default="large-hfe", compare=False)
    title: str = field(default="Large-HFE", compare=False)
    manifest: ManifestDataset = LIST  # how the list is read: which rows, with or without neutral faces

    def listing(self, root: Path | None) -> Listing:
        return self.manifest.listing(root)

    def base(self, root: Path | None) -> Path:
        return self.manifest.base(root)

    def problems(self, root: Path | None) -> list[str]:
        return self.manifest.problems(root)

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        faces = listing.faces
        found = [_tested(faces)]
        subjects = len({face.subject for face in faces} - {UNKNOWN})
        if subjects != SUBJECTS:
            found.append(Finding(f"{subjects} subjects; {SUBJECTS} are published"))
        absent = [name for name in EXPRESSIONS if name not in {face.expression for face in faces}]
        if absent:
            found.append(Finding(f"no face shows {', '.join(absent)}; the set has all six expressions"))
        pairs = sum(len(group) == 2 for group in by_pair(faces).values())
        if not pairs:
            found.append(Finding("no VIS-NIR pairs; nothing can be trained, fill the column pair", serious=True))
        else:
            found.append(Finding(f"{pairs} VIS-NIR pairs, as the manifest makes them"))
        return tuple(found)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        return self.manifest.load(face, root, size)


def _tested(faces: tuple[Face, ...]) -> Finding:
    """Whether as many NIR faces are tested as the published accuracies suggest.

    With a fixed split these are its test faces; folds test every face of a known person once.
    """
    nir = [face for face in faces if face.modality == "nir" and face.subject != UNKNOWN]
    fixed = any(face.split == "test" for face in nir)
    tested = sum(face.split == "test" for face in nir) if fixed else len(nir)
    where = "in the test split" if fixed else "over all folds"
    fits = "as" if tested == TESTED else f"not the {TESTED} that"
    return Finding(f"{tested} NIR faces are tested {where}, {fits} the published accuracies suggest")


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [LargeHfeDataset()]
