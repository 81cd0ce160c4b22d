"""What a plugin says that its things can do: work at their defaults, and at the presets that have settings for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.fer import FERModel
from nferbench.contract.translator import Translator
from nferbench.planning.alike import likes
from nferbench.planning.presets import presets, read_preset
from nferbench.planning.settings import at_preset

DEFAULTS = "paper"  # the preset that leaves all fields as they are
SMALL = (32, 64, 128, 256)  # sides of faces to compute with where no preset says any, the first that fits

V = TypeVar("V", Translator, FaceDataset, FERModel, FaceDetector)
T = TypeVar("T")


@final
@dataclass(frozen=True)
class Claim(Generic[T]):
    """A value as it is at a preset."""

    preset: str
    value: T
    size: int  # side of the faces in pixels


def claims(value: V, section: str, methods: Mapping[str, Translator]) -> tuple[Claim[V], ...]:
    """The defaults of a registered value, and what each preset makes of it that has settings for it; equal ones once.

    Args:
        value: what is registered.
        section: of presets, that has the settings of such values.
        methods: that are registered; a preset has settings for what follows one of these, too.

    Raises:
        UsageError: settings that it cannot take.
    """
    made: dict[tuple[V, int], Claim[V]] = {}
    for preset in (DEFAULTS, *(name for name in presets() if name != DEFAULTS)):
        settled = read_preset(preset)
        own = any(name in getattr(value, "presets", {}) for name in settled.known_as) or bool(likes(value))
        if preset == DEFAULTS or own or settled.content.get(section, {}).get(value.name):
            there = _cold(at_preset(value, settled.content, section, settled.known_as, methods))
            made.setdefault((there, settled.content["size"]), Claim(preset, there, settled.content["size"]))
    return tuple(made.values())


def smallest(claimed: Sequence[Claim[T]], count: Callable[[T, int], int]) -> Claim[T]:
    """The claim that is quickest to compute with; where only the defaults are claimed, these on the smallest faces.

    Args:
        claimed: not empty.
        count: the parameters of a value for faces of a side.

    Raises:
        UsageError: none can be built.
    """
    if len(claimed) > 1:
        return min(claimed, key=lambda claim: count(claim.value, claim.size) * claim.size**2)
    (only,) = claimed
    for size in SMALL:
        try:
            count(only.value, size)
        except UsageError:  # too small for it
            continue
        return dataclasses.replace(only, size=size)
    return only


def _cold(value: T) -> T:
    """A value whose networks start from nothing, where a preset would have them start from weights."""
    changes: dict[str, Any] = {
        field.name: _cold(getattr(value, field.name))
        for field in dataclasses.fields(value)  # type: ignore[arg-type]
        if dataclasses.is_dataclass(getattr(value, field.name))
    }
    changes |= {name: "" for name in ("init", "init_sha256") if isinstance(getattr(value, name, None), str)}
    return dataclasses.replace(value, **changes) if changes else value  # type: ignore[type-var]
