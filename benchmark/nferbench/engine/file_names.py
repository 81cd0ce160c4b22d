"""Names of files for faces: readable, taken by every file system, and no two alike where case does not count."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from hashlib import sha256
from pathlib import PurePosixPath

from nferbench.datasets.images import SUFFIXES

ENDING = ".png"
LONGEST = 100  # bytes of a part of a name; file systems take 255
MARK = 12  # digits that tell names apart which would be alike

# What Windows takes for a device, whatever its ending.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


def file_names(ids: Collection[str]) -> dict[str, str]:
    """A relative path (POSIX) that ends in .png for each id; the parts of an id that "/" divides become folders.

    Letters, digits and "._+-" stay, all else becomes a dash, and the ending of an image file goes. Where names would
    be alike but for case or the form of their letters, each gets digits that follow from its id.

    >>> file_names(["P1/a b.jpg", "p1/A-b.tif", "P1/c"])["P1/c"]
    'P1/c.png'
    """
    plain = {name: _path(name) for name in ids}
    counts = Counter(map(_alike, plain.values()))
    return {name: path if counts[_alike(path)] == 1 else _marked(path, name) for name, path in plain.items()}


def _path(name: str) -> str:
    *folders, last = name.replace("\\", "/").split("/")
    if PurePosixPath(last).suffix.lower() in SUFFIXES:
        last = last[: last.rindex(".")]
    parts = [_part(part) for part in folders if part.strip(". ")]
    # A folder must not have the name of a picture beside it.
    return "/".join([*(f"{part}_" if part.lower().endswith(ENDING) else part for part in parts), _part(last) + ENDING])


def _part(text: str) -> str:
    text = re.sub(r"[^\w.+-]+", "-", unicodedata.normalize("NFC", text)).strip(".-")
    text = text.encode()[:LONGEST].decode(errors="ignore").rstrip(".") or "unnamed"
    return f"_{text}" if _DEVICES.match(text) else text


def _marked(path: str, name: str) -> str:
    mark = sha256(name.encode(errors="surrogateescape")).hexdigest()[:MARK]
    return f"{path.removesuffix(ENDING)}-{mark}{ENDING}"


def _alike(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold()
