"""The optional YAML or JSON file beside a manifest: name, title, aliases of labels, licence note, expected counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nferbench.contract.errors import DataError
from nferbench.datasets.labels import checked_aliases

ENDINGS = (".yaml", ".yml", ".json")
COUNTS = ("images", "vis", "nir", "subjects", "pairs")


@dataclass(frozen=True)
class Sidecar:
    """What the file says; everything is optional."""

    name: str = ""  # as typed on the command line
    title: str = ""  # as printed in tables
    aliases: Mapping[str, str] = field(default_factory=dict)  # label -> canonical name, see `labels`
    licence: str = ""  # a note on the terms of use
    expect: Mapping[str, int] = field(default_factory=dict)  # counts over all rows of the manifest, keys of COUNTS


def sidecar_file(manifest: Path) -> Path | None:
    """The file that has the manifest's name with one of the `ENDINGS`; None where there is none.

    Raises:
        DataError: there are several, which need not say the same.
    """
    files = [file for ending in ENDINGS if (file := manifest.with_suffix(ending)).is_file()]
    if len(files) > 1:
        raise DataError(f"{manifest}: {' and '.join(file.name for file in files)} lie beside it; keep one")
    return files[0] if files else None


def read_sidecar(manifest: Path) -> Sidecar:
    """Read the file beside a manifest (see `sidecar_file`); an empty `Sidecar` where there is none.

    Raises:
        DataError: there are several, the file is neither YAML nor JSON, has a key or a value that has no meaning, or
            an alias for no class.
    """
    path = sidecar_file(manifest)
    if path is None:
        return Sidecar()
    values = _load(path)
    for key in values:
        if key not in Sidecar.__dataclass_fields__:
            near = get_close_matches(str(key), Sidecar.__dataclass_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(Sidecar.__dataclass_fields__)}"
            raise DataError(f"{path}: unknown key {key!r}; {hint}")
    for key in ("name", "title", "licence"):
        if not isinstance(values.get(key, ""), str):
            raise DataError(f"{path}: {key} is {values[key]!r}; it must be text (put it in quotes)")
    try:
        aliases = checked_aliases(_aliases(path, values.get("aliases", {})))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    expect = _counts(path, values.get("expect", {}))
    texts = {key: values.get(key, "").strip() for key in ("name", "title", "licence")}
    return Sidecar(**texts, aliases=aliases, expect=expect)


def _load(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise DataError(f"{path}: not {kind} in UTF-8 ({' '.join(str(error).split())})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise DataError(f"{path}: holds {type(values).__name__}; it must hold 'key: value' lines")
    return values


def _aliases(path: Path, values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        raise DataError(f"aliases is {values!r}; it must hold 'label: expression' lines")
    aliases = {}
    for label, meaning in values.items():
        # Codes are often numbers. YAML reads yes, no, on and off as truth values: which word stood there is lost.
        if isinstance(label, bool) or not isinstance(label, str | int) or not isinstance(meaning, str):
            raise DataError(f"alias {label!r}: {meaning!r} must be text (put both in quotes)")
        aliases[str(label)] = meaning
    return aliases


def _counts(path: Path, values: Any) -> dict[str, int]:
    if not isinstance(values, dict) or not all(
        key in COUNTS and isinstance(value, int) and not isinstance(value, bool) for key, value in values.items()
    ):
        raise DataError(f"{path}: expect is {values!r}; it must hold whole numbers for some of {', '.join(COUNTS)}")
    return values
