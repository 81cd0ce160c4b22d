"""Where weight files made by others are looked for. Nothing is downloaded here.

A file counts as found only if its SHA-256 is the expected one, in whatever place it lies: a path that is given, the
directory in NFERBENCH_WEIGHTS, the torch hub cache, our own cache, an installed package that carries it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from nferbench.contract.errors import UsageError, unknown
from nferbench.weights.known import KNOWN, WeightFile


@dataclass(frozen=True)
class Found:
    """Weights whose checksum is right."""

    file: WeightFile
    path: Path
    where: str  # "given", "NFERBENCH_WEIGHTS", "torch hub", "nferbench cache" or "package <name>"
    sha256: str  # of the whole file, as it was just read


@dataclass(frozen=True)
class Missing:
    """Weights that are nowhere."""

    file: WeightFile
    looked: str  # where it was looked for, and what lies there instead

    @property
    def reason(self) -> str:
        """One line: what, where it was looked for, the command that gets it."""
        return f"weights '{self.file.name}' are missing: {self.looked}; get them with: {self.file.how_to_get}"


def inventory() -> list[Found | Missing]:
    """Every set of weights that anything here can use, found or missing."""
    return [find(file.name) for file in KNOWN]


def find(name: str, given: Path | None = None) -> Found | Missing:
    """Look for weights by name, without torch.

    Args:
        name: a name of the inventory, such as "alexnet".
        given: a file or a directory named by the user; when given, nowhere else is searched.

    Raises:
        UsageError: no weights of that name are known.
    """
    by_name = {file.name: file for file in KNOWN}
    if name not in by_name:
        raise unknown("weights", name, by_name, "nferbench weights")
    file = by_name[name]
    places = [("given", given)] if given else list(_places(file))
    wrong: list[str] = []
    for where, place in places:
        try:
            for path, expected in _candidates(file, place):
                stat = path.stat()
                digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
                if any(digest.startswith(prefix) for prefix in expected):
                    return Found(file, path, where, digest)
                wrong.append(f"{path} has another SHA-256 ({digest[:8]}...)")
        except OSError as error:
            wrong.append(f"{place} cannot be read ({error.strerror})")
    looked = "; ".join(wrong) or f"no {file.files[0][0]} in {', '.join(str(place) for _, place in places)}"
    return Missing(file, looked)


def require(name: str, given: Path | None = None) -> Found:
    """`find`, where going on without the weights is no option.

    Raises:
        UsageError: the weights are nowhere, or none of that name are known.
    """
    result = find(name, given)
    if isinstance(result, Missing):
        raise UsageError(result.reason)
    return result


def hub_directory() -> Path:
    """Where torch.hub keeps checkpoints, found without torch."""
    if home := os.environ.get("TORCH_HOME"):
        return expanded(home) / "hub" / "checkpoints"
    return _cache_home() / "torch" / "hub" / "checkpoints"


def cache_directory() -> Path:
    """Where converted and downloaded weights are kept: ``nferbench`` under XDG_CACHE_HOME or ~/.cache."""
    return _cache_home() / "nferbench"


def _places(file: WeightFile) -> Iterator[tuple[str, Path]]:
    if own := os.environ.get("NFERBENCH_WEIGHTS"):
        yield "NFERBENCH_WEIGHTS", expanded(own)
    yield "torch hub", hub_directory()
    yield "nferbench cache", cache_directory()
    name, _, folder = file.package.partition("/")
    spec = find_spec(name) if name else None  # a top-level name is located without being imported
    for root in (spec and spec.submodule_search_locations) or ():
        yield f"package {name}", Path(root) / folder


def _candidates(file: WeightFile, place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Files that may be the weights, each with the checksums it may have."""
    if place.is_file():
        yield place, [prefix for _, prefix in file.files]
    for name, prefix in file.files:
        if (path := place / name).is_file():
            yield path, [prefix]


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """The checksum of a file; its size and time are part of the question, so that a new file is read anew."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def expanded(path: str) -> Path:
    """A path whose ~ is the home directory; for a user without one, as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _cache_home() -> Path:
    """Where caches are kept; below the temporary directory for a user without a home, as in some containers."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return Path(tempfile.gettempdir(), f"nferbench-{os.getuid()}")
