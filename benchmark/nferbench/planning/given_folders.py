"""Which images a folder of a row holds: in one place for all folds, or in a place for each."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.contract.printable import first_of, one_line
from nferbench.datasets.given import image_files
from nferbench.planning.matching import match
from nferbench.workspace.stages import PrepareFaces

Images = Mapping[str, Path]  # by the ids of the faces


@final
@dataclass(frozen=True)
class Folder:
    """A folder of images, as it was named, and what is due in it."""

    option: str  # as typed, for messages
    path: Path
    source: PrepareFaces
    part: Literal["test", "all"]
    due: Mapping[int, Sequence[str]]  # ids of the faces of each fold


@final
@dataclass(frozen=True)
class Found:
    """The images of a folder."""

    images: Mapping[int, Images]  # by fold: that of each face that is due
    whole: bool  # whether they lie in one folder for all folds
    unused: tuple[str, ...]  # images of no face that is due

    def note(self, folder: Folder) -> str:
        """What there is to say of the unused ones, in one line; "" where there are none."""
        if not self.unused:
            return ""
        count = len(self.unused)
        return f"{one_line(folder.option)}: {count} images are of no face that is due: {first_of(self.unused)}"


def found_in(folder: Folder, listed: Collection[Face], wanted: Collection[int]) -> Found:
    """The images of the wanted folds, and of the others where all of them are there.

    Args:
        folder: what is due where.
        listed: all faces of the data set.
        wanted: numbers of folds.

    Raises:
        DataError: a folder of a fold is missing, or is of no fold; a wanted fold lacks images, or names are ambiguous.
    """
    known = [face for face in listed if face.modality == "vis"]
    by_id = {face.id: face for face in known}

    def matched(place: Path, files: Sequence[str], folds: Collection[int]) -> Images:
        faces = [by_id[each] for each in dict.fromkeys(each for fold in folds for each in folder.due[fold])]
        try:
            return {face: place / file for face, file in match(files, faces, known).items()}
        except DataError as error:
            where = "" if place == folder.path else f"/{place.name}"
            raise DataError(f"{one_line(folder.option)}{where}: {error}") from None

    images: dict[int, Images] = {}
    lying: list[Path] = []
    divided = _fold_folders(folder, wanted)
    for fold, place in divided.items():
        files = image_files(place)
        try:
            images[fold] = matched(place, files, [fold])
        except DataError:
            if fold in wanted:
                raise
        lying += [place / file for file in files]
    if not divided:
        files = image_files(folder.path)
        lying = [folder.path / file for file in files]
        try:
            found = matched(folder.path, files, folder.due)
        except DataError:
            if set(wanted) == set(folder.due):
                raise
            found = matched(folder.path, files, wanted)
        images = {
            fold: {face: found[face] for face in due}
            for fold, due in folder.due.items()
            if all(face in found for face in due)
        }
    used = {path for each in images.values() for path in each.values()}
    unused = tuple(path.relative_to(folder.path).as_posix() for path in lying if path not in used)
    return Found(images, not divided, unused)


def _fold_folders(folder: Folder, wanted: Collection[int]) -> dict[int, Path]:
    """The folders fold0, fold1, … by fold; none where all folds share one folder.

    Raises:
        DataError: one for a fold that there is not, none for a wanted one, or images beside them.
    """
    named = {path.name: path for path in sorted(folder.path.iterdir()) if re.fullmatch(r"fold\d+", path.name)}
    named = {name: path for name, path in named.items() if path.is_dir()}
    if not named:
        return {}
    known = {f"fold{fold}": fold for fold in folder.due}
    option, rule = one_line(folder.option), "give one folder for all folds, or one for each"
    if strange := [name for name in named if name not in known]:
        raise DataError(f"{option}: {strange[0]} is of no fold, there are {', '.join(known)}; {rule}")
    if missing := [f"fold{fold}" for fold in wanted if f"fold{fold}" not in named]:
        raise DataError(f"{option}: it has {', '.join(named)}, and no {', '.join(missing)}; {rule}")
    if beside := [file for file in image_files(folder.path) if file.partition("/")[0] not in named]:
        raise DataError(f"{option}: {one_line(beside[0])} lies beside {', '.join(named)}; {rule}")
    return {known[name]: path for name, path in named.items()}
