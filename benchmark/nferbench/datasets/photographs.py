"""Images of people of whom nothing is known, to be translated: one file, or all that lie below a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nferbench.contract.dataset import Face, FaceDataset, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.people import UNKNOWN
from nferbench.contract.values import LATER
from nferbench.datasets.left_out import counted
from nferbench.datasets.levels import Levels
from nferbench.datasets.tree import images_below


@final
@dataclass(frozen=True)
class Photographs(FaceDataset):
    """The image in a file, or all images below a folder, as VIS faces; subject and expression are unknown.

    The id of a face is its path below the folder. It cannot be named as the data set of a run: nobody in it can be
    held out or tested.
    """

    name: str = field(default="photographs", compare=False)
    title: str = field(default="photographs", compare=False)
    path: str = field(default="", compare=False)  # of the file, or the folder
    levels: Levels = field(default=Levels(), metadata={LATER: True})  # of files of more than 8 bits; found by planning

    def listing(self, root: Path | None) -> Listing:
        place, base = Path(self.path), self.base(root)
        paths, dropped = ([place], []) if place.is_file() else images_below(base, base)
        if not paths:
            why = "; ".join(counted(dropped)[:3]) or "it is empty"
            raise DataError(f"{self.path} holds no image: {why}; name an image, a folder of images or a manifest")
        files = sorted(path.relative_to(base).as_posix() for path in paths)
        faces = tuple(Face(file, "vis", UNKNOWN, UNKNOWN, files=(file,)) for file in files)
        return Listing(faces, dropped=tuple(dropped))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import read_image

        return Picture(read_image(self.base(root) / face.files[0], self.levels.vis))

    def base(self, root: Path | None) -> Path:
        """The folder that `Face.files` are relative to.

        Raises:
            UsageError: there is nothing at the path.
        """
        place = Path(self.path)
        if not place.exists():
            raise UsageError(f"{self.path} does not exist; name an image, a folder of images or a manifest (.csv)")
        return place if place.is_dir() else place.parent
