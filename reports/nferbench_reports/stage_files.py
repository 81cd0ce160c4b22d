"""Where a stage lies in a workspace, whether what is read of it is what was written, and why it has no result."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from nferbench_reports.record import Entry, as_line


def folder_of(workspace: Path, entry: Entry) -> Path:
    """Where a stage lies: its key alone names the directory, the readable part may have come from another run."""
    stored = workspace / entry.path
    if stored.name.endswith(f"-{entry.key[:12]}") and stored.is_dir():
        return stored  # without a look at all others
    return next(stored.parent.glob(f"*-{entry.key[:12]}"), stored)


def missing_reason(workspace: Path, entry: Entry, *files: str) -> str | None:
    """Why a stage has no result, in one line without a full stop; None where it is complete.

    Args:
        workspace: where it lies.
        entry: the stage.
        files: those of its files that will be read; each must be what was written.
    """
    stored = folder_of(workspace, entry) / "stage.json"
    if stored.exists() or stored.parent.is_file():
        name = stored.parent.name
        try:
            info = read_json(stored)
            for file in files:
                if file in info.get("left_out", ()):
                    return f"bundles have no faces in them ({file} is left out)"
            written = {file: str(info["files"][file]["sha256"]) for file in files}
            mine = info["key"] == entry.key
        except (OSError, ValueError, KeyError, TypeError):
            return f"{name} is damaged; run the same 'nferbench run' again"
        if not mine:
            return f"{name} holds the results of another stage; run 'nferbench run' again"
        changed = [file for file in files if _sha256(stored.parent / file) != written[file]]
        if changed:
            return (
                f"{name}/{changed[0]} is not what was written; try 'nferbench verify --set-aside', then 'nferbench run'"
            )
        return None
    path = workspace / "failures" / f"{entry.key}.json"
    if not path.is_file():
        return "not run yet"
    try:
        failure = read_json(path)
        parts = [str(failure["status"]), str(failure.get("reason") or "")]
        stage = str(failure.get("stage") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"failed; failures/{path.name} is damaged"
    parts = [as_line(part).rstrip(".") for part in parts]
    reason = ": ".join(part for part in parts if part)
    if parts[0] == "waiting" and parts[1]:
        return parts[1]  # already names the stage that failed and how
    return f"{reason} ({as_line(stage)})" if stage else reason


def _sha256(path: Path) -> str | None:
    try:
        state = path.stat()
        return _hashed(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    except OSError:
        return None


@cache
def _hashed(path: Path, state: tuple[int, ...]) -> str:
    """The checksum of a file; what changes when the file does is part of the question."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: it is none, or one of a nesting that no run writes.
        OSError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None
