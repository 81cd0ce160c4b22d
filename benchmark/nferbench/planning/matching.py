"""Which file of a folder holds the image of which face, told by names and never guessed."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import final

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.contract.printable import SHOWN, first_of, one_line
from nferbench.datasets.given import FORMATS, READ
from nferbench.datasets.images import SUFFIXES


@final
@dataclass(frozen=True)
class _Rule:
    """One way in which files are named after faces."""

    title: str
    face: Callable[[Face], set[str]]  # what a file of this face may be called
    file: Callable[[str], str]  # what a file is called, without its ending


@final
@dataclass(frozen=True)
class _Attempt:
    """What comes of a rule."""

    rule: _Rule
    files: Mapping[str, Sequence[str]]  # all files of each wanted face, by its id
    faces: Mapping[str, Sequence[str]]  # ids of all faces of each file

    @property
    def fits(self) -> bool:
        """Whether each wanted face has one file, which is no other face's."""
        return all(len(files) == 1 and len(self.faces[files[0]]) == 1 for files in self.files.values())

    @property
    def found(self) -> int:
        """How many wanted faces have a file."""
        return sum(bool(files) for files in self.files.values())


def match(files: Sequence[str], wanted: Collection[Face], known: Collection[Face]) -> dict[str, str]:
    """The file of each face.

    One rule holds for all files: they are called after the ids of the faces; after the paths of their images in the
    data set; after those paths below the folder that all faces share; after the ids written as one word, whatever signs
    stand for those that a file name cannot have; or after the last parts of the paths. The first rule counts by which
    each face has one file, and each of these files one face. Names are compared without the ending of an image, with
    case, and with accents composed (NFC).

    Args:
        files: paths of images below a folder, in POSIX form.
        wanted: the faces that need an image, as they are listed.
        known: all faces that a file might mean, the wanted ones among them.

    Returns:
        The files by the ids of the faces.

    Raises:
        DataError: no rule fits; the message lists faces without a file, or with several, and files of several faces. Or
            two rules fit and mean different files.
    """
    attempts = [_attempt(rule, files, wanted, known) for rule in _rules(known)]
    fitting = [attempt for attempt in attempts if attempt.fits]
    if not fitting:
        raise DataError(_why_not(max(attempts, key=lambda attempt: attempt.found), len(wanted), files))
    first, *others = fitting
    for other in others:
        if apart := [face for face, files in first.files.items() if files != other.files[face]]:
            one, two = first.files[apart[0]][0], other.files[apart[0]][0]
            raise DataError(
                f"{len(apart)} of {len(wanted)} faces have two images: of {one_line(apart[0])} {one_line(one)} by "
                f"{first.rule.title}, {one_line(two)} by {other.rule.title}; name all images by the ids of the faces"
            )
    return {face: found[0] for face, found in first.files.items()}


def alike(files: Sequence[str]) -> dict[str, list[str]]:
    """Files by what they are called, with their folders, without their endings, and with accents composed."""
    named: dict[str, list[str]] = defaultdict(list)
    for file in files:
        named[_without_ending(file)].append(file)
    return dict(named)


def _rules(known: Collection[Face]) -> list[_Rule]:
    paths = [face.files[0] for face in known if face.files]
    shared = posixpath.commonpath([str(PurePosixPath(path).parent) for path in paths]) if paths else ""

    def path(face: Face) -> set[str]:
        return {_bare(each) for each in face.files[:1]}

    def below(face: Face) -> set[str]:
        return {_bare(PurePosixPath(each).relative_to(shared).as_posix()) for each in face.files[:1]}

    def last(face: Face) -> set[str]:
        return {PurePosixPath(each).name for each in (path(face) or _ids(face))}

    return [
        _Rule("id", _ids, _without_ending),
        _Rule("path", path, _without_ending),
        _Rule(f"path below {shared}", below, _without_ending),
        _Rule("id as one word", lambda face: {_word(each) for each in _ids(face)}, lambda file: _word(_name(file))),
        _Rule("last part of the path", last, _name),
    ]


def _attempt(rule: _Rule, files: Sequence[str], wanted: Collection[Face], known: Collection[Face]) -> _Attempt:
    meant: dict[str, list[str]] = defaultdict(list)
    for face in known:
        for name in rule.face(face):
            meant[name].append(face.id)
    faces = {file: meant.get(rule.file(file), []) for file in files}
    found: dict[str, list[str]] = {face.id: [] for face in wanted}
    for file, ids in faces.items():
        for each in ids:
            if each in found:
                found[each].append(file)
    return _Attempt(rule, found, faces)


def _why_not(best: _Attempt, count: int, files: Sequence[str]) -> str:
    """What keeps the rule that comes nearest from fitting."""
    without = [face for face, found in best.files.items() if not found]
    several = [f"{face} ({', '.join(found)})" for face, found in best.files.items() if len(found) > 1]
    used = {file for found in best.files.values() for file in found}
    meant = {file: best.faces[file] for file in files if file in used and len(best.faces[file]) > 1}
    shared = [f"{file} ({', '.join(faces[:SHOWN])})" for file, faces in meant.items()]
    said = [
        f"{len(without)} of {count} faces have no image: {first_of(without)}" if without else "",
        f"{len(several)} of {count} faces have several: {first_of(several)}" if several else "",
        f"{len(shared)} of {len(files)} images stand for several faces: {first_of(shared)}" if shared else "",
    ]
    written = {_name(file) for file in files}
    missing = {PurePosixPath(_bare(face)).name for face in without} - written
    alike = {name.casefold() for name in missing} & {name.casefold() for name in written}
    case = " (some names differ in case alone)" if alike else ""
    return (
        "; ".join(filter(None, said)) + f"{case}; name each image after the id of its face, or after the path of its "
        f"VIS file, one rule for all ({READ})"
    )


def _ids(face: Face) -> set[str]:
    """An id as it is, and without the ending of an image where it has one."""
    return {_composed(face.id), _bare(face.id)}


def _bare(path: str) -> str:
    """A path of a face without the ending of an image."""
    stem, dot, ending = path.rpartition(".")
    return _composed(stem if stem and f"{dot}{ending}".lower() in {*SUFFIXES, *FORMATS} else path)


def _without_ending(file: str) -> str:
    return _composed(file.rpartition(".")[0])


def _name(file: str) -> str:
    """What a file is called, without its folder and its ending."""
    return PurePosixPath(_without_ending(file)).name


def _word(text: str) -> str:
    """A text as one word: letters and digits, with a dash for all between them."""
    return re.sub(r"[\W_]+", "-", text).strip("-")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
