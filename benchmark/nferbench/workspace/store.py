"""Where finished work lies: one directory a stage, filled aside and renamed when whole.

<workspace>/<kind>/<label>-<key12>/     complete, described by its stage.json; what exists is complete
<workspace>/partial/<key>.<token>/      being filled by the owner of that token, and by nobody else
<workspace>/partial/<key>/              given up half-way; a training's checkpoint waits here
<workspace>/locks/<key>/<token>         who is at work on it: host, process, heartbeat
<workspace>/failures/<key>.json         why the last attempt gave nothing
<workspace>/damaged/                    entries that did not hold what their stage.json says, unfinished work of no use
<workspace>/replaced/                   entries that were done again by wish
<workspace>/records/                    which stages stand behind the rows of a table
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.workspace.entries import DESCRIPTION, Entry, check, read_entry, verify
from nferbench.workspace.files import copy_in_place, file_name, read_json, set_aside, sha256, write_json
from nferbench.workspace.locks import Claim, claim, holder
from nferbench.workspace.owners import Owner, this_process
from nferbench.workspace.stages import KINDS, Stage, description, key, readable
from nferbench.workspace.unfinished import Unfinished

KEY_LETTERS = 12  # of a key, in the name of its directory
FOLDERS = (*KINDS, "partial", "locks", "failures", "damaged", "replaced", "records", "cache")


@final
class Store:
    """The results of one workspace. Opening it creates nothing."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._claims: dict[str, Claim] = {}  # those that are held through this object, by key
        self._listed: dict[str, tuple[int, Mapping[str, str]]] = {}  # names by kind, and when the folder changed

    def find(self, stage: Stage) -> Entry | None:
        """The complete entry of a stage, or None where there is none.

        Raises:
            DataError: an entry is there but is not what its stage.json says (see `nferbench.workspace.entries.check`),
                or it is that of another stage, such as one that was moved by hand.
        """
        try:
            entry = read_entry(self.path(stage))
        except FileNotFoundError:
            return None
        if entry.info["key"] != key(stage):
            raise DataError(f"{entry.path} holds the results of another stage, {one_line(entry.info['stage'])}")
        check(entry)
        return entry

    def path(self, stage: Stage) -> Path:
        """The directory of a stage, complete or not yet there. The label is for people; the key alone names it."""
        short = key(stage)[:KEY_LETTERS]
        usual = self.workspace / stage.kind / f"{file_name(stage.label())}-{short}"
        if usual.exists():
            return usual
        other = usual.with_name(self._names(stage.kind).get(short, usual.name))
        return other if other.exists() else usual

    def _names(self, kind: str) -> Mapping[str, str]:
        """What lies where the entries of a kind lie, by the end of its name; read anew when the folder has changed.

        An entry that was made in the very moment of reading may be missed. That matters only where its label is not
        that of its stage, and so for none that this version makes.
        """
        folder = self.workspace / kind
        changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if kind not in self._listed or self._listed[kind][0] != changed:
            names = os.listdir(folder) if changed else ()  # noqa: PTH208  # thousands, for each stage that is done
            self._listed[kind] = (changed, {name[-KEY_LETTERS:]: name for name in names})
        return self._listed[kind][1]

    def partial(self, stage: Stage) -> Path:
        """The directory in which a stage is being filled.

        That of a claimed stage is made by `claim` and never again: a run that lost its lock has none to write to. Any
        other is made if it is not there.
        """
        path = self._partial(stage)
        if key(stage) in self._claims:
            return path
        if path.exists() and not path.is_dir():
            set_aside(path, self.workspace / "damaged")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def unfinished(self, stage: Stage, code: str) -> Unfinished:
        """What an earlier attempt at a stage left, for attempts by the same code (see `Unfinished.code`)."""
        return Unfinished(self.partial(stage), key(stage), code, self.workspace / "damaged")

    def _partial(self, stage: Stage) -> Path:
        mine = self._claims.get(key(stage))
        return self.workspace / "partial" / (f"{key(stage)}.{mine.token}" if mine else key(stage))

    def commit(self, stage: Stage, result: Mapping[str, Any]) -> Entry:
        """Declare the partial directory of a stage whole and move it to its place.

        `checkpoint*` files are removed; every other file is listed in stage.json with its size and SHA-256.

        Raises:
            LostError: the lock of the stage is another's by now; nothing was moved.
        """
        partial = self.partial(stage)
        files = {
            file.relative_to(partial).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(partial.rglob("*"))
            if file.is_file() and file.name != DESCRIPTION and not file.name.startswith("checkpoint")
        }
        info = {
            "stage": readable(stage),
            "key": key(stage),
            "description": description(stage),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
            **result,
        }
        write_json(partial / DESCRIPTION, info)
        return self._move(stage)

    def adopt(self, stage: Stage) -> Entry | None:
        """Finish a commit that was cut off: stage.json is written last, so a directory that has one is whole.

        One that is not what its stage.json says, or is that of another stage, is set aside.
        """
        partial = self._partial(stage)
        if not (partial / DESCRIPTION).exists():
            return None
        try:
            entry = read_entry(partial)
            verify(entry)
        except DataError:
            entry = None
        if entry is None or entry.info["key"] != key(stage):
            set_aside(partial, self.workspace / "damaged")
            return None
        return self._move(stage)

    def _move(self, stage: Stage) -> Entry:
        partial = self._partial(stage)
        for leftover in partial.glob("checkpoint*"):
            leftover.unlink()
        path = self.path(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        if mine := self._claims.get(key(stage)):
            mine.check()
        try:
            partial.rename(path)  # nowhere to be found once another owner has inherited it
        except OSError:
            if (whole := self.find(stage)) is None:
                raise
            shutil.rmtree(partial, ignore_errors=True)  # an earlier owner, held up after its check, was first
            return whole
        with suppress(OSError):
            (self.workspace / "failures" / f"{key(stage)}.json").unlink(missing_ok=True)
        return read_entry(path)

    def set_aside(self, stage: Stage, folder: Literal["damaged", "replaced"] = "damaged") -> Path:
        """Move an entry out of the way, keeping it for inspection; return where it lies now."""
        return set_aside(self.path(stage), self.workspace / folder)

    def fail(self, stage: Stage, status: str, reason: str) -> None:
        """Keep why an attempt at a stage gave nothing, and whose; its partial directory stays for the next attempt."""
        folder = self.workspace / "failures"
        folder.mkdir(parents=True, exist_ok=True)
        by = this_process()
        said = {"status": status, "reason": reason, "stage": readable(stage), "by": by.told()}
        write_json(folder / f"{key(stage)}.json", said)

    def failure(self, stage: Stage) -> Mapping[str, Any] | None:
        """What `fail` noted last of a stage; None where it did not, or where that cannot be read."""
        return _failure(self.workspace / "failures" / f"{key(stage)}.json")

    def failures(self) -> dict[str, Mapping[str, Any]]:
        """What `fail` noted of stages that are not done, by key."""
        noted = {path.stem: _failure(path) for path in (self.workspace / "failures").glob("*.json")}
        return {name: said for name, said in noted.items() if said is not None}

    def discard(self, stage: Stage) -> None:
        """Throw the partial directory of a stage away, so that the next attempt starts anew."""
        shutil.rmtree(self._partial(stage), ignore_errors=True)

    @contextmanager
    def claim(self, stage: Stage) -> Iterator[Claim]:
        """Hold the lock of a stage while working on it; what an earlier owner left half done is ours meanwhile.

        Raises:
            HeldError: another live process holds it.
            DataError: something else is in the place of its lock.
        """
        with claim(self._lock(stage), readable(stage)) as mine:
            self._claims[key(stage)] = mine
            try:
                # Network file systems answer from memory that a name is not there, until its folder is seen to change.
                for folder in (stage.kind, "partial"):
                    with suppress(OSError):
                        os.utime(self.workspace / folder)
                self._inherit(stage, mine)
                yield mine
            finally:
                self._give_up(stage, mine)
                del self._claims[key(stage)]

    def holder(self, stage: Stage) -> Owner | None:
        """Who is at work on a stage; None where nobody is.

        Raises:
            DataError: something else is in the place of its lock.
        """
        return holder(self._lock(stage))

    def is_locked(self, stage: Stage) -> bool:
        """Whether anybody has taken a stage, alive or not; one look at the file system."""
        return self._lock(stage).exists()

    def _lock(self, stage: Stage) -> Path:
        return self.workspace / "locks" / key(stage)

    def _inherit(self, stage: Stage, mine: Claim) -> None:
        """Make what is there of a stage the directory of its new owner, where no earlier one can change it.

        An owner that was held up may go on at any moment, until it notices. By name it finds nothing any more after the
        rename, and what it still has open is not what lies here after the copy.
        """
        ours = self._partial(stage)
        for left in sorted(ours.parent.glob(f"{key(stage)}*")):
            with suppress(FileNotFoundError):
                if left.is_dir() and not ours.exists():
                    left.rename(ours)
                    if left.name != key(stage):  # not given up by its owner
                        copy_in_place(ours, mine.token)
                else:
                    set_aside(left, self.workspace / "damaged")
        ours.mkdir(parents=True, exist_ok=True)

    def _give_up(self, stage: Stage, mine: Claim) -> None:
        """Leave what is there of a stage, if anything, to its next owner."""
        ours = self._partial(stage)
        with suppress(OSError):
            ours.rmdir()
        if not mine.lost.is_set():
            with suppress(OSError):
                ours.rename(ours.with_name(key(stage)))

    def entries(self, kind: str) -> Iterator[Entry]:
        """All readable entries of a kind, newest first."""
        folder = self.workspace / kind
        found = []
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                found.append(read_entry(path))
            except (OSError, DataError):
                continue
        yield from sorted(found, key=lambda entry: str(entry.info["created"]), reverse=True)


def _failure(path: Path) -> Mapping[str, Any] | None:
    try:
        return read_json(path)
    except (FileNotFoundError, DataError):
        return None


def read_workspace(path: Path) -> Store:
    """A store that is looked at; nothing is created.

    Raises:
        UsageError: the path, or that of a folder inside, is something else than a folder.
    """
    for folder in (path, *(path / name for name in FOLDERS)):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file where a folder is due; move it away, or choose another --workspace")
    return Store(path)


def open_workspace(path: Path) -> Store:
    """A store that can be written to.

    Raises:
        UsageError: as `read_workspace`; the path cannot be created or written.
    """
    store = read_workspace(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{secrets.token_hex(8)}"  # processes on two machines may have one number
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"workspace {path} cannot be written ({error.strerror}); choose another: --workspace"
        ) from None
    return store
