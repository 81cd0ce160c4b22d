"""Recipes that start from given weights: the file that is named becomes its SHA-256; results are known by it."""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nferbench.contract.errors import UsageError
from nferbench.contract.fer import FERModel
from nferbench.contract.printable import one_line
from nferbench.contract.translator import NetworkRecipe, Translator
from nferbench.workspace.files import sha256

T = TypeVar("T")

ORIGIN = "nferbench"  # in the metadata of a file that `pretrain` wrote: JSON with the three below
TRAINED_ON, PAIRS, CONTENT = "trained_on", "pairs", "faces"  # title of the set, pairs seen, fingerprint of the set


def with_digests(value: T) -> T:
    """A value in which all that starts from a file (`init`), recipe or recogniser, holds its SHA-256 (`init_sha256`).

    Raises:
        UsageError: no such file, or one whose SHA-256 is not the given one.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner) and (settled := with_digests(inner)) is not inner:
            changes[field.name] = settled
    if _starts(value):
        given, file = value.init_sha256, Path(value.init)  # type: ignore[attr-defined]
        if not file.is_file():
            raise UsageError(
                f"weights to start from (init): '{one_line(str(file))}' is not a file; give one, or '' for none"
            )
        digest = _digest(file)
        if given not in ("", digest):
            raise UsageError(
                f"weights to start from (init): {file} has SHA-256 {digest}, not '{given}'; give that file"
            )
        changes["init_sha256"] = digest
    return dataclasses.replace(value, **changes) if changes else value  # type: ignore[type-var]


def starts(translator: Translator) -> tuple[Path, ...]:
    """The files that the networks of a method start from."""
    return tuple(dict.fromkeys(Path(each.init) for each in translator.networks().values() if _starts(each)))  # type: ignore[attr-defined]


def origin(file: Path) -> dict[str, Any]:
    """What a file of weights says of its training; nothing where it says nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            told = json.loads((opened.metadata() or {}).get(ORIGIN, "{}"))
    except (SafetensorError, OSError, ValueError):  # weights in another form
        return {}
    return told if isinstance(told, dict) else {}


def stamps(translator: Translator) -> tuple[str, ...]:
    """A footnote for a method whose networks do not start from nothing: where their weights are from."""
    lines = []
    for file in starts(translator):
        told = origin(file)
        if TRAINED_ON in told:
            count = f", {told[PAIRS]:,} pairs seen" if isinstance(told.get(PAIRS), int) else ""
            lines.append(f"networks pre-trained on {one_line(str(told[TRAINED_ON]))}{count}")
        else:
            lines.append(f"starts from given weights (SHA-256 {_digest(file)[:12]})")
    return tuple(dict.fromkeys(lines))


def check_unseen(translator: Translator, content: str, dataset: str) -> None:
    """Refuse weights that were trained on all of the set that is now to be divided into folds.

    Args:
        translator: the method.
        content: fingerprint of the faces of the data set.
        dataset: its name, for the message.

    Raises:
        UsageError: such weights.
    """
    for file in starts(translator):
        if origin(file).get(CONTENT) == content:
            raise UsageError(
                f"{translator.name}: initial weights {file} were trained on everyone in {dataset}, people of the test "
                "folds too; start from weights of other people, or from nothing (init='')"
            )


def _starts(value: object) -> bool:
    return (
        isinstance(value, NetworkRecipe | FERModel)
        and bool(getattr(value, "init", ""))
        and hasattr(value, "init_sha256")
    )


def _digest(file: Path) -> str:
    stat = file.stat()
    return _digest_of(file.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_of(file: Path, size: int, mtime_ns: int) -> str:
    """Size and time are part of the question, so that a new file is read anew."""
    return sha256(file)
