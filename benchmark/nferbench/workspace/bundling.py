"""Writing a bundle: a record, and of the stages behind it all that tables are made of, for somebody else.

It is laid out as a workspace, so that a report reads both alike. What is in it is chosen by name: no image, no weights,
no landmarks, no place on the machine, no name of a person or a face.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, final

from nferbench.contract.errors import DataError, UsageError, unknown
from nferbench.contract.printable import from_cell
from nferbench.contract.unnamed import unnamed
from nferbench.workspace.entries import DESCRIPTION, Entry, keys_of, read_entry
from nferbench.workspace.files import file_name, read_json, sha256
from nferbench.workspace.overview import needs_of
from nferbench.workspace.predictions import PREDICTIONS
from nferbench.workspace.pseudonyms import Pseudonyms, pseudonyms, without_places
from nferbench.workspace.recorded import Recorded, all_recorded, read_recorded

VERSION = 1  # of bundles
CONTENT = "bundle.json"  # what a bundle holds, with checksums
KEPT = {
    "faces": (),
    "networks": (),
    "translations": ("pushes.csv",),
    "quality": ("scores.csv",),
    "recognition": (PREDICTIONS,),
}
NAMES = (PREDICTIONS, "scores.csv", "faces.csv")  # of stages that list people and faces
# Of what a stage was made with, what others have otherwise.
OF_ONE = ("code", "peak_bytes", "peak_resident_bytes", "ways")
PACKAGES = ("numpy", "pandas", "scipy", "torch", "scikit-image", "pillow", "lpips", "diffusers")

Named = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Bundle:
    """The members of a bundle by name."""

    members: Mapping[str, bytes]
    records: int
    stages: int


def bundle(workspace: Path, record: str) -> Bundle:
    """Gather what a bundle of a record holds.

    Args:
        workspace: where it lies.
        record: its name, or "all".

    Raises:
        UsageError: there is no such record, or none at all.
        DataError: a record, or a stage behind one, is not what was written.
    """
    recorded = _chosen(workspace, record)
    entries = _entries(workspace, recorded)
    hidden = _pseudonyms(entries.values())
    members: dict[str, bytes] = {}
    for entry in entries.values():
        members |= _stage(entry, hidden)
    for each in recorded:
        name = f"{file_name(each.name)}.json"
        members[f"records/{name}"] = _json(_record(each, hidden))
        members[f"splits/{name}"] = _json(_splits(each, entries, hidden))
        for row in each.rows:
            for key in row.stages:
                if key not in entries and (failure := _failure(workspace, key)):
                    members[f"failures/{key}.json"] = _json({k: hidden.text(v) for k, v in failure.items()})
    members["environment.json"] = _json(_environment(entries.values(), hidden))
    listed = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    members[CONTENT] = _json({"version": VERSION, "created": created, "members": listed})
    return Bundle(members, len(recorded), len(entries))


def write_bundle(found: Bundle, out: Path) -> None:
    """Write a bundle as a ZIP file, whole or not at all.

    Raises:
        UsageError: there is such a file already, it is not called .zip, or it cannot be written.
    """
    if out.suffix != ".zip":
        raise UsageError(f"--out {out}: a bundle is a ZIP file; name one that ends in .zip")
    aside = out.with_name(f".{out.name}.part")
    try:
        if out.exists():
            raise UsageError(f"--out {out} is there already; move it away, or name another")
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in found.members.items():
                file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        aside.replace(out)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}); name a file in another folder") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _chosen(workspace: Path, record: str) -> list[Recorded]:
    names = sorted(path.stem for path in (workspace / "records").glob("*.json"))
    if not names:
        raise UsageError(f"no stored results in workspace '{workspace}'; name another with --workspace")
    if record == "all":
        recorded, faults = all_recorded(workspace)
        if faults:
            raise DataError(f"{faults[0]}; name the record that is to be bundled")
        return recorded
    name = record.removesuffix(".json")
    if name not in names:
        raise unknown("record", name, names, "nferbench status")
    return [read_recorded(workspace / "records" / f"{name}.json")]


def _entries(workspace: Path, recorded: Sequence[Recorded]) -> dict[str, Entry]:
    """The finished stages behind records by key, what is kept of each being what was written."""
    found: dict[str, Entry] = {}
    lying = keys_of(workspace)
    keys = [key for record in recorded for row in record.rows for key in (*record.faces, *row.stages)]
    while keys:
        key = keys.pop()
        path = lying.get(key[:12])
        if key in found or path is None:
            continue
        try:
            entry = read_entry(path)
            mine = entry.info["key"] == key
            names = [name for name in (*KEPT[path.parent.name], *NAMES) if name in entry.info["files"]]
            if not mine or any(sha256(path / name) != entry.info["files"][name]["sha256"] for name in names):
                raise DataError(f"{path} is not what was written")
        except (OSError, DataError) as error:
            raise DataError(f"{error}; nferbench verify --set-aside moves it away, and its run does it again") from None
        found[key] = entry
        keys += needs_of(entry.info)
    return found


def _pseudonyms(entries: Iterable[Entry]) -> Pseudonyms:
    subjects: set[str] = set()
    faces: set[str] = set()
    for entry in entries:
        subjects.update(_tested(entry))
        for name in NAMES:
            if name in entry.info["files"]:
                for row in _table(entry.path / name):
                    subjects.add(from_cell(row["subject"]))
                    faces.update(from_cell(row[column]) for column in ("id", "pair") if column in row)
    return pseudonyms(subjects, faces)


def _tested(entry: Entry) -> list[str]:
    """The test subjects of the fold of a stage; none where it has no fold."""
    fold = entry.info["description"].get("fold")
    test = fold.get("test") if isinstance(fold, dict) else None
    return [name for name in test if isinstance(name, str)] if isinstance(test, list) else []


def _table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, cells as they stand there.

    Raises:
        DataError: it is not as a stage writes it.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    if any("subject" not in row or None in row or None in row.values() for row in rows if path.name in NAMES):
        raise DataError(f"{path} is no list of faces")
    return rows


def _stage(entry: Entry, hidden: Pseudonyms) -> dict[str, bytes]:
    """The members that stand for a stage."""
    kind = entry.path.parent.name
    place = f"{kind}/{_folder(entry.path.name, entry.info['key'])}"
    tables = {
        name: _hide_table(_table(entry.path / name), hidden) for name in KEPT[kind] if name in entry.info["files"]
    }
    info = {
        "stage": entry.info["stage"],
        "key": entry.info["key"],
        "created": entry.info["created"],
        "description": hidden.data(entry.info["description"]),
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in tables.items()
        },
        "left_out": [name for name in entry.info["files"] if name not in tables],
        "result": hidden.data(entry.info.get("result", {})),
        "cost": hidden.data(entry.info.get("cost", {})),
        "made_with": hidden.data(entry.info.get("made_with", {})),
    }
    return {f"{place}/{DESCRIPTION}": _json(info), **{f"{place}/{name}": data for name, data in tables.items()}}


def _hide_table(rows: Sequence[Mapping[str, str]], hidden: Pseudonyms) -> bytes:
    """The rows as a CSV file, with other names and the same digits."""
    change: dict[str, Callable[[str], str]] = {
        "id": lambda name: hidden.face(from_cell(name)),
        "pair": lambda name: hidden.face(from_cell(name)),
        "subject": lambda name: hidden.subjects[from_cell(name)],
    }
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows({name: change.get(name, str)(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _folder(name: str, key: str) -> str:
    return f"{file_name(name.removesuffix(f'-{key[:12]}'))}-{key[:12]}"


def _record(record: Recorded, hidden: Pseudonyms) -> dict[str, Any]:
    """A record with what a report reads of it, its texts without names."""
    content, protocol = record.content, record.content["protocol"]
    return {
        "version": content["version"],
        "created": content.get("created"),
        "command": hidden.text(without_places(str(content.get("command", "")))),
        "nferbench": content.get("nferbench"),
        "protocol": {name: _unnamed(value) for name, value in protocol.items()},
        "faces": _moved(content["faces"]),
        "extra_faces": _moved(content.get("extra_faces")),
        "rows": [_row(row.content, hidden) for row in record.rows],
    }


def _unnamed(value: Any) -> Any:
    return unnamed(value) if isinstance(value, str) else value


def _row(row: Named, hidden: Pseudonyms) -> dict[str, Any]:
    said = {name: row[name] for name in ("name", "group", "heterogeneous", "tables") if name in row}
    metrics = [{name: _unnamed(value) for name, value in metric.items()} for metric in row.get("metrics", [])]
    study = {name: _unnamed(value) for name, value in row["study"].items()} if row.get("study") else None
    return {
        **said,
        "title": _unnamed(row.get("title")),
        "stamps": [hidden.text(str(stamp)) for stamp in row.get("stamps", [])],
        **({"study": study} if study else {}),
        **({"metrics": metrics} if metrics else {}),
        "folds": [_fold(fold) for fold in row["folds"]],
    }


def _fold(fold: Named) -> dict[str, Any]:
    return {
        "fold": fold["fold"],
        **{name: _moved(fold.get(name)) for name in ("translation", "quality", "fer")},
        **{name: [_moved(each) for each in fold[name]] for name in ("fer_repeats", "needs") if name in fold},
        **({"metrics": [_measured(each) for each in fold["metrics"]]} if "metrics" in fold else {}),
    }


def _moved(reference: Named | None) -> dict[str, str] | None:
    if reference is None:
        return None
    kind, name = PurePosixPath(reference["path"]).parts
    return {"key": reference["key"], "path": f"{kind}/{_folder(name, reference['key'])}"}


def _measured(reference: Named) -> dict[str, Any]:
    return {"name": reference["name"], **(_moved(reference) or {})}


def _splits(record: Recorded, entries: Mapping[str, Entry], hidden: Pseudonyms) -> dict[str, Any]:
    """The test subjects of each fold, as the finished stages tell them."""
    folds: dict[int, list[str]] = {}
    for row in record.rows:
        for key in row.results:
            if key in entries and (test := _tested(entries[key])):
                folds[entries[key].info["description"]["fold"]["index"]] = [hidden.subjects[name] for name in test]
    fingerprint = record.content["protocol"].get("splits")
    return {"fingerprint": fingerprint, "folds": [{"fold": fold, "test": folds[fold]} for fold in sorted(folds)]}


def _failure(workspace: Path, key: str) -> dict[str, str] | None:
    with suppress(FileNotFoundError, DataError):
        said = read_json(workspace / "failures" / f"{key}.json")
        return {name: str(said.get(name, "")) for name in ("status", "reason", "stage")}
    return None


def _environment(entries: Iterable[Entry], hidden: Pseudonyms) -> dict[str, Any]:
    """What the stages were made with, and what bundles them."""
    made = Counter(
        json.dumps({k: v for k, v in entry.info.get("made_with", {}).items() if k not in OF_ONE}) for entry in entries
    )
    packages = {}
    for name in ("nferbench", *PACKAGES):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "made_with": [{"stages": count, **hidden.data(json.loads(text))} for text, count in made.most_common()],
        "bundled_with": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "packages": packages,
        },
    }


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=True) + "\n").encode()
