"""Where finished work lies: one directory a stage, filled aside and renamed when whole.

<workspace>/<kind>/<label>-<key12>/     complete, described by its stage.json; what exists is complete
<workspace>/partial/<key>/              being filled; a training's checkpoint waits here
<workspace>/locks/<key>                 who is at work on it: host, process, heartbeat
<workspace>/failures/<key>.json         why the last attempt gave nothing
<workspace>/damaged/                    entries that did not hold what their stage.json says
<workspace>/records/                    which stages stand behind the rows of a table
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from nferbench.contract.errors import DataError, UsageError
from nferbench.workspace.files import file_name, sha256, write_json
from nferbench.workspace.locks import claim
from nferbench.workspace.stages import Stage, description, key, readable


@dataclass(frozen=True)
class Entry:
    """A complete stage in the store."""

    path: Path
    info: Mapping[str, Any]  # the content of stage.json


@final
class Store:
    """The results of one workspace. Opening it creates nothing."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def find(self, stage: Stage) -> Entry | None:
        """The complete entry of a stage, or None where there is none.

        Raises:
            DataError: an entry is there but is not what its stage.json says (a file missing or of another size), or it
                is that of another stage, such as one that was moved by hand.
        """
        path = self.path(stage)
        try:
            info = json.loads((path / "stage.json").read_text("utf-8"))
            sizes = {name: file["bytes"] for name, file in info["files"].items()}
            found_key = info["key"]
        except FileNotFoundError:
            if path.exists():
                raise DataError(f"{path} has no stage.json") from None
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path / 'stage.json'} cannot be read") from None
        if found_key != key(stage):
            raise DataError(f"{path} holds the results of another stage, {info.get('stage')}")
        for name, size in sizes.items():
            try:
                found = (path / name).stat().st_size
            except OSError:
                raise DataError(f"{path / name} is missing") from None
            if found != size:
                raise DataError(f"{path / name} has {found} bytes where {size} were written")
        return Entry(path, info)

    def path(self, stage: Stage) -> Path:
        """The directory of a stage, complete or not yet there. The label is for people; the key alone names it."""
        short = key(stage)[:12]
        folder = self.workspace / stage.kind
        present = next(folder.glob(f"*-{short}"), None) if folder.is_dir() else None
        return present or folder / f"{file_name(stage.label())}-{short}"

    def partial(self, stage: Stage) -> Path:
        """The directory in which a stage is being filled; made if it is not there."""
        path = self.workspace / "partial" / key(stage)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self, stage: Stage, result: Mapping[str, Any]) -> Entry:
        """Declare the partial directory of a stage whole and move it to its place.

        `checkpoint*` files are removed; every other file is listed in stage.json with its size and SHA-256.
        """
        partial = self.partial(stage)
        files = {
            file.relative_to(partial).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(partial.rglob("*"))
            if file.is_file() and file.name != "stage.json" and not file.name.startswith("checkpoint")
        }
        info = {
            "stage": readable(stage),
            "key": key(stage),
            "description": description(stage),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
            **result,
        }
        write_json(partial / "stage.json", info)
        return self._move(stage)

    def adopt(self, stage: Stage) -> Entry | None:
        """Finish a commit that was cut off: stage.json is written last, so a directory that has one is whole."""
        whole = (self.workspace / "partial" / key(stage) / "stage.json").exists()
        return self._move(stage) if whole else None

    def _move(self, stage: Stage) -> Entry:
        partial = self.partial(stage)
        for leftover in partial.glob("checkpoint*"):
            leftover.unlink()
        path = self.path(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(path)
        (self.workspace / "failures" / f"{key(stage)}.json").unlink(missing_ok=True)
        return Entry(path, json.loads((path / "stage.json").read_text("utf-8")))

    def set_aside(self, stage: Stage) -> Path:
        """Move a damaged entry out of the way, keeping it for inspection; return where it lies now."""
        path = self.path(stage)
        target = self.workspace / "damaged" / f"{path.name}-{int(time.time())}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        return target

    def fail(self, stage: Stage, status: str, reason: str) -> None:
        """Keep why an attempt at a stage gave nothing; its partial directory stays for the next attempt."""
        folder = self.workspace / "failures"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{key(stage)}.json", {"status": status, "reason": reason, "stage": readable(stage)})

    def discard(self, stage: Stage) -> None:
        """Throw the partial directory of a stage away, so that the next attempt starts anew."""
        shutil.rmtree(self.workspace / "partial" / key(stage), ignore_errors=True)

    def claim(self, stage: Stage) -> AbstractContextManager[None]:
        """Hold the lock of a stage while working on it.

        Raises:
            HeldError: another live process holds it.
        """
        return claim(self.workspace / "locks" / key(stage), readable(stage))

    def entries(self, kind: str) -> Iterator[Entry]:
        """All readable entries of a kind, newest first."""
        folder = self.workspace / kind
        found = []
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                found.append(Entry(path, json.loads((path / "stage.json").read_text("utf-8"))))
            except (OSError, ValueError):
                continue
        yield from sorted(found, key=lambda entry: str(entry.info.get("created")), reverse=True)


def verify(entry: Entry) -> None:
    """Read every file of an entry and compare it with its SHA-256.

    Raises:
        DataError: the content of a file has changed since it was written.
    """
    for name, file in entry.info["files"].items():
        if sha256(entry.path / name) != file["sha256"]:
            raise DataError(f"{entry.path / name} has changed since it was written")


def open_workspace(path: Path) -> Store:
    """A store that can be written to.

    Raises:
        UsageError: the path is a file, or cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"workspace {path} cannot be written ({error.strerror}); choose another: --workspace"
        ) from None
    return Store(path)
