"""The image files of a folder tree as people's copies have them: with clutter, odd endings, links that lead away."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection
from pathlib import Path

from nferbench.contract.dataset import Dropped
from nferbench.contract.errors import UsageError
from nferbench.datasets.images import SUFFIXES

CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # what file managers leave behind
DEEPEST = 4  # how far below the data root a copy is looked for
_MACOS = "__MACOSX"  # what zip files of macOS add: a tree of the same form, with a small "._000.jpeg" for each file


def images_below(root: Path, folder: Path) -> tuple[list[Path], list[Dropped]]:
    """All image files below a folder, in natural order (frame 9 before frame 10), and what else lies there.

    What is not `visible` is passed over in silence. A link is followed unless it leads out of the root or to a folder
    that was read already. Nothing is opened, so a pipe or a file without permission does no harm.

    Args:
        root: the data root, which no file may leave.
        folder: a folder at or below the root.

    Returns:
        Paths below `folder`; and, named relative to `root`, the files that are no images or lie elsewhere.
    """
    found: list[Path] = []
    dropped: list[Dropped] = []
    visited: set[Path] = set()

    def visit(place: Path) -> None:
        real = _real(place)
        if real in visited:
            dropped.append(Dropped(place.relative_to(root).as_posix(), "a folder that was read by another name"))
            return
        visited.add(real)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: natural(entry.name))
        except OSError as error:
            dropped.append(Dropped(place.relative_to(root).as_posix(), f"cannot be read ({error.strerror})"))
            return
        for entry in entries:
            path = place / entry.name
            if not visible(entry.name):
                continue
            name = path.relative_to(root).as_posix()
            kind = _kind(entry)
            if fault := name_fault(entry.name):
                dropped.append(Dropped(name, fault))
            elif entry.is_symlink() and not _real(path).is_relative_to(outer):
                dropped.append(Dropped(name, "a link out of the data root"))
            elif kind == "folder" and path.suffix.lower() not in SUFFIXES:
                visit(path)
            elif kind == "folder":
                dropped.append(Dropped(name, "a folder with the name of an image file"))
            elif path.suffix.lower() in SUFFIXES:
                if kind == "file":
                    found.append(path)
                else:
                    dropped.append(Dropped(name, "not a file, or a link to nothing"))
            elif entry.name.casefold() in CLUTTER:
                dropped.append(Dropped(name, "left behind by a file manager"))
            else:
                dropped.append(Dropped(name, "not the name of an image file"))

    outer = _real(root)
    if _real(folder).is_relative_to(outer):
        visit(folder)
    else:
        dropped.append(Dropped(folder.relative_to(root).as_posix(), "a link out of the data root"))
    return found, dropped


def folders_in(root: Path, folder: Path) -> list[Path]:
    """The folders in a folder, in natural order.

    Without what is not `visible`, names with a `name_fault`, and links out of the root.
    """
    outer = _real(root)
    try:
        children = [path for path in folder.iterdir() if visible(path.name) and path.is_dir()]
    except OSError:  # not ours to read
        return []
    usable = (child for child in children if not name_fault(child.name) and _real(child).is_relative_to(outer))
    return sorted(usable, key=lambda child: natural(child.name))


def required_root(name: str, root: Path | None, holding: str) -> Path:
    """The data root, for a data set that is nothing without one.

    Args:
        name: of the data set, for the message.
        root: the data root, if one was given.
        holding: what the folder holds, for the message.

    Raises:
        UsageError: none was given.
    """
    if root is None:
        raise UsageError(f"data set '{name}' needs the folder that holds {holding}; give --data-root")
    return root


def only_copy(
    name: str,
    root: Path,
    is_copy: Callable[[Path], bool],
    *,
    marked: str,
    holding: str,
    passed_over: Collection[str] = (),
) -> Path:
    """The folder of a data set: the data root or the only one at the first level below it that looks like a copy.

    Args:
        name: of the data set, for messages.
        root: the data root.
        is_copy: whether a folder looks like one.
        marked: what a copy is known by, for the message.
        holding: what the data root should hold, for the message.
        passed_over: folders that are not looked into, by their casefolded name.

    Raises:
        UsageError: there is none, or several at one level.
    """
    level = [root]
    for _ in range(DEEPEST + 1):
        found = [folder for folder in level if is_copy(folder)]
        if len({folder.resolve() for folder in found}) > 1:
            both = " and ".join(map(str, found))
            raise UsageError(f"data set '{name}': {both} each look like a copy; give one of them as --data-root")
        if found:
            return found[0]
        children = (child for folder in level for child in folders_in(root, folder))
        level = [child for child in children if child.name.casefold() not in passed_over]
    raise UsageError(
        f"data set '{name}': nothing up to {DEEPEST} levels below {root} holds {marked}; "
        f"give the folder that holds {holding}"
    )


def name_fault(name: str) -> str:
    """Why a file of this name, or under a folder of this name, is no face; "" where the name is fine.

    Names end up in CSV and JSON files and on terminals, for which spaces, quotes, commas and all letters are fine.
    """
    if not name.isprintable():
        if any("\udc80" <= character <= "\udcff" for character in name):
            return "its name is not UTF-8; rename it"
        if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
            return "its name holds a line break or another control character; rename it"
    return ""


def _real(path: Path) -> Path:
    """As `Path.resolve`, which raises where links lead in a circle."""
    return Path(os.path.realpath(path))


def _kind(entry: os.DirEntry[str]) -> str:
    """What an entry of a folder is, or leads to where it is a link: "file", "folder" or "" for all else."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:  # links in a circle, or through a folder that is not ours to read
        return ""


def visible(name: str) -> bool:
    """Whether a file or folder of this name, or everything on this path below the data root, may hold data.

    Hidden names (".DS_Store", "._000.jpeg") and what zip files of macOS add do not.

    >>> visible("NI/Strong/P001"), visible("__MACOSX/NI"), visible("NI/._Strong")
    (True, False, False)
    """
    return not any(part.startswith(".") or part == _MACOS for part in name.split("/"))


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sorting key that compares runs of digits as numbers: "P9" comes before "P10"; "01" and "1" stay apart."""
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
    return parts, name
