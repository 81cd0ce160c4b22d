"""The VIS faces of a data set alone, each without its partner: what can be translated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from nferbench.contract.dataset import Face, FaceDataset, Listing, Picture
from nferbench.contract.errors import DataError


@final
@dataclass(frozen=True)
class VisibleFaces(FaceDataset):
    """Another data set without its NIR faces, so that a VIS face stays where its NIR partner cannot be used."""

    inner: FaceDataset

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.inner.title

    def listing(self, root: Path | None) -> Listing:
        listing = self.inner.listing(root)
        faces = tuple(replace(face, pair="") for face in listing.faces if face.modality == "vis")
        if not faces:
            raise DataError(f"{self.name} has no VIS face; a method translates VIS faces")
        return replace(listing, faces=faces)

    def base(self, root: Path | None) -> Path | None:
        return self.inner.base(root)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        return self.inner.load(face, root, size)
