"""Unfinished work: how far an attempt at a stage came, and whether what it left can be gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError
from nferbench.workspace.files import read_json, set_aside, write_json

MARK = "checkpoint.json"


@final
@dataclass(frozen=True)
class Mark:
    """How far an attempt came."""

    done: int  # updates, or images
    sha256: str  # of what must be there to go on: a checkpoint file, or the images so far and the file after them
    file: str = ""  # the checkpoint file, or the pushes of the first images; "" where there is none


@final
@dataclass(frozen=True)
class Unfinished:
    """The directory in which a stage is being filled. A mark names the stage, so that it serves no other."""

    folder: Path
    key: str  # of the stage
    code: str  # what an attempt must have been begun by to be gone on with; "" where all of the code is ours
    aside: Path  # where what cannot be used is kept

    def mark(self) -> Mark | None:
        """What the last attempt left; None where there was none.

        Raises:
            DataError: it is that of another stage or of other code, or no mark at all.
        """
        path = self.folder / MARK
        try:
            found = read_json(path)
        except FileNotFoundError:
            return None
        if found.get("key") != self.key:
            raise DataError(f"{path} belongs to another stage")
        if found.get("code") != self.code:
            raise DataError("it was begun by other code")
        mark = Mark(*(found.get(name) for name in ("done", "sha256", "file")))  # type: ignore[arg-type]
        whole = type(mark.done) is int and mark.done >= 0 and isinstance(mark.sha256, str)
        if not whole or not isinstance(mark.file, str) or Path(mark.file).name != mark.file:
            raise DataError(f"{path} does not say how far the work is")
        return mark

    def write(self, mark: Mark) -> None:
        """Put a mark in the place of the last one, whole or not at all."""
        said = {"key": self.key, "code": self.code, "done": mark.done, "sha256": mark.sha256, "file": mark.file}
        write_json(self.folder / MARK, said)

    def put_aside(self) -> Path:
        """Empty the directory; return where its content is kept."""
        kept = set_aside(self.folder, self.aside)
        self.folder.mkdir()
        return kept
