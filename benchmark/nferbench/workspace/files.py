"""Files that are written whole or not at all, and what they are called."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nferbench.contract.errors import DataError
from nferbench.contract.values import digest


def file_name(name: str) -> str:
    """A name as part of the name of a file: 1 to 120 letters, digits and "._+-", with no dot or dash in front."""
    return re.sub(r"[^\w.+-]+", "-", name).lstrip(".-")[:120] or "unnamed"


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is not JSON") from None
    if not isinstance(data, dict):
        raise DataError(f"{path} holds a {type(data).__name__} where an object is due")
    return data


def write_json(path: Path, data: object) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of one."""
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))  # for bytes of paths that are not UTF-8; \udc80 is JSON


def read_cache(path: Path) -> dict[str, Any]:
    """What `write_cache` wrote; empty where there is nothing, or where it is not what was written."""
    try:
        stored = read_json(path)
    except (FileNotFoundError, DataError):
        return {}
    content = stored.get("content")
    return content if isinstance(content, dict) and stored.get("sha256") == digest(content) else {}


def write_cache(path: Path, content: Mapping[str, Any]) -> None:
    """Keep answers that can be found anew, with their checksum; a workspace that can only be read goes without."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"sha256": digest(content), "content": content})


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and see it on the disk before returning."""
    aside = path.with_name(f".{secrets.token_hex(8)}")  # processes on two machines may have one number
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def copy_in_place(folder: Path, token: str) -> None:
    """Put a copy in the place of every file of a folder, so that who has one open changes nothing here any more.

    Hidden files are removed: they were on their way to another name.
    """
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        if file.name.startswith("."):
            file.unlink()
            continue
        aside = file.with_name(f".{token}")
        shutil.copyfile(file, aside)
        aside.replace(file)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path, folder: Path) -> Path:
    """Move a file or directory into a folder under a name that is free there; return where it lies now."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        target = folder / f"{path.name}-{number}"
        if target.exists():
            continue
        try:
            path.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # a run beside this one took the name
                raise
        else:
            return target
    raise AssertionError("numbers do not end")
