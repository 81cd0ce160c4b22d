"""The fingerprint of a data set: one hash over what its faces are called and what their files contain."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError

# Size in bytes, times of modification and of change in ns, inode; anybody may set the first two of a replaced file.
State = tuple[int, int, int, int]
Entry = tuple[State, str]  # and the SHA-256 of the content

_UNREADABLE = (errno.EACCES, errno.EPERM, errno.EIO)  # a matter of one file: no permission, or a bad spot of the disk
_FORMAT = 1  # raise it when the same data shall get another fingerprint


def fingerprint(listing: Listing, root: Path | None, cache: Path | None, *, sequences: bool = False) -> str:
    """Hash a listing and the contents of all its files; the place of the files does not enter.

    A file that must not or cannot be read counts as one without content and is tried again the next time; whoever
    decodes it leaves it out.

    Args:
        listing: the usable faces.
        root: the folder that `Face.files` are relative to; None only for drawn faces, which have no files.
        cache: a JSON file that remembers hashes of contents by path and `State`, so that an unchanged data set is not
            read again; a missing or damaged one is made anew. Any number of data sets may share it. None keeps none.
        sequences: whether it matters which sequence a face belongs to.

    Returns:
        64 hexadecimal digits (SHA-256).

    Raises:
        DataError: a file of the listing is not there.
    """
    files = sorted({file for face in listing.faces for file in face.files})
    known = contents(files, root, cache)
    digest = hashlib.sha256(f"{_FORMAT} {listing.landmarks}\n".encode())
    for face in sorted(listing.faces, key=lambda face: face.id):
        fields = {name: value for name, value in asdict(face).items() if sequences or name != "sequence"}
        record = [fields, [known[file] for file in face.files]]
        digest.update(json.dumps(record, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def contents(files: Sequence[str], root: Path | None, cache: Path | None) -> dict[str, str]:
    """The SHA-256 of each file, taken from the cache where its state has not changed; "" where it is unreadable.

    Raises:
        DataError: a file is not there.
    """
    if not files:
        return {}
    if root is None:
        raise DataError(f"{files[0]}: no folder was given to look for it in; give --data-root")
    known = _read_cache(cache)
    entries: dict[str, Entry] = {}
    stale: list[str] = []
    paths = {file: root.absolute() / file for file in files}
    for file, path in paths.items():
        state = _state(path)
        before, content = known.get(str(path), (None, ""))
        entries[file] = (state, content)
        if before != state:
            stale.append(file)
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock; remote disks gain most
        for file, content in zip(stale, pool.map(lambda file: _hash(paths[file]), stale), strict=True):
            entries[file] = (entries[file][0], content)
    if stale and cache is not None:
        _write_cache(cache, known | {str(paths[file]): entry for file, entry in entries.items() if entry[1]})
    return {file: content for file, (_, content) in entries.items()}


def _state(path: Path) -> State:
    """What tells one state of a file from another; zeros where the file is unreadable."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in _UNREADABLE:
            return 0, 0, 0, 0
        raise DataError(f"{path}: {error.strerror}") from None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _hash(path: Path) -> str:
    """The SHA-256 of a file; "" where it is unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if error.errno in _UNREADABLE:
            return ""
        raise DataError(f"{path}: {error.strerror}") from None


def _read_cache(cache: Path | None) -> dict[str, Entry]:
    """The entries of a cache that have the right form; without what is damaged or older it is slower, never wrong."""
    if cache is None:
        return {}
    try:
        stored = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    entries = stored.items() if isinstance(stored, dict) else ()
    return {
        file: ((state[0], state[1], state[2], state[3]), content)
        for file, (*state, content) in ((f, e) for f, e in entries if isinstance(e, list) and len(e) == 5)
        if all(isinstance(each, int) for each in state) and isinstance(content, str) and len(content) == 64
    }


def _write_cache(cache: Path, entries: dict[str, Entry]) -> None:
    """Write aside and rename, so that a reader never sees half a cache; a folder that is read-only goes without."""
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=cache.parent, prefix=cache.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({path: [*state, content] for path, (state, content) in entries.items()}, file)
            Path(name).replace(cache)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
