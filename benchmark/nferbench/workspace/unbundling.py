"""Reading a bundle, which others made: no more of it than it lists and may hold, all checksums compared."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.printable import one_line
from nferbench.workspace.bundling import CONTENT, KEPT, VERSION
from nferbench.workspace.entries import DESCRIPTION

LARGEST = 64_000_000  # bytes of one member
WHOLE = 2_000_000_000  # bytes of all members
MEMBERS = 200_000

_WORD = r"[\w+-][\w.+-]{0,199}"
_TABLES = "|".join(re.escape(name) for name in (DESCRIPTION, *(name for names in KEPT.values() for name in names)))
_NAME = re.compile(
    rf"environment\.json|(?:records|splits|failures)/{_WORD}\.json|(?:{'|'.join(KEPT)})/{_WORD}/(?:{_TABLES})"
)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The workspace that a bundle holds, in a folder that is gone afterwards.

    Raises:
        UsageError: there is no such file.
        DataError: it is no bundle, is larger than a bundle may be, or holds something else than it lists.
    """
    if not path.is_file():
        raise UsageError(f"no bundle at '{path}'; name the file that nferbench bundle wrote, or a --workspace")
    if path.stat().st_size > WHOLE:
        raise DataError(
            f"{path} is no bundle: it is larger than {WHOLE // 10**9} GB; name the file of nferbench bundle"
        )
    with tempfile.TemporaryDirectory(prefix="nferbench-bundle-") as folder:
        try:
            with zipfile.ZipFile(path) as file:
                for name, data in _members(file):
                    target = Path(folder, name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
        except DataError as error:
            raise DataError(f"{path} is not a bundle that can be used: {error}; ask for it anew") from None
        # What zipfile raises for files that are none, are cut off, or want a password.
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
            raise DataError(f"{path} is not a bundle that can be used: {_said(error)}; ask for it anew") from None
        except (ValueError, OSError) as error:
            raise DataError(f"{path} cannot be read ({_said(error)}); ask for it anew") from None
        yield Path(folder)


def _said(error: Exception) -> str:
    return one_line(str(error))[:200] or type(error).__name__


def _members(file: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    infos = file.infolist()
    if len(infos) > MEMBERS or sum(info.file_size for info in infos) > WHOLE:
        raise DataError(f"it holds more than {MEMBERS:,} files or {WHOLE // 10**9} GB")
    by_name = {info.filename: info for info in infos}
    if len(by_name) < len(infos):
        raise DataError("it holds two files of one name")
    if CONTENT not in by_name:
        raise DataError(f"it has no {CONTENT}")
    listed = _listed(_read(file, by_name.pop(CONTENT), None))
    if set(listed) != set(by_name):
        other = min(set(listed) ^ set(by_name))
        raise DataError(f"'{one_line(other)[:200]}' is {'listed and not there' if other in listed else 'not listed'}")
    for name, said in listed.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"a bundle holds no file called '{one_line(name)[:200]}'")
        data = _read(file, by_name[name], said.get("bytes"))
        if hashlib.sha256(data).hexdigest() != said.get("sha256"):
            raise DataError(f"{name} is not what was written")
        yield name, data


def _read(file: zipfile.ZipFile, info: zipfile.ZipInfo, expected: Any) -> bytes:
    """The content of a member, never more of it than it may be, whatever the file says of its size."""
    name = one_line(info.filename)[:200]
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{name} is compressed in another way than a bundle")
    if info.file_size > LARGEST or expected not in (None, info.file_size):
        raise DataError(f"{name} has {info.file_size} bytes")
    with file.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise DataError(f"{name} has another size than the file says")
    return data


def _listed(data: bytes) -> Mapping[str, Mapping[str, Any]]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise DataError(f"its {CONTENT} is not JSON") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise DataError(f"its {CONTENT} is not that of version {VERSION}; report with the nferbench that made it")
    members = content.get("members")
    if not isinstance(members, dict) or not all(isinstance(each, dict) for each in members.values()):
        raise DataError(f"its {CONTENT} lists nothing")
    return members
