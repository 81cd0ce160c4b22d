"""A data set as a plain tree of folders: {vis,nir}/<subject>/<expression>/<sample>.<ext>.

The form is a convention of this project, not of any published data set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nferbench.contract.dataset import NEUTRAL, Dropped, Face, FaceDataset, Listing, Modality, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.people import spelled_alike
from nferbench.contract.values import LATER
from nferbench.datasets.labels import canonical, unknown
from nferbench.datasets.left_out import counted
from nferbench.datasets.levels import Levels
from nferbench.datasets.pairing import contradictions, is_paired, partnered
from nferbench.datasets.tree import images_below

MODALITIES: tuple[Modality, ...] = ("vis", "nir")


@final
@dataclass(frozen=True)
class FolderDataset(FaceDataset):
    """The faces of a tree {vis,nir}/<subject>/<expression>/<sample>.<ext>.

    A VIS and a NIR image are a pair where subject folder, expression folder and file name, without its ending, are
    equal. A tree of one modality alone is fine, for example as the extra VIS set. Capitals in "vis" and "nir" do not
    matter. What else lies there is left out and named, and so are links that lead out of the folder that holds them.
    """

    name: str = field(default="folder", compare=False)
    title: str = field(default="folder", compare=False)
    path: str = field(default="", compare=False)  # the folder that holds vis and nir; "" is the data root
    neutral: bool = True  # keep faces labelled neutral, as a seventh class
    levels: Levels = field(default=Levels(), metadata={LATER: True})  # of files of more than 8 bits; found by planning

    def listing(self, root: Path | None) -> Listing:
        base = self.base(root)
        if not is_face_tree(base):
            raise UsageError(f"data set '{self.name}': {base} holds neither a folder vis nor a folder nir")
        faces: list[Face] = []
        dropped: list[Dropped] = []
        trees = [(modality, *images_below(base, place)) for modality, place in _folders(base)]
        places = [path.relative_to(base).parts for _, paths, _ in trees for path in paths]
        # Before pairing: one of the trees may come from a Mac, which decomposes accents.
        names = spelled_alike({parts[1] for parts in places if len(parts) == 4})
        for modality, paths, others in trees:
            dropped += others
            for path in paths:
                file = path.relative_to(base).as_posix()
                _, *folders, _ = file.split("/")
                if len(folders) != 2:
                    dropped.append(Dropped(file, "not at <subject>/<expression>/<image>"))
                    continue
                subject, label = names[folders[0]], folders[1]
                expression = canonical(label)
                if expression is None:
                    dropped.append(Dropped(file, unknown(label)))
                elif expression == NEUTRAL and not self.neutral:
                    dropped.append(Dropped(file, "neutral faces are not wanted"))
                else:
                    pair = f"{subject}/{label}/{path.stem}"
                    faces.append(Face(file, modality, subject, expression, pair, (file,)))
        faults = contradictions(faces)
        if faults:
            more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
            raise DataError(f"{base}: {'; '.join(faults[:5])}{more}")
        if is_paired(faces):
            faces, partnerless = partnered(faces)
            dropped += partnerless
        if not faces:
            why = "; ".join(counted(dropped)[:3]) or "no file three levels below vis or nir"
            raise DataError(f"{base}: no face can be used: {why}; the form is vis|nir/<subject>/<expression>/<image>")
        return Listing(tuple(sorted(faces, key=lambda face: face.id)), 0, tuple(dropped))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import luminance, read_image

        pixels = read_image(self.base(root) / face.files[0], self.levels.of(face.modality))
        return Picture(luminance(pixels) if face.modality == "nir" else pixels)

    def base(self, root: Path | None) -> Path:
        """The folder that `Face.files` are relative to."""
        if self.path:
            return Path(self.path)
        if root is None:
            raise UsageError(f"data set '{self.name}' needs the folder that holds vis and nir; give --data-root")
        return root


def is_face_tree(path: Path) -> bool:
    """Whether a folder has at least one of the folders vis and nir."""
    return bool(_folders(path))


def _folders(base: Path) -> list[tuple[Modality, Path]]:
    """The folders vis and nir, written in any case."""
    named = {path: path.name.casefold() for path in sorted(base.iterdir()) if path.is_dir()} if base.is_dir() else {}
    return [(modality, path) for modality in MODALITIES for path, name in named.items() if name == modality]
