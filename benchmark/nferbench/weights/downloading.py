"""How weight files are downloaded: asked for by name, by `nferbench weights get` alone. Nothing else imports this.

A file is gathered aside, where the next call goes on with it after a cut or a kill, and gets its name once its SHA-256
is the known one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from io import BufferedRandom
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.weights.known import WeightFile
from nferbench.weights.searching import cache_directory

PIECE = 1 << 20  # bytes
SILENCE = 30.0  # seconds without a byte after which a server is given up

Progress = Callable[[int, int | None], None]  # bytes that are there, and of how many where the server says so


class DownloadError(NferbenchError):
    """No network, a cut connection, or content that is not the known file."""


def download(file: WeightFile, progress: Progress) -> Path:
    """Get the first form of some weights into our cache, where the search looks.

    Args:
        file: weights that have an address.
        progress: told after each piece.

    Returns:
        The path of the whole file.

    Raises:
        UsageError: the cache cannot be written.
        DownloadError: there is no network, the connection was cut, another process is at it, or something else came.
            After a cut the next call goes on; of something else nothing is kept.
    """
    name, known = file.files[0]
    folder = cache_directory()
    part = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as stream:
            _claim(part, stream)
            try:
                digest = _gathered(file, stream, progress)
                if not digest.startswith(known):
                    stream.truncate(0)
                    raise DownloadError(
                        f"weights '{file.name}': what came from {file.url} has SHA-256 {digest}, which does not begin "
                        f"with {known}; nothing was kept; try again, or put {name} into {folder}"
                    )
                os.fsync(stream.fileno())
                part.replace(folder / name)
            finally:
                if not stream.seek(0, os.SEEK_END):
                    part.unlink()
    except OSError as error:
        raise UsageError(
            f"weights '{file.name}' cannot be written to {folder} ({error.strerror or error}); make that possible, or "
            "set XDG_CACHE_HOME to another folder"
        ) from None
    return folder / name


def _claim(part: Path, stream: BufferedRandom) -> None:
    """Keep others from writing this file; the system ends the claim with its process."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = part.exists() and part.stat().st_ino == os.fstat(stream.fileno()).st_ino  # else it has its name by now
    except BlockingIOError:
        mine = False
    if not mine:
        raise DownloadError(f"another process is downloading {part}; wait for it, then try again")


def _gathered(file: WeightFile, stream: BufferedRandom, progress: Progress) -> str:
    """Bring a file to its end, from where an earlier call left it; the SHA-256 of the whole."""
    left = stream.seek(0, os.SEEK_END)
    _append(file, stream, left, progress)
    if left and not _digest(stream).startswith(file.files[0][1]):  # what was left may be damaged
        stream.truncate(0)
        _append(file, stream, 0, progress)
    return _digest(stream)


def _append(file: WeightFile, stream: BufferedRandom, start: int, progress: Progress) -> None:
    """Append what the server has from byte `start` on; all of it where the server cannot leave out what is there."""
    asked = Request(file.url, headers={"User-Agent": "nferbench", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        with _network(file):
            answer = urlopen(asked, timeout=SILENCE)
    except _NothingLeft:
        return
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            stream.truncate(0)
            start = 0
        length = answer.headers.get("Content-Length")
        done, total = start, start + int(length) if length else None
        while True:
            with _network(file):
                piece = answer.read(PIECE)
            if not piece:
                break
            stream.write(piece)
            done += len(piece)
            progress(done, total)
    if total is not None and done < total:
        raise DownloadError(
            f"weights '{file.name}': the connection was cut after {done:,} of {total:,} bytes; start the same command "
            "again to go on from there"
        )


class _NothingLeft(Exception):
    """The server has no bytes after those that are here."""


@contextmanager
def _network(file: WeightFile) -> Iterator[None]:
    """Tell errors of the network apart from those of the disk, which are OSErrors too."""
    try:
        yield
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError) and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _NothingLeft from None
        reason = str(error) or type(error).__name__
        raise DownloadError(
            f"weights '{file.name}' could not be downloaded from {file.url} ({reason}); try again with a network, or "
            f"put {file.files[0][0]} into {cache_directory()}"
        ) from None


def _digest(stream: BufferedRandom) -> str:
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()
