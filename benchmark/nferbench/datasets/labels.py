"""Names of expressions: what data sets call them, and the canonical names that the harness uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nferbench.contract.dataset import EXPRESSIONS, NEUTRAL
from nferbench.contract.errors import DataError

CLASSES = (*EXPRESSIONS, NEUTRAL)  # canonical order

_NAMES = {
    "anger": "anger angry angered an",
    "disgust": "disgust disgusted di",
    "fear": "fear fearful afraid scared fe af",
    "happiness": "happiness happy joy joyful smile smiling ha",
    "sadness": "sadness sad sa",
    "surprise": "surprise surprised su",
    "neutral": "neutral ne",
}

ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
)


def canonical(label: str, aliases: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The canonical name of a label, or None where the label means none of the seven classes.

    Args:
        label: as a data set writes it; case and surrounding blanks do not matter.
        aliases: further names, as `checked_aliases` returns them; they come before the built-in ones.

    >>> canonical(" Happy "), canonical("contempt"), canonical("7", {"7": "neutral"})
    ('happiness', None, 'neutral')
    """
    label = label.strip().casefold()
    return aliases.get(label, ALIASES.get(label))


def checked_aliases(aliases: Mapping[str, str]) -> dict[str, str]:
    """Further aliases, ready for `canonical`: labels in lower case, meanings replaced by canonical names.

    Raises:
        DataError: an alias stands for something that is not one of the seven classes.
    """
    checked = {}
    for label, meaning in aliases.items():
        name = canonical(meaning)
        if name is None:
            raise DataError(f"alias {label!r} stands for {meaning!r}; it may stand for {', '.join(CLASSES)}")
        checked[label.strip().casefold()] = name
    return checked


def unknown(label: str) -> str:
    """Why a face with this label is left out."""
    return f"label {label.strip()!r} is none of {', '.join(CLASSES)}" if label.strip() else "no label"
