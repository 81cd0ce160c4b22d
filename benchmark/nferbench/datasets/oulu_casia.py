"""Oulu-CASIA NIR&VIS (Zhao et al. 2011): posed expressions from near neutral to the apex, filmed in VIS and in NIR.

No real copy was tried; the layout is that of public code and public file lists. A folder, by whatever name, holds
`{NI,VL}/{Strong,Weak,Dark}/P001…P080/<Expression>/000.jpeg …`, or `NI_Acropped` and `VL_Acropped` in place of `NI` and
`VL` for the faces that are distributed as crops.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple, final

from nferbench.contract.dataset import (
    EXPRESSIONS,
    NEUTRAL,
    Dropped,
    Face,
    FaceDataset,
    Finding,
    Listing,
    Modality,
    Picture,
)
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.ibug import POINTS
from nferbench.datasets import sequences
from nferbench.datasets.images import SUFFIXES, luminance, read_image
from nferbench.datasets.labels import canonical
from nferbench.datasets.left_out import counted
from nferbench.datasets.manifest import read_landmarks
from nferbench.datasets.pairing import by_pair, partnered
from nferbench.datasets.table import inside
from nferbench.datasets.tree import folders_in, images_below, visible

FOLDERS: Mapping[Modality, str] = {"vis": "VL", "nir": "NI"}
CROPPED = "_Acropped"  # ending of both names in the release of cropped faces
LIGHTS = ("strong", "weak", "dark")  # normal indoor light, only a monitor on, none
LEVELS = 4  # at most so many folders lie between the data root and NI or VL
LAST = {"peak1": 1, "last3": 3, "last3+neutral": 3}  # pairs from the end of a recording; "all" takes them all

# What a whole copy has, for each modality and light.
SUBJECTS = tuple(f"P{number:03d}" for number in range(1, 81))
SEQUENCES = len(SUBJECTS) * len(EXPRESSIONS)
FRAMES = 10_379  # full frames in strong light, in a public file list
SHORTEST = 9  # frames of the shortest sequence there
ENOUGH = 0.9  # share of the published counts below which a copy should not be used


class Key(NamedTuple):
    """What the VIS and the NIR sequence of one recording have in common."""

    light: str
    subject: str
    expression: str

    def __str__(self) -> str:
        return f"{self.light.capitalize()}/{self.take}"

    @property
    def take(self) -> str:
        return f"{self.subject}/{self.expression.capitalize()}"


class Frame(NamedTuple):
    """One image file of a sequence."""

    number: int  # its name as a number
    file: str  # its path below the folder that holds NI and VL


Recording = dict[Modality, list[Frame]]  # VIS, then NIR, by number; [] where a modality is missing
Moment = dict[Modality, Frame]  # one frame, or the two of a pair


@final
@dataclass(frozen=True)
class OuluCasia(FaceDataset):
    """The frames of Oulu-CASIA, as pairs of one VIS and one NIR frame.

    The VIS and the NIR sequence of a recording differ in length in 404 of 480 cases: which frames belong together is a
    policy, and the pairs are weak. `frames` chooses among the pairs, so "last3" is the last three pairs of each
    recording whatever the policy; "last3+neutral" adds the first frames of both sequences as neutral. "all" adds the
    frames that have no partner, unpaired.

    A recording that lacks one modality is left out, but for "all". In a copy of one modality nothing is paired.
    """

    default_preset: ClassVar[str] = "paper"
    default_extra: ClassVar[str | None] = "cfee"

    name: str = field(default="oulu-casia", compare=False)
    title: str = field(default="Oulu-CASIA", compare=False)
    # Deviation: the paper names neither light nor frames, and nothing known selects the 1,080 faces of its accuracies;
    # strong light and the last three frames (1,440 faces) are what others use.
    light: Literal["strong", "weak", "dark", "all"] = "strong"  # of both frames; VIS is poor in weak and dark
    frames: Literal["last3", "peak1", "all", "last3+neutral"] = "last3"
    # Deviation: the paper does not say how it pairs sequences of unequal length; apex suits the last three frames.
    pairing: Literal["apex", "relative", "stem", "landmark"] = "apex"  # place from the end, share, number, warping
    reject: float = 0.0  # landmark pairing: greatest distance in a pair, in distances between the eyes; 0 keeps all
    images: Literal["auto", "original", "cropped"] = "auto"  # full frames or crops; auto prefers full frames
    landmarks: str = field(default="", compare=False)  # folder beside NI and VL with a .npy (68, 2) for each frame

    def __post_init__(self) -> None:
        if not self.reject >= 0:
            raise UsageError(f"{self.name}: reject is {self.reject}; allowed: 0 or more, such as 0.1 (0 keeps all)")

    def listing(self, root: Path | None) -> Listing:
        copy = self._copy(root)
        recordings, dropped = _recordings(copy, self._lights())
        both = all(any(recording[modality] for recording in recordings.values()) for modality in FOLDERS)
        if both and self.pairing == "landmark":
            self._require_landmarks(copy.base, recordings)
        faces: list[Face] = []
        for key, recording in sorted(recordings.items()):
            chosen = self._faces(copy.base, key, recording, both)
            if not chosen:
                dropped.append(self._unpaired(key, recording))
            faces += chosen
        if self.landmarks:
            lacking = {face.id for face in faces if not _is_file(copy.base, face.files[1])}
            dropped += [Dropped(face.id, "no landmark file") for face in faces if face.id in lacking]
            faces = [face for face in faces if face.id not in lacking]
            if both:
                faces, partnerless = partnered(faces)
                dropped += partnerless
        if not faces:
            why = "; ".join(counted(dropped)[:3])
            raise DataError(f"{self.name}: no frame under {copy.base} can be used: {why}; is the copy complete?")
        points = POINTS if self.landmarks else 0
        return Listing(tuple(sorted(faces, key=lambda face: face.id)), points, tuple(dropped))

    def base(self, root: Path | None) -> Path | None:
        """The folder that holds NI and VL, so that nothing depends on how deep below the data root it lies."""
        return root if root is None or not root.is_dir() else self._copy(root).base

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        # Looking for the copy takes longer than decoding a frame: not done where the root is its base already.
        base = root if root is not None and (root / face.files[0]).is_file() else self._copy(root).base
        image, *sides = (base / inside(base, file) for file in face.files)
        pixels = read_image(image)
        if face.modality == "nir":
            pixels = luminance(pixels)
        is_crop = PurePosixPath(face.id).parts[0].casefold().endswith(CROPPED.casefold())
        return Picture(pixels, read_landmarks(sides[0]) if sides else None, cropped=is_crop)

    def findings(self, listing: Listing, root: Path | None) -> tuple[Finding, ...]:
        copy = self._copy(root)
        recordings, _ = _recordings(copy, self._lights())
        what = (
            "distributed crops" if copy.cropped else "full frames; without detector or landmarks, their middle square"
        )
        found = [Finding(f"read from {copy.base}: {what}")]
        for light in self._lights():
            here = {key: recording for key, recording in sorted(recordings.items()) if key.light == light}
            for modality, folder in FOLDERS.items():
                frames = {key.take: recording[modality] for key, recording in here.items() if recording[modality]}
                whole = FRAMES if light == "strong" and not copy.cropped else None
                found += _against_published(f"{folder}/{light.capitalize()}", frames, whole)
            common = {key: recording for key, recording in here.items() if all(recording.values())}
            found += [Finding(f"{light.capitalize()}: {line}") for line in self._pairing_report(copy.base, common)]
        return (*found, *self._selection(listing), *self._landmark_report(copy.base, listing))

    def _lights(self) -> tuple[str, ...]:
        return LIGHTS if self.light == "all" else (self.light,)

    def _copy(self, root: Path | None) -> _Copy:
        """The one copy below the data root that has the images and a light asked for."""
        if root is None:
            raise UsageError(f"data set '{self.name}' needs the folder of your copy; give --data-root")
        copies = [copy for copy in _copies(root) if self.images in ("auto", "cropped" if copy.cropped else "original")]
        if self.images == "auto":
            copies = [copy for copy in copies if not copy.cropped] or copies
        if not copies:
            end = CROPPED if self.images == "cropped" else ""
            raise UsageError(
                f"data set '{self.name}': no VL{end} or NI{end}/Strong/P001/Anger/000.jpeg within {LEVELS} levels "
                f"below {root}; give --data-root (links that lead elsewhere are not followed), or list a copy that was "
                f"sorted anew in a manifest"
            )
        if len(copies) > 1:
            places = ", ".join(copy.base.relative_to(root).as_posix() for copy in copies)
            raise UsageError(f"data set '{self.name}': {len(copies)} copies below {root} ({places}); give one of them")
        lights = {light for _, light, _ in copies[0].folders}
        if lights.isdisjoint(self._lights()):
            there = ", ".join(light for light in LIGHTS if light in lights)
            raise UsageError(f"data set '{self.name}': no light '{self.light}' in {copies[0].base}; there: {there}")
        return copies[0]

    def _faces(self, base: Path, key: Key, recording: Recording, both: bool) -> list[Face]:
        """The chosen frames of one recording; none where it has no pair in a copy of both modalities."""
        singles: list[Moment] = [{name: frame} for name, frames in recording.items() for frame in frames]
        moments = self._pairs(base, recording) if both else singles
        moments = moments[-LAST.get(self.frames, len(moments)) :]
        used = {frame for moment in moments for frame in moment.values()}
        labelled = [(moment, key.expression) for moment in moments]
        if self.frames == "all":
            labelled += [(moment, key.expression) for moment in singles if used.isdisjoint(moment.values())]
        first = {name: frames[0] for name, frames in recording.items() if frames}
        if self.frames == "last3+neutral" and moments and used.isdisjoint(first.values()):
            labelled.append((first, NEUTRAL))
        faces = []
        for moment, expression in labelled:
            # Named by the VIS frame, so that a pair is called the same whatever else is chosen.
            pair = f"{key}/{moment['vis'].number:03d}" if len(moment) == 2 else ""
            for modality, frame in moment.items():
                files = (frame.file, self._landmark_file(frame)) if self.landmarks else (frame.file,)
                faces.append(Face(frame.file, modality, key.subject, expression, pair, files, sequence=str(key)))
        return faces

    def _pairs(self, base: Path, recording: Recording) -> list[Moment]:
        """All pairs of a recording by the policy asked for, in the order of time."""
        vis, nir = recording["vis"], recording["nir"]
        if self.pairing != "landmark":
            places = sequences.unguided(*_numbers(recording))[self.pairing]
        elif vis and nir:
            points = {m: [read_landmarks(base / self._landmark_file(f)) for f in recording[m]] for m in FOLDERS}
            places = sequences.by_landmarks(points["vis"], points["nir"], self.reject)
        else:
            places = []
        return [{"vis": vis[i], "nir": nir[j]} for i, j in places]

    def _unpaired(self, key: Key, recording: Recording) -> Dropped:
        if all(recording.values()):
            return Dropped(str(key), f"pairing '{self.pairing}' finds no pair in the recording")
        there, other = ("VL", "NI") if recording["vis"] else ("NI", "VL")
        return Dropped(f"{there}/{key}", f"the recording has no sequence in {other}")

    def _landmark_file(self, frame: Frame) -> str:
        return str(PurePosixPath(self.landmarks, frame.file).with_suffix(".npy"))

    def _require_landmarks(self, base: Path, recordings: Mapping[Key, Recording]) -> None:
        if not self.landmarks:
            raise UsageError(
                f"{self.name}: pairing 'landmark' needs landmarks; set datasets.{self.name}.landmarks to a folder "
                f"beside NI and VL that holds VL/Strong/P001/Anger/000.npy and so on, each of shape ({POINTS}, 2)"
            )
        common = [recording for recording in recordings.values() if all(recording.values())]
        files = [self._landmark_file(frame) for each in common for frames in each.values() for frame in frames]
        missing = [file for file in files if not _is_file(base, file)]
        if missing:
            raise DataError(
                f"{self.name}: {len(missing)} of {len(files)} frames lack their landmark file, such as {missing[0]}; "
                f"write it (NaN where no face was found) or choose another pairing"
            )

    def _pairing_report(self, base: Path, common: Mapping[Key, Recording]) -> Iterator[str]:
        """How far the two sequences of a recording differ in length, and how many pairs each policy makes of it."""
        if not common:
            return
        numbers = {key.take: _numbers(recording) for key, recording in common.items()}
        yield from sequences.compare_lengths({take: (len(vis), len(nir)) for take, (vis, nir) in numbers.items()})
        policies = [sequences.unguided(vis, nir) for vis, nir in numbers.values()]
        pairs = {name: sum(len(each[name]) for each in policies) for name in policies[0]}
        if self.pairing == "landmark":
            pairs["landmark"] = sum(len(self._pairs(base, recording)) for recording in common.values())
        yield f"pairs of all frames by policy: {', '.join(f'{name} {count}' for name, count in pairs.items())}"

    def _landmark_report(self, base: Path, listing: Listing) -> Iterator[Finding]:
        """How far apart the landmarks of the chosen pairs are."""
        if not self.landmarks or not (pairs := by_pair(listing.faces)):
            return
        nir, vis = zip(*(sorted(pair, key=lambda face: face.modality) for pair in pairs.values()), strict=True)
        points = [[read_landmarks(base / face.files[1]) for face in faces] for faces in (vis, nir)]
        yield Finding(sequences.compare_shapes(list(pairs), *points))

    def _selection(self, listing: Listing) -> Iterator[Finding]:
        """How many faces were chosen, against what a whole copy gives."""
        whole = LAST.get(self.frames, 0) + (self.frames == "last3+neutral")
        whole *= SEQUENCES * len(self._lights())
        for modality in FOLDERS:
            count = sum(face.modality == modality for face in listing.faces)
            published = f" (a whole copy gives {whole})" if whole and count != whole else ""
            yield Finding(f"{count} {modality} faces chosen{published}")


@dataclass(frozen=True)
class _Copy:
    base: Path  # holds NI or VL, or both
    cropped: bool
    folders: tuple[tuple[Modality, str, Path], ...]  # modality, light, folder of the subjects


def _copies(root: Path) -> list[_Copy]:
    """All copies at or below a root; nothing is looked for inside a copy."""
    copies: list[_Copy] = []
    visited: set[Path] = set()
    level = [root]
    for _ in range(LEVELS + 1):
        places, level = level, []
        for place in places:
            if place.resolve() in visited:
                continue
            visited.add(place.resolve())
            here = [copy for cropped in (False, True) if (copy := _copy_at(place, cropped))]
            copies += here
            level += [] if here else folders_in(root, place)
    return copies


def _copy_at(base: Path, cropped: bool) -> _Copy | None:
    names = {(name + CROPPED * cropped).casefold(): modality for modality, name in FOLDERS.items()}
    folders = tuple(
        (names[child.name.casefold()], folder.name.casefold(), folder)
        for child in folders_in(base, base)
        if child.name.casefold() in names
        for folder in folders_in(base, child)
        if folder.name.casefold() in LIGHTS
    )
    # A tree of landmark files has the same folders, but no image in them.
    files = (path for _, _, folder in folders for path in folder.glob("*/*/*"))
    if any(path.suffix.lower() in SUFFIXES and visible(path.name) for path in files):
        return _Copy(base, cropped, folders)
    return None


def _recordings(copy: _Copy, lights: Collection[str]) -> tuple[dict[Key, Recording], list[Dropped]]:
    """All frames in some lights by recording, and what else lies between them."""
    recordings: dict[Key, Recording] = defaultdict(lambda: {modality: [] for modality in FOLDERS})
    dropped: list[Dropped] = []
    seen: set[tuple[Modality, Key, int]] = set()
    for modality, light, folder in copy.folders:
        paths, others = images_below(copy.base, folder) if light in lights else ([], [])
        dropped += others
        for path in paths:
            parts = path.parts[len(folder.parts) :]
            file = "/".join((*path.parts[len(copy.base.parts) : len(folder.parts)], *parts))
            if reason := _misplaced(parts):
                dropped.append(Dropped(file, reason))
                continue
            key, number = Key(light, parts[0].upper(), canonical(parts[1]) or ""), int(parts[2].partition(".")[0])
            if (modality, key, number) in seen:
                dropped.append(Dropped(file, "its sequence has a frame of this number already"))
                continue
            seen.add((modality, key, number))
            recordings[key][modality].append(Frame(number, file))
    for recording in recordings.values():
        for frames in recording.values():
            frames.sort()
    return dict(recordings), dropped


def _misplaced(parts: Sequence[str]) -> str:
    """Why a path below the folder of a light is no frame; "" where it is one."""
    if len(parts) != 3:
        return "not at Pnnn/<Expression>/<frame>"
    if not re.fullmatch(r"P\d{3}", parts[0], re.ASCII | re.IGNORECASE):
        return f"folder {parts[0]!r} is no subject such as P001"
    if canonical(parts[1]) not in EXPRESSIONS:
        return f"folder {parts[1]!r} is none of {', '.join(EXPRESSIONS)}"
    stem, _, ending = parts[2].partition(".")
    return (
        "" if stem.isascii() and stem.isdecimal() and "." not in ending else "not the name of a frame such as 000.jpeg"
    )


def _is_file(base: Path, file: str) -> bool:
    return (base / inside(base, file)).is_file()


def _numbers(recording: Recording) -> tuple[list[int], list[int]]:
    vis, nir = ([frame.number for frame in recording[modality]] for modality in FOLDERS)
    return vis, nir


def _against_published(where: str, found: Mapping[str, list[Frame]], frames: int | None) -> Iterator[Finding]:
    """The sequences of one modality in one light against a whole copy, whose frames are None where unknown."""
    total = sum(map(len, found.values()))
    counts = [
        ("subjects", len({take.partition("/")[0] for take in found}), len(SUBJECTS)),
        ("sequences", len(found), SEQUENCES),
        ("frames", total, total if frames is None else frames),
    ]
    text = ", ".join(f"{n} {what}{'' if n == whole else f' (published: {whole})'}" for what, n, whole in counts)
    yield Finding(f"{where}: {text}", any(n < ENOUGH * whole for _, n, whole in counts))
    whole = [Key("", subject, expression).take for subject in SUBJECTS for expression in EXPRESSIONS]
    odd = {
        "missing": [take for take in whole if found and take not in found],
        f"of fewer than {SHORTEST} frames": [take for take, f in found.items() if len(f) < SHORTEST],
        "not numbered 0, 1, 2 …": [t for t, f in found.items() if [e.number for e in f] != list(range(len(f)))],
    }
    for what, takes in odd.items():
        if takes:
            yield Finding(f"{where}: {len(takes)} sequences {what}: {sequences.some(takes)}")


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [OuluCasia()]
