"""The image files of a folder tree as people's copies have them: with clutter, odd endings, links that lead away."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nferbench.datasets.base import Dropped
from nferbench.datasets.images import SUFFIXES

CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # what file managers leave behind
_MACOS = "__MACOSX"  # what zip files of macOS add: a tree of the same form, with a small "._000.jpeg" for each file


def images_below(root: Path, folder: Path) -> tuple[list[Path], list[Dropped]]:
    """All image files below a folder, in natural order (frame 9 before frame 10), and what else lies there.

    What is not `visible` is passed over in silence. A link is followed unless it leads out of the root.

    Args:
        root: the data root, which no file may leave.
        folder: a folder at or below the root.

    Returns:
        Paths below `folder`; and, named relative to `root`, the files that are no images or lie elsewhere.
    """
    found: list[Path] = []
    dropped: list[Dropped] = []
    outer = root.resolve()
    visited: set[Path] = set()

    def visit(place: Path) -> None:
        real = place.resolve()
        if real in visited:
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
            if entry.is_symlink() and not path.resolve().is_relative_to(outer):
                dropped.append(Dropped(name, "a link out of the data root"))
            elif entry.is_dir():
                visit(path)
            elif path.suffix.lower() in SUFFIXES:
                if path.is_file():
                    found.append(path)
                else:
                    dropped.append(Dropped(name, "not a file, or a link to nothing"))
            elif entry.name.casefold() in CLUTTER:
                dropped.append(Dropped(name, "left behind by a file manager"))
            else:
                dropped.append(Dropped(name, "not the name of an image file"))

    if folder.resolve().is_relative_to(outer):
        visit(folder)
    else:
        dropped.append(Dropped(folder.relative_to(root).as_posix(), "a link out of the data root"))
    return found, dropped


def folders_in(root: Path, folder: Path) -> list[Path]:
    """The folders in a folder, in natural order, without links out of the root and what is not `visible`."""
    outer = root.resolve()
    try:
        children = [path for path in folder.iterdir() if visible(path.name) and path.is_dir()]
    except OSError:  # not ours to read
        return []
    return sorted(
        (child for child in children if child.resolve().is_relative_to(outer)), key=lambda child: natural(child.name)
    )


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
