"""CK+, the Extended Cohn-Kanade data set (Lucey et al. 2010): VIS videos that go from a neutral face to the apex.

The layout is that of the release's notes and of public code; no real copy was tried:
`cohn-kanade-images/S005/001/S005_001_00000011.png` and `Emotion/S005/001/S005_001_00000011_emotion.txt`, each of them
often within the folder of its archive (`extended-cohn-kanade-images`, `Emotion_labels`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nferbench.contract.dataset import EXPRESSIONS, Dropped, Face, FaceDataset, Finding, Listing, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.labels import canonical, unknown
from nferbench.datasets.left_out import counted
from nferbench.datasets.table import inside
from nferbench.datasets.tree import images_below, required_root, visible

LEVELS = 4  # folders between the data root and the folders that hold subjects
SEQUENCES = 309  # labelled with one of the six expressions, of 327 labelled and 593 in all
SUBJECTS = 106  # in those sequences, of 123

_LABELS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")  # by code, from 0
_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d+)")  # in capitals

Sequence = tuple[str, str]  # subject and number of the sequence, such as ("S005", "001")


@dataclass(frozen=True)
class _Copy:
    """What a copy holds, before anything is selected."""

    labels: dict[Sequence, tuple[str, str]]  # label, and the name of the frame that it was given for
    frames: dict[Sequence, list[Path]]  # in the order of time
    dropped: list[Dropped]


@final
@dataclass(frozen=True)
class CkPlusDataset(FaceDataset):
    """The last frames of the labelled sequences; contempt, which is no basic expression, is left out."""

    name: str = field(default="ck+", compare=False)
    title: str = field(default="CK+", compare=False)
    last: int = 3  # frames from the end of each sequence, the apex; 0 takes all, from the neutral face on

    def listing(self, root: Path | None) -> Listing:
        root = required_root(self.name, root, "cohn-kanade-images and Emotion")
        if self.last < 0:
            raise UsageError(f"data set '{self.name}' cannot take the last {self.last} frames; 0 (all) or more")
        copy = self._read(root)
        faces = []
        dropped = list(copy.dropped)
        for (subject, number), (label, peak) in copy.labels.items():
            frames = copy.frames.get((subject, number), [])
            expression = canonical(label)
            if not frames:
                dropped.append(Dropped(peak, "labelled, but its sequence has no images"))
                continue
            if expression is None:
                dropped.append(Dropped(f"{subject}/{number}", unknown(label)))
                continue
            for path in frames[-self.last :]:
                file = path.relative_to(root).as_posix()
                name = path.stem.upper()
                faces.append(Face(name, "vis", subject, expression, files=(file,), sequence=f"{subject}/{number}"))
            if self.last:
                reason = f"not among the last {self.last} frames of the sequence"
                dropped += [Dropped(path.stem, reason) for path in frames[: -self.last]]
        dropped += [Dropped("/".join(key), "no emotion label") for key in copy.frames if key not in copy.labels]
        if not faces:
            raise DataError(f"{root}: no face can be used: {'; '.join(counted(dropped)[:3])}")
        return Listing(tuple(sorted(faces, key=lambda face: face.id)), dropped=tuple(dropped))

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        found = []
        sequences = len({face.id.rpartition("_")[0] for face in listing.faces})
        if sequences != SEQUENCES:
            found.append(Finding(f"{sequences} usable sequences of the six expressions; {SEQUENCES} are published"))
        subjects = len({face.subject for face in listing.faces})
        if subjects != SUBJECTS:
            found.append(Finding(f"{subjects} subjects in them; {SUBJECTS} are published"))
        copy = self._read(required_root(self.name, root, "cohn-kanade-images and Emotion"))
        early = [
            peak
            for key, (_, peak) in copy.labels.items()
            if key in copy.frames and copy.frames[key][-1].stem.upper() != peak
        ]
        if early:
            found.append(
                Finding(f"sequences that do not end with the labelled frame: {len(early)}, such as {early[0]}")
            )
        absent = [name for name in EXPRESSIONS if name not in {face.expression for face in listing.faces}]
        if absent:
            found.append(Finding(f"no face shows {', '.join(absent)}", serious=True))
        return tuple(found)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        from nferbench.datasets.images import read_image

        root = required_root(self.name, root, "cohn-kanade-images and Emotion")
        return Picture(read_image(root / inside(root, face.files[0])))

    def _read(self, root: Path) -> _Copy:
        """Find the labels and the images by what the folders hold, since their names differ from copy to copy.

        Of several folders with labels the one with most labels counts, of several with images (the first release, an
        own crop) the one with images for most of the labels; of equals the shallower, then the first by name.
        """
        places = _places(root)
        read = [_read_labels(root, place) for place in places]
        labels, faults = max(read, key=lambda each: len(each[0]), default=({}, []))
        if not labels:
            raise UsageError(
                f"data set '{self.name}': no S005/001/…_emotion.txt at most {LEVELS} folders below {root}; "
                "unpack Emotion_labels.zip there or give --data-root"
            )
        images = [_read_frames(root, place) for place in places]
        frames, rest = max(images, key=lambda each: len(labels.keys() & each[0].keys()))
        return _Copy(labels, frames, faults + rest)


def _places(root: Path) -> list[Path]:
    """The folders that hold folders of subjects, shallow ones first; a link out is a DataError."""
    found = (
        path
        for depth in range(LEVELS + 1)
        for path in sorted(root.glob("*/" * depth + "[Ss][0-9][0-9][0-9]"))
        if visible(path.relative_to(root).as_posix()) and path.is_dir()
    )
    places = list(dict.fromkeys(path.parent for path in found))
    for place in places:
        if place != root:
            inside(root, place.relative_to(root).as_posix())
    return places


def _read_labels(root: Path, place: Path) -> tuple[dict[Sequence, tuple[str, str]], list[Dropped]]:
    labels: dict[Sequence, tuple[str, str]] = {}
    dropped = []
    for path in sorted(place.glob("*/*/[!.]*_emotion.txt")):
        file = path.relative_to(root).as_posix()
        match = _FRAME.fullmatch(path.stem.removesuffix("_emotion").upper())
        try:
            code = float((root / inside(root, file)).read_text("ascii"))
        except (OSError, ValueError, DataError):
            code = -1.0
        if match is None:
            dropped.append(Dropped(file, "not a name like S005_001_00000011_emotion.txt"))
        elif code not in range(len(_LABELS)):
            dropped.append(Dropped(file, f"does not hold one number from 0 to {len(_LABELS) - 1}"))
        elif (match[1], match[2]) in labels:
            dropped.append(Dropped(file, "a second label of its sequence"))
        else:
            labels[match[1], match[2]] = (_LABELS[int(code)], match[0])
    return labels, dropped


def _read_frames(root: Path, place: Path) -> tuple[dict[Sequence, list[Path]], list[Dropped]]:
    found, rest = images_below(root, place)
    dropped = [drop for drop in rest if not drop.what.endswith("_emotion.txt")]  # some keep them beside the images
    frames: dict[Sequence, dict[int, Path]] = {}
    for path in found:
        match = _FRAME.fullmatch(path.stem.upper())
        file = path.relative_to(root).as_posix()
        if match is None or path.relative_to(place).parent.as_posix().upper() != f"{match[1]}/{match[2]}":
            dropped.append(Dropped(file, "not a frame in its place, such as S005/001/S005_001_00000011.png"))
        elif path is not frames.setdefault((match[1], match[2]), {}).setdefault(int(match[3]), path):
            dropped.append(Dropped(file, "a second file of the same frame"))
    return {key: list(paths.values()) for key, paths in frames.items()}, dropped


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [CkPlusDataset()]
