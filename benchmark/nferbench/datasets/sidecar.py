"""The optional YAML or JSON file beside a manifest: name, title, aliases of labels, licence note, expected counts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.datasets.labels import checked_aliases

ENDINGS = (".yaml", ".yml", ".json")
LARGEST = 1_000_000  # bytes
DEEPEST = 20  # mappings and lists in each other
LONGEST = 200  # characters of a name or a title, which has one line of a table
COUNTS = ("images", "vis", "nir", "subjects", "pairs")


@dataclass(frozen=True)
class Sidecar:
    """What the file says; everything is optional."""

    name: str = ""  # as typed on the command line; printable
    title: str = ""  # as printed in tables; printable
    aliases: Mapping[str, str] = field(default_factory=dict)  # label -> canonical name, see `labels`
    licence: str = ""  # a note on the terms of use; printable
    expect: Mapping[str, int] = field(default_factory=dict)  # counts over all rows of the manifest, keys of COUNTS


def sidecar_file(manifest: Path) -> Path | None:
    """The file that has the manifest's name with one of the `ENDINGS`; None where there is none.

    Raises:
        DataError: there are several, which need not say the same, or it is a link that leads out of the folder.
    """
    files = [file for ending in ENDINGS if (file := manifest.with_suffix(ending)).is_file()]
    if len(files) > 1:
        raise DataError(f"{manifest}: {' and '.join(file.name for file in files)} lie beside it; keep one")
    if not files:
        return None
    real = Path(os.path.realpath(files[0]))  # resolve() raises on circles
    folders = (os.path.realpath(manifest.parent), Path(os.path.realpath(manifest)).parent)
    if not any(real.is_relative_to(folder) for folder in folders):
        raise DataError(f"{files[0]}: a link that leads out of the folder of the manifest; copy the file")
    return files[0]


def read_sidecar(manifest: Path) -> Sidecar:
    """Read the file beside a manifest (see `sidecar_file`); an empty `Sidecar` where there is none.

    Raises:
        DataError: there are several, the file is neither YAML nor JSON, larger than `LARGEST`, a link that leads out
            of the folder, has anchors, a key or a value that has no meaning, or an alias for no class.
    """
    path = sidecar_file(manifest)
    if path is None:
        return Sidecar()
    values = _load(path)
    for key in values:
        if key not in Sidecar.__dataclass_fields__:
            near = get_close_matches(str(key)[:LONGEST], Sidecar.__dataclass_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(Sidecar.__dataclass_fields__)}"
            raise DataError(f"{path}: unknown key {_shown(key)}; {hint}")
    for key in ("name", "title", "licence"):
        if not isinstance(values.get(key, ""), str):
            raise DataError(f"{path}: {key} is {_shown(values[key])}; it must be text (put it in quotes)")
    try:
        aliases = checked_aliases(_aliases(path, values.get("aliases", {})))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    expect = _counts(path, values.get("expect", {}))
    texts = {key: one_line(" ".join(values.get(key, "").split())) for key in ("name", "title", "licence")}
    for key in ("name", "title"):
        if len(texts[key]) > LONGEST:
            raise DataError(f"{path}: {key} has {len(texts[key])} characters; at most {LONGEST} fit into a table")
    return Sidecar(**texts, aliases=aliases, expect=expect)


def _load(path: Path) -> dict[Any, Any]:
    import yaml

    from nferbench.contract.yaml_text import loaded

    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"{path}: larger than {LARGEST // 10**6} MB; it holds a few lines on the manifest beside it"
            )
        text = path.read_text(encoding="utf-8-sig")
        if kind == "YAML":
            _check_events(path, text)
        values = json.loads(text) if kind == "JSON" else loaded(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deep; it holds 'key: value' lines and two mappings") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: not {kind} in UTF-8 ({' '.join(str(error).split())[:LONGEST]})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise DataError(f"{path}: holds {type(values).__name__}; it must hold 'key: value' lines")
    return values


def _check_events(path: Path, text: str) -> None:
    """Look through YAML before anything is made of it: a few bytes can stand for any amount."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"{path}: has anchors (&name, *name), which can stand for any amount; write values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DataError(f"{path}: nested {depth} deep; it holds 'key: value' lines and two mappings")


def _aliases(path: Path, values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        raise DataError(f"aliases is {_shown(values)}; it must hold 'label: expression' lines")
    aliases = {}
    for label, meaning in values.items():
        # Codes are often numbers. YAML reads yes, no, on and off as truth values: which word stood there is lost.
        if isinstance(label, bool) or not isinstance(label, str | int) or not isinstance(meaning, str):
            raise DataError(f"alias {_shown(label)}: {_shown(meaning)} must be text (put both in quotes)")
        aliases[str(label)] = meaning
    return aliases


def _counts(path: Path, values: Any) -> dict[str, int]:
    if not isinstance(values, dict) or not all(
        key in COUNTS and isinstance(value, int) and not isinstance(value, bool) for key, value in values.items()
    ):
        raise DataError(
            f"{path}: expect is {_shown(values)}; it must hold whole numbers for some of {', '.join(COUNTS)}"
        )
    return values


def _shown(value: object) -> str:
    """What came, for a message: its start."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
