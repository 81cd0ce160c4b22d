"""KMU-FED, the Keimyung University facial expressions of drivers: NIR faces of 12 people behind the wheel.

The layout is that of public code which reads the set; no real copy was tried: one folder of files such as
`01_AN_mr_005.jpg`, which is driver, expression, a code of the person and the frame. The release repeats six files under
a name with a bare 1 for 01.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nferbench.contract.dataset import EXPRESSIONS, Dropped, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.labels import canonical
from nferbench.datasets.left_out import counted
from nferbench.datasets.table import inside
from nferbench.datasets.tree import images_below, natural, required_root

LEVELS = 4  # folders between the data root and the one that holds the files
SUBJECTS = 12
IMAGES = 1_100  # once the repeated ones are left out

_NAME = re.compile(r"(\d{1,2})_([a-z]{2})_([a-z0-9]+)_(\d+)", re.IGNORECASE)


@final
@dataclass(frozen=True)
class KmuFedDataset(FaceDataset):
    """All frames, each once. The set has no VIS faces: it can be listed and prepared, but not be translated into.

    A copy that was sorted into folders is read as well, where these lie side by side.
    """

    name: str = field(default="kmu-fed", compare=False)
    title: str = field(default="KMU-FED", compare=False)

    def listing(self, root: Path | None) -> Listing:
        root = required_root(self.name, root, "its images")
        found, dropped = self._images(root)
        kept, repeated = _distinct(root, found)
        faces: dict[str, Face] = {}
        dropped += repeated
        for path in kept:
            file = path.relative_to(root).as_posix()
            match = _NAME.fullmatch(path.stem)
            expression = canonical(match[2]) if match else None
            if match is None:
                dropped.append(Dropped(file, "not a name like 01_AN_mr_005.jpg"))
                continue
            if expression not in EXPRESSIONS:
                dropped.append(Dropped(file, f"code {match[2]!r} is none of AN, DI, FE, HA, SA, SU"))
                continue
            subject = f"{int(match[1]):02d}"
            name = f"{subject}_{match[2].upper()}_{match[3].lower()}_{int(match[4]):03d}"
            if name in faces:
                dropped.append(Dropped(file, "a second file of the same frame"))
            else:
                faces[name] = Face(name, "nir", subject, expression, files=(file,))
        if not faces:
            raise DataError(f"{root}: no face can be used: {'; '.join(counted(dropped)[:3])}")
        return Listing(tuple(sorted(faces.values(), key=lambda face: face.id)), dropped=tuple(dropped))

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        found = [Finding("NIR only: there are no pairs, so nothing can be translated or scored on it")]
        subjects = {face.subject for face in listing.faces}
        if len(subjects) != SUBJECTS:
            found.append(Finding(f"{len(subjects)} subjects; {SUBJECTS} are published"))
        if len(listing.faces) != IMAGES:
            found.append(Finding(f"{len(listing.faces)} different images; {IMAGES} are published"))
        counts = Counter(face.expression for face in listing.faces)
        absent = [name for name in EXPRESSIONS if not counts[name]]
        if absent:
            found.append(Finding(f"no face shows {', '.join(absent)}", serious=True))
        return tuple(found)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import luminance, read_image

        root = required_root(self.name, root, "its images")
        return Picture(luminance(read_image(root / inside(root, face.files[0]))))

    def _images(self, root: Path) -> tuple[list[Path], list[Dropped]]:
        """The images of the shallowest folders that hold any, in natural order; of 01 and 1, 01 comes first."""
        for depth in range(LEVELS + 1):
            named = (path for path in root.glob("[!.]*/" * depth + "*_*_*_*.*") if _NAME.fullmatch(path.stem))
            folders = sorted({path.parent for path in named})
            if folders:
                break
        else:
            raise UsageError(
                f"data set '{self.name}': no file like 01_AN_mr_005.jpg at most {LEVELS} folders below {root}; "
                "give --data-root"
            )
        found: list[Path] = []
        dropped: list[Dropped] = []
        for folder in folders:
            if folder != root:
                inside(root, folder.relative_to(root).as_posix())
            images, rest = images_below(root, folder)
            found += images
            dropped += rest
        return sorted(found, key=lambda path: (natural(str(path)), path)), dropped


def _distinct(root: Path, paths: list[Path]) -> tuple[list[Path], list[Dropped]]:
    """Separate the first file of each content from its copies; only files of equal size are read."""
    kept: list[Path] = []
    dropped: list[Dropped] = []
    sizes: dict[Path, int] = {}
    for path in paths:
        try:
            sizes[path] = path.stat().st_size
        except OSError as error:
            dropped.append(Dropped(path.relative_to(root).as_posix(), f"cannot be read ({error.strerror})"))
    shared = Counter(sizes.values())
    first: dict[str, Path] = {}
    for path, size in sizes.items():
        file = path.relative_to(root).as_posix()
        if not size:
            dropped.append(Dropped(file, "the file is empty"))
            continue
        if shared[size] > 1:
            try:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                dropped.append(Dropped(file, f"cannot be read ({error.strerror})"))
                continue
            if first.setdefault(content, path) is not path:
                dropped.append(Dropped(file, "the same content as another file"))
                continue
        kept.append(path)
    return kept, dropped


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [KmuFedDataset()]
