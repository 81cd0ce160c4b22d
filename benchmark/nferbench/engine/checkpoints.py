"""The state of a training on disk, with the SHA-256 by which it is known again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, final

import torch

from nferbench.contract.errors import DataError
from nferbench.workspace.files import sha256
from nferbench.workspace.unfinished import Mark, Unfinished


def write_checkpoint(unfinished: Unfinished, done: int, state: Mapping[str, Any]) -> None:
    """Write a checkpoint beside the last one, put its mark in place of that one's, and remove that one.

    Args:
        unfinished: of the training.
        done: updates so far.
        state: nested dicts and lists of tensors and plain values.

    Raises:
        OSError: it cannot be written; the last one is still there.
    """
    path = unfinished.folder / f"checkpoint-{done}.pt"
    try:
        with path.open("wb") as file:
            hashed = _Hashed(file)
            try:
                torch.save(dict(state), hashed)  # type: ignore[arg-type]
            except RuntimeError:  # torch's own wording for a write that failed
                if hashed.failed is None:
                    raise
                raise hashed.failed from None
            file.flush()
            os.fsync(file.fileno())
        unfinished.write(Mark(done, hashed.digest.hexdigest(), path.name))
    except Exception:  # half a checkpoint only takes room that is lacking
        path.unlink(missing_ok=True)
        raise
    for other in unfinished.folder.glob("checkpoint-*.pt"):
        if other != path:
            other.unlink()


def read_checkpoint(unfinished: Unfinished, device: torch.device) -> tuple[int, dict[str, Any]] | None:
    """How many updates a training has had, and its state on a device; None where there is no checkpoint.

    Raises:
        DataError: it is not what was written, or that of another stage or of other code.
    """
    mark = unfinished.mark()
    if mark is None:
        if any(unfinished.folder.glob("checkpoint*.pt")):
            raise DataError("it has no checksum")
        return None
    path = unfinished.folder / mark.file
    try:
        if sha256(path) != mark.sha256:
            raise DataError(f"{path} has changed since it was written")
        state = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    if not isinstance(state, dict):
        raise DataError(f"{path} holds no state of a training")
    return mark.done, state


@final
class _Hashed:
    """A file that is written once from front to back, hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.failed: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.failed = error
            raise

    def flush(self) -> None:
        self._file.flush()
