"""The folder of a report: what an earlier one left there, and how a newer one takes its place as a whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nferbench.contract.errors import DataError
from nferbench_reports.record import Count, Text
from nferbench_reports.stage_files import read_json

FILE = "report.json"
_FIRST = ("report.md", "report.html")  # what readers open: first to go and last to come


def _plain(name: str) -> str:
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise ValueError(f"{name!r} is no name of a file")
    return name


_AS_STORED = ConfigDict(frozen=True, extra="ignore")


@final
class Held(BaseModel):
    """What a report shows of a record."""

    model_config = _AS_STORED

    dataset: Text
    rows: Mapping[str, Count]  # by name: how many results there are, one a measure and fold
    pictures: tuple[Text, ...]  # kinds of them, such as "comparison"


@final
class Manifest(BaseModel):
    """What a report is made of."""

    model_config = _AS_STORED

    version: Literal[1] = 1
    files: Mapping[Annotated[str, AfterValidator(_plain)], Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    records: Mapping[str, Held]


def read_manifest(folder: Path) -> Manifest | None:
    """What the report in a folder is made of; None where there is none, or one of an earlier version.

    Raises:
        DataError: the file is of another form.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    try:
        return Manifest.model_validate(read_json(path) if path.is_file() else None)
    except (OSError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DataError(
            f"'{path}' does not tell what the report beside it shows ({first}); "
            "choose another folder (--out), or --replace it"
        ) from None


def lost(before: Manifest, records: Mapping[str, Held], reasons: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What an earlier report shows and one of `records` would not, in a few words each.

    Args:
        before: of the earlier report.
        records: by their names.
        reasons: why rows lack results, by names of records and rows.
    """
    found = []
    for name, held in before.records.items():
        now = records.get(name)
        if now is None:
            if count := sum(held.rows.values()):
                found.append(f"record {name} ({count} results of {len(held.rows)} rows)")
            continue
        for row, count in held.rows.items():
            if (less := count - now.rows.get(row, 0)) > 0:
                reason = reasons.get(name, {}).get(row, "not in the record")
                found.append(f"{less} of {count} results of {row} in record {name} ({reason})")
        found += [f"a picture of record {name} ({kind})" for kind in held.pictures if kind not in now.pictures]
    return found


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A folder inside another one, which is made if it is not there; gone afterwards with what was not moved out."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".report-", dir=folder) as inside:
        yield Path(inside)


def put(
    made: Path, folder: Path, before: Manifest | None, records: Mapping[str, Held], known: Collection[str]
) -> tuple[str, ...]:
    """Move the files of a report to where they are read, in the place of those of an earlier one.

    Whenever this ends half-way, what is opened first is not there, and the manifest names what is.

    Args:
        made: the folder that they lie in, on the same disk; nothing but files.
        folder: where they are read.
        before: the manifest of the earlier report; its files go, those alone, and none that was changed since.
        records: what the report shows, by names of records.
        known: names of files that go where there is no manifest.

    Returns:
        The names of files of the earlier report that were changed since and are no part of this one; they stay.

    Raises:
        OSError: a folder is in the place of a file, or nothing can be written.
    """
    files = {path.name: _sha256(path) for path in sorted(made.iterdir())}
    for name in (*files, FILE):
        if (folder / name).is_dir():
            raise IsADirectoryError(None, f"{name} is a folder")
    older = before.files if before else dict.fromkeys((*files, *known))
    left = []
    for name in sorted(older, key=lambda name: name not in _FIRST):
        path = folder / name
        if path.is_file() and older[name] in (None, _sha256(path)):
            path.unlink()
        elif os.path.lexists(path) and name not in files:
            left.append(name)
    text = Manifest(files=files, records=records).model_dump_json(indent=1)
    (made / FILE).write_text(f"{text}\n", encoding="utf-8")
    for name in (FILE, *sorted(files, key=lambda name: name in _FIRST)):
        (made / name).replace(folder / name)
    return tuple(left)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
