"""Any data set by manifest: a CSV file with one image a row, and an optional YAML or JSON file beside it."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from nferbench.contract.dataset import NEUTRAL, Dropped, Face, FaceDataset, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.ibug import POINTS
from nferbench.contract.printable import one_line
from nferbench.contract.values import LATER
from nferbench.datasets.folder import FolderDataset, is_face_tree
from nferbench.datasets.labels import unknown
from nferbench.datasets.left_out import counted
from nferbench.datasets.levels import Levels
from nferbench.datasets.npy import mapped
from nferbench.datasets.pairing import by_pair, contradictions, is_paired, partnered
from nferbench.datasets.sidecar import Sidecar, read_sidecar, sidecar_file
from nferbench.datasets.table import USED, Row, inside, read_table, share_faults

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_NAME = "manifest.csv"


@final
@dataclass(frozen=True)
class ManifestDataset(FaceDataset):
    """The faces that a CSV file lists.

    Columns: path, modality, subject, expression; optional pair, sequence, frame, session, light, view, split, box,
    landmarks. Paths are relative to the data root: the one given, else the folder of the CSV file. Boxes and
    landmarks are in pixels of the upright image (after its EXIF orientation).

    A row with a pair name whose partner is missing is left out, unless the whole list is of one modality; a row
    without one is kept, unpaired. A path that leads nowhere or out of the root is a mistake in the list, and refused;
    what is there and no file to read (a folder, a pipe) is left out and named.
    """

    name: str = field(default="manifest", compare=False)
    title: str = field(default="manifest", compare=False)
    file: str = field(default="", compare=False)  # path of the CSV file; "" is manifest.csv under the data root
    licence: str = field(default="", compare=False)  # note on the terms of use
    neutral: bool = True  # keep faces labelled neutral, as a seventh class
    last: int = 0  # keep only the last n frames of every sequence (the apex); 0 keeps all
    # Keep only the first n frames of every sequence; with `last`, those of both ends; 0 keeps all.
    first: int = field(default=0, metadata={LATER: True})
    # Keep every n-th frame of a sequence, counted from its last, before `last` and `first` choose.
    stride: int = field(default=1, metadata={LATER: True})
    session: str = ""  # keep only rows with this value; "" keeps all
    light: str = ""  # as session
    view: str = ""  # as session
    levels: Levels = field(default=Levels(), metadata={LATER: True})  # of files of more than 8 bits; found by planning

    def __post_init__(self) -> None:
        for name, least in (("last", 0), ("first", 0), ("stride", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{self.name}: {name} is {getattr(self, name)}; allowed: {least} or more")

    def listing(self, root: Path | None) -> Listing:
        file, base, sidecar = self._open(root)
        rows, faults = self._checked(file, base, sidecar)
        if faults:
            more = f"; and {len(faults) - 5} more ('nferbench data verify' lists all)" if len(faults) > 5 else ""
            count = f"{len(faults)} problems: " if len(faults) > 1 else ""
            raise DataError(f"{file}: {count}{'; '.join(faults[:5])}{more}")
        rows, dropped = self._select(rows)
        faces = [row.face for row in rows]
        if is_paired(faces):
            faces, partnerless = partnered(faces)
            dropped += partnerless
        if not faces:
            raise DataError(f"{file}: no face can be used: {'; '.join(counted(dropped)[:3])}")
        points = POINTS if any(len(face.files) > 1 for face in faces) else 0
        return Listing(tuple(sorted(faces, key=lambda face: face.id)), points, tuple(dropped))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import luminance, read_image

        base = self.base(root)
        image, *sides = (base / inside(base, file) for file in face.files)
        pixels = read_image(image, self.levels.of(face.modality))
        if face.modality == "nir":
            pixels = luminance(pixels)
        return Picture(pixels, read_landmarks(sides[0]) if sides else None, face.box)

    def base(self, root: Path | None) -> Path:
        """The folder that `Face.files` are relative to."""
        if root is not None:
            return root
        if not self.file:
            raise UsageError(f"data set '{self.name}' needs the folder that holds {FILE_NAME}; give --data-root")
        return Path(self.file).parent

    def problems(self, root: Path | None) -> list[str]:
        """Everything that keeps the manifest from being used, one line each, with line numbers.

        Raises:
            UsageError: there is no manifest.
            DataError: it cannot be read as a table at all.
        """
        return self._checked(*self._open(root))[1]

    def _open(self, root: Path | None) -> tuple[Path, Path, Sidecar]:
        base = self.base(root)
        file = Path(self.file) if self.file else base / FILE_NAME
        if not file.is_file():
            raise UsageError(
                f"data set '{self.name}': {file} does not exist; give the folder of a manifest, or its path"
            )
        return file, base, read_sidecar(file)

    def _checked(self, file: Path, base: Path, sidecar: Sidecar) -> tuple[list[Row], list[str]]:
        rows, faults = read_table(file, base, sidecar.aliases)
        used = [row for row in rows if row.modality in USED]
        faults += share_faults(used)
        lines = {row.face.id: row.line for row in rows}
        faults += contradictions((row.face for row in used), where=lambda face: f"line {lines[face.id]}")
        for row in used if self._choice() else ():
            if not row.columns["sequence"] or not row.columns["frame"].isdecimal():
                faults.append(f"line {row.line}: {self._choice()} needs a sequence and a whole number as frame")
        found = _counts([row.face for row in used])
        beside = sidecar_file(file)
        faults += [
            f"{beside.name if beside else ''} expects {want} {what}, the manifest has {found[what]}"
            for what, want in sidecar.expect.items()
            if found[what] != want and not faults
        ]
        return rows, faults

    def _select(self, rows: list[Row]) -> tuple[list[Row], list[Dropped]]:
        """Separate the rows that are used and wanted from the others."""
        kept: list[Row] = []
        dropped: list[Dropped] = []
        for row in rows:
            reason = self._refusal(row)
            if reason:
                dropped.append(Dropped(row.face.id, reason))
            else:
                kept.append(row)
        if self._choice():
            chosen = {row.line for rows in _sequences(kept) for row in self._chosen(rows)}
            reason = f"not chosen by {self._choice()}"
            dropped += [Dropped(row.face.id, reason) for row in kept if row.line not in chosen]
            kept = [row for row in kept if row.line in chosen]
        return kept, dropped

    def _choice(self) -> str:
        """The fields that choose frames of a sequence, where they are set."""
        fields = (("last", self.last, 0), ("first", self.first, 0), ("stride", self.stride, 1))
        return ", ".join(f"{name}={value}" for name, value, everything in fields if value != everything)

    def _chosen(self, rows: list[Row]) -> list[Row]:
        """The rows to keep of those of a sequence, which are in the order of time."""
        rows = rows[:: -self.stride][::-1]
        if not self.first and not self.last:
            return rows
        return rows[: self.first] + rows[max(len(rows) - self.last, 0) :]

    def _refusal(self, row: Row) -> str:
        """Why a row is left out; "" where it is not."""
        if row.modality not in USED:
            return f"modality {row.modality} is not used"
        if row.odd:
            return row.odd
        if not row.known:
            return unknown(row.label)
        if row.face.expression == NEUTRAL and not self.neutral:
            return "neutral faces are not wanted"
        for column in ("session", "light", "view"):
            value = getattr(self, column)
            if value and row.columns[column].casefold() != value.casefold():
                return f"{column} is not {value!r}"
        return ""


def dataset_from_path(path: Path) -> ManifestDataset | FolderDataset:
    """The data set at a path: a manifest, or a folder that holds a manifest.csv or the folders vis and nir.

    The name is what the YAML or JSON file beside the manifest says, else the name of the folder where the manifest is
    called manifest.csv, else that of the manifest. Names that are blank or nothing but dots are passed over; a folder
    has its own name however the path leads there ("..", a link), and "/" none.

    Raises:
        UsageError: nothing there is a data set.
        DataError: the YAML or JSON file beside the manifest is wrong.
    """
    path = path.absolute()
    if path.is_dir() and (path / FILE_NAME).is_file():
        path = path / FILE_NAME
    if path.is_dir():
        if not is_face_tree(path):
            raise UsageError(f"{path} is no data set; it must hold {FILE_NAME} or folders vis and nir")
        name = _name([_folder_name(path), FolderDataset.name])
        return FolderDataset(name=name, title=name, path=str(path))
    if not path.is_file():
        raise UsageError(f"{path} does not exist; give a manifest (.csv) or a folder that holds a data set")
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path} is no manifest; give a .csv file or a folder that holds a data set")
    sidecar = read_sidecar(path)
    stem = "" if path.name == FILE_NAME else path.stem
    name = _name([sidecar.name, stem, _folder_name(path.parent), ManifestDataset.name])
    dataset = ManifestDataset(name=name, title=sidecar.title or name, file=str(path))
    return replace(dataset, licence=sidecar.licence)


def is_face_set(path: Path) -> bool:
    """Whether a path is a folder that `dataset_from_path` takes."""
    return path.is_dir() and ((path / FILE_NAME).is_file() or is_face_tree(path))


def _name(choice: list[str]) -> str:
    """The first that can be a name: it holds something else than blanks and dots."""
    return one_line(next(name for name in choice if "".join(name.split()).strip(".")))


def _folder_name(path: Path) -> str:
    return Path(os.path.realpath(path)).name  # resolve() raises on links in a circle


def _counts(faces: list[Face]) -> dict[str, int]:
    return {
        "images": len(faces),
        "vis": sum(face.modality == "vis" for face in faces),
        "nir": sum(face.modality == "nir" for face in faces),
        "subjects": len({face.subject for face in faces} - {"?"}),
        "pairs": sum(len(group) == 2 for group in by_pair(faces).values()),
    }


def _sequences(rows: list[Row]) -> list[list[Row]]:
    """The rows of each sequence of each modality, in the order of time."""
    sequences: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        face = row.face
        sequences[face.modality, face.subject, face.expression, row.columns["sequence"]].append(row)
    return [
        sorted(sequence, key=lambda row: (int(row.columns["frame"]), row.face.id)) for sequence in sequences.values()
    ]


def read_landmarks(path: Path) -> NDArray[np.float32]:
    """The 68 landmarks of a face, (68, 2) x, y in pixels, NaN where missing, from an .npy file.

    Raises:
        DataError: not an .npy file, or not of this shape.
    """
    import numpy as np

    points = mapped(path)
    if points.shape != (POINTS, 2) or points.dtype.kind not in "fiu":
        raise DataError(f"{path}: {points.dtype} of shape {points.shape}; numbers of shape ({POINTS}, 2) are read")
    return np.array(points, dtype=np.float32)
