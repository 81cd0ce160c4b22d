"""Files that are written whole or not at all, and what they are called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path


def file_name(name: str) -> str:
    """A name as part of the name of a file: 1 to 120 letters, digits and "._+-", with no dot or dash in front."""
    return re.sub(r"[^\w.+-]+", "-", name).lstrip(".-")[:120] or "unnamed"


def write_json(path: Path, data: object) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of one."""
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))  # for bytes of paths that are not UTF-8; \udc80 is JSON


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and see it on the disk before returning."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
