"""Recipes that start from given weights: what is named becomes its SHA-256, by which results are known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.fer import FERModel
from nferbench.contract.printable import one_line
from nferbench.contract.translator import NetworkRecipe, Translator
from nferbench.contract.weight_files import digest, parts
from nferbench.planning.updates import asked
from nferbench.workspace.entries import DESCRIPTION
from nferbench.workspace.files import read_json
from nferbench.workspace.stages import PrepareFaces

T = TypeVar("T")

ORIGIN = "nferbench"  # in the metadata of a file that `pretrain` wrote: JSON with the three below
TRAINED_ON, PAIRS, CONTENT = "trained_on", "pairs", "faces"  # title of the set, pairs seen, fingerprint of the set


def with_digests(value: T) -> T:
    """A value in which every recipe and recogniser with given weights (`init`) holds their SHA-256 (`init_sha256`).

    Raises:
        UsageError: no such weights, or some whose SHA-256 is not the given one.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner) and (settled := with_digests(inner)) is not inner:
            changes[field.name] = settled
    if _starts(value):
        given, file = value.init_sha256, Path(value.init)  # type: ignore[attr-defined]
        come = _digest(file)
        if given not in ("", come):
            raise UsageError(
                f"weights to start from (init): {one_line(str(file))} has SHA-256 {come}, not '{given}'; give those"
            )
        changes["init_sha256"] = come
    return dataclasses.replace(value, **changes) if changes else value  # type: ignore[type-var]


def starts(translator: Translator) -> tuple[Path, ...]:
    """The files or folders that the networks of a method start from."""
    return tuple(dict.fromkeys(Path(each.init) for each in translator.networks().values() if _starts(each)))  # type: ignore[attr-defined]


def origin(file: Path) -> dict[str, Any]:
    """What a file of weights says of its training; nothing where it says nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            told = json.loads((opened.metadata() or {}).get(ORIGIN, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):  # weights in another form
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


def frozen(translator: Translator, pairs: int) -> tuple[str, ...]:
    """A footnote for a method with networks that get no updates on a set of `pairs` pairs: which they are."""
    networks = translator.networks().items()
    names = dict.fromkeys(recipe.title or role for role, recipe in networks if recipe.updates(pairs) == 0)
    return (f"{', '.join(names)}: weights as released, not trained on this set",) if names else ()


def check_trained(translator: Translator, pairs: int) -> None:
    """Refuse networks that would be used as they are made: without updates, and without weights to start from.

    Args:
        translator: the method.
        pairs: that it is trained on, in the fold with the fewest.

    Raises:
        UsageError: such a network, or fewer than 0 updates.
        PluginError: a recipe that cannot say how many they are.
    """
    for role, recipe in translator.networks().items():
        updates = asked(f"{translator.name}: network {role}", recipe, pairs)
        if updates < 0 or (updates == 0 and not _starts(recipe)):
            raise UsageError(
                f"{translator.name}: network {role} would have {updates} updates; allowed: 1 or more, or 0 of given "
                "weights (init), which are then used as they are"
            )


def check_unseen(translator: Translator, content: str, dataset: str, tested: Collection[str] = ()) -> None:
    """Refuse weights that were trained on people of the set that is now to be divided into folds, who are tested.

    What is known of other weights than those that `pretrain` wrote, or that lie in a workspace, is nothing.

    Args:
        translator: the method.
        content: fingerprint of the faces of the data set.
        dataset: its name, for the message.
        tested: people in the test parts of the folds that are to be run.

    Raises:
        UsageError: such weights.
    """
    for file in starts(translator):
        trained_on, spared = _seen(file)
        if trained_on == content and not (spared and spared.issuperset(tested)):
            everyone = f"everyone in {dataset}, people of the test folds too"
            who = f"people in {dataset} who are tested now" if spared else everyone
            raise UsageError(
                f"{translator.name}: initial weights {one_line(str(file))} were trained on {who}; start from "
                "weights of other people, or from nothing (init='')"
            )


def _seen(file: Path) -> tuple[str, frozenset[str]]:
    """Fingerprint of the set that weights were trained on, and who of it was held out; "" where that is not known."""
    told = origin(file)
    if CONTENT in told:
        return str(told[CONTENT]), frozenset()
    folder = file.resolve().parent
    try:  # as a training leaves them in its workspace
        told = read_json(folder / DESCRIPTION)
        if told["result"]["updates"] == 0:  # as they came, from wherever
            return "", frozenset()
        (need,) = told["description"]["needs"]
        (faces,) = folder.parents[1].glob(f"{PrepareFaces.kind}/*-{need[:12]}")
        content = read_json(faces / DESCRIPTION)["description"]["content"]
        return str(content), frozenset(told["description"]["fold"]["test"])
    except (OSError, DataError, LookupError, TypeError, ValueError):
        return "", frozenset()


def _starts(value: object) -> bool:
    return (
        isinstance(value, NetworkRecipe | FERModel)
        and bool(getattr(value, "init", ""))
        and hasattr(value, "init_sha256")
    )


def _digest(path: Path) -> str:
    """Size and time are part of the question, so that new content is read anew."""
    return _digest_of(path.resolve(), tuple((each.stat().st_size, each.stat().st_mtime_ns) for each in parts(path)))


@lru_cache(maxsize=64)
def _digest_of(path: Path, looks: tuple[tuple[int, int], ...]) -> str:
    return digest(path)
