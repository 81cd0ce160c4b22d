"""RAF-DB, basic expressions (Li, Deng and Du 2017): VIS faces from the web, labelled by a list, of unknown people.

The layout is that of public code which reads the set; no real copy was tried: `EmoLabel/list_patition_label.txt` with
lines such as "train_00001.jpg 5", `Image/aligned/train_00001_aligned.jpg`, `Image/original/train_00001.jpg` and
`Annotation/boundingbox/train_00001_boundingbox.txt`. The list may also lie beside a folder `aligned`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Literal, final

from nferbench.contract.dataset import EXPRESSIONS, NEUTRAL, Dropped, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.left_out import counted
from nferbench.datasets.table import Box, inside
from nferbench.datasets.tree import images_below, required_root, visible

LIST = "list_patition_label.txt"  # as the release spells it
LEVELS = 4  # folders between the data root and what is looked for
PUBLISHED = {"train": 12_271, "test": 3_068}  # images of all seven expressions

_LABELS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")  # by code, from 1
_CODES = {str(code): label for code, label in enumerate(_LABELS, 1)}
_COMPOUND = {"8", "9", "10", "11"}  # only in the list of the compound expressions, a file of the same name
_NAME = re.compile(r"(train|test)_\d+")


@final
@dataclass(frozen=True)
class RafDbDataset(FaceDataset):
    """The faces that the list names. Nobody is identified: the faces may train, but are never split or tested.

    The published division into training and test images stays visible in the ids ("train_00001") and decides nothing.
    """

    name: str = field(default="raf-db", compare=False)
    title: str = field(default="RAF-DB", compare=False)
    images: Literal["aligned", "original"] = "aligned"  # faces cropped by the authors, or photographs with boxes
    neutral: bool = False  # also the neutral faces, as a seventh class

    def listing(self, root: Path | None) -> Listing:
        root = required_root(self.name, root, "EmoLabel and Image")
        base, codes, dropped = self._labels(root)
        folder = _below(root, base, self.images)
        if folder is None:
            raise UsageError(f"data set '{self.name}': {base} has no folder {self.images}; unpack the images there")
        boxes = _below(root, base, "boundingbox") if self.images == "original" else None
        paths, rest = _by_name(root, folder)
        dropped += rest
        faces = []
        for name, code in codes.items():
            expression = _CODES.get(code)
            path = paths.pop(name, None)
            box = _read_box(root, boxes / f"{name}_boundingbox.txt") if boxes else None
            if path is None:
                dropped.append(Dropped(name, f"listed, but there is no such {self.images} image"))
            elif expression is None:
                dropped.append(Dropped(name, f"code {code!r} is none of 1 to 7"))
            elif expression == NEUTRAL and not self.neutral:
                dropped.append(Dropped(name, "neutral faces are not wanted"))
            elif boxes and box is None:
                dropped.append(Dropped(name, "its bounding box is missing or is no box"))
            else:
                file = path.relative_to(root).as_posix()
                faces.append(Face(name, "vis", "?", expression, files=(file,), box=box))
        dropped += [Dropped(path.relative_to(root).as_posix(), f"not in {LIST}") for path in paths.values()]
        if not faces:
            raise DataError(f"{base}: no face can be used: {'; '.join(counted(dropped)[:3]) or f'{LIST} is empty'}")
        return Listing(tuple(sorted(faces, key=lambda face: face.id)), dropped=tuple(dropped))

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        faces = (listing if self.neutral else replace(self, neutral=True).listing(root)).faces
        found = [Finding("no identities: the faces may train, and are never split or tested")]
        for part, want in PUBLISHED.items():
            count = sum(face.id.startswith(part) for face in faces)
            if count != want:
                found.append(Finding(f"{count} usable {part} images of the seven expressions; {want} are published"))
        if self.images == "original" and all(face.box is None for face in faces):
            found.append(Finding("no folder boundingbox: the middle of each photograph is taken for the face"))
        absent = [name for name in EXPRESSIONS if name not in {face.expression for face in faces}]
        if absent:
            found.append(Finding(f"no face shows {', '.join(absent)}", serious=True))
        return tuple(found)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import read_image

        root = required_root(self.name, root, "EmoLabel and Image")
        pixels = read_image(root / inside(root, face.files[0]))
        return Picture(pixels, box=face.box, cropped=self.images == "aligned")

    def _labels(self, root: Path) -> tuple[Path, dict[str, str], list[Dropped]]:
        """The folder of the set, the code of each image by its name without ending, and the lines that are none."""
        compound: Path | None = None
        for file in _files(root, LIST):
            place = inside(root, file.relative_to(root).as_posix())
            try:
                codes, dropped = _read_list(place, file.read_text("utf-8-sig", "replace"))
            except OSError as error:
                raise DataError(f"{file}: {error.strerror}") from None
            if set(codes.values()) >= _COMPOUND:
                compound = compound or file
                continue
            base = file.parent
            while base.name.casefold() == "emolabel" and base != root:
                base = base.parent
            return base, codes, dropped
        if compound is not None:
            raise UsageError(f"data set '{self.name}': {compound} lists compound expressions; give the basic ones")
        raise UsageError(f"data set '{self.name}': no {LIST} at most {LEVELS} folders below {root}; give --data-root")


def _read_list(file: str, text: str) -> tuple[dict[str, str], list[Dropped]]:
    """The code of each image, by its name without ending and without "_aligned"."""
    codes: dict[str, str] = {}
    dropped = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        name = PurePath(words[0]).stem.casefold().removesuffix("_aligned") if words else ""
        if words and (len(words) != 2 or not _NAME.fullmatch(name)):
            dropped.append(Dropped(f"{file}, line {number}", "not of the form 'train_00001.jpg 5'"))
        elif name in codes:
            dropped.append(Dropped(f"{file}, line {number}", "names an image that is already listed"))
        elif words:
            codes[name] = words[1]
    return codes, dropped


def _by_name(root: Path, folder: Path) -> tuple[dict[str, Path], list[Dropped]]:
    """The images of a folder, by their name without ending and without "_aligned"."""
    found, dropped = images_below(root, folder)
    paths: dict[str, Path] = {}
    for path in found:
        name = path.stem.casefold().removesuffix("_aligned")
        if name in paths:
            dropped.append(Dropped(path.relative_to(root).as_posix(), "a second file of the same name"))
        else:
            paths[name] = path
    return paths, dropped


def _read_box(root: Path, file: Path) -> Box | None:
    """Four numbers x1 y1 x2 y2, in pixels of the photograph; None where the file is missing or holds no box."""
    try:
        path = root / inside(root, file.relative_to(root).as_posix())
        x1, y1, x2, y2 = map(float, path.read_text("ascii").split())
    except (OSError, ValueError, DataError):
        return None
    return (x1, y1, x2, y2) if all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2 else None


def _files(root: Path, name: str) -> Iterator[Path]:
    """Files of this name in the root and the folders below it, shallow ones first; one more level for EmoLabel."""
    for depth in range(LEVELS + 2):
        for path in sorted(root.glob("*/" * depth + name)):
            if visible(path.relative_to(root).as_posix()) and path.is_file():
                yield path


def _below(root: Path, base: Path, name: str) -> Path | None:
    """The shallowest folder of this name, in any case, at most `LEVELS` below `base`; a link out is a DataError."""
    for depth in range(LEVELS):
        for path in sorted(base.glob("*/" * depth + "*")):
            if path.name.casefold() == name and visible(path.relative_to(base).as_posix()) and path.is_dir():
                return root / inside(root, path.relative_to(root).as_posix())
    return None


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [RafDbDataset()]
