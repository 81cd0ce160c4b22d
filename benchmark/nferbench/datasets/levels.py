"""Black and white of files of more than 8 bits: decided for a whole data set from its files, never for an image.

Cameras of 10, 12 or 14 bits store their values in 16. Read by the full range of 16 bits such files come out dark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from nferbench.contract.dataset import FaceDataset, Modality
from nferbench.contract.errors import UsageError

Range = tuple[int, int]  # the values that become 0 and 255

FULL: Range = (0, 65535)
BITS = (8, 10, 12, 14, 16)  # of cameras
NARROW = 0.25  # share of the range below which nothing lies where a sensor counts something else than light
MODALITIES: tuple[Modality, ...] = ("vis", "nir")


@final
@dataclass(frozen=True)
class Levels:
    """What becomes black and white in files of more than 8 bits; the full range where nothing else was decided."""

    vis: Range = FULL
    nir: Range = FULL

    def of(self, modality: Modality) -> Range:
        return self.vis if modality == "vis" else self.nir


@final
@dataclass(frozen=True)
class Values:
    """Which values there are in files of more than 8 bits."""

    low: int  # in no image more than 1 % of the pixels are darker
    high: int  # in no image more than 1 % of the pixels are brighter
    top: int  # the greatest, or the white that a file itself names


Found = Mapping[Modality, Values | None]  # None for a modality without files of more than 8 bits
Wanted = Mapping[Modality, Range | None]  # None leaves a modality to the files


def parsed(text: str, name: str) -> Range | None:
    """The range that a setting names; None where it leaves that to the files.

    Args:
        text: "BLACK-WHITE", such as "0-4095", or "".
        name: of the setting, for the message.

    Raises:
        UsageError: something else.
    """
    black, dash, white = text.partition("-")
    if not text:
        return None
    if dash and black.strip().isdecimal() and white.strip().isdecimal() and int(black) < int(white) <= FULL[1]:
        return int(black), int(white)
    raise UsageError(
        f"{name} is '{text}'; write BLACK-WHITE with two values from 0 to {FULL[1]}, such as 0-4095 for 12 bits"
    )


def with_levels(dataset: FaceDataset, levels: Levels) -> FaceDataset | None:
    """A copy of a data set whose field of this type, or that of the set that it stands around, is `levels`.

    None where there is no such field: what the data set reads has 8 bits.
    """
    for field in dataclasses.fields(dataset):  # type: ignore[arg-type]
        value = getattr(dataset, field.name)
        if isinstance(value, Levels):
            return dataclasses.replace(dataset, **{field.name: levels})  # type: ignore[type-var]
        if isinstance(value, FaceDataset) and (inner := with_levels(value, levels)) is not None:
            return dataclasses.replace(dataset, **{field.name: inner})  # type: ignore[type-var]
    return None


def levels_of(dataset: FaceDataset) -> Levels | None:
    """What becomes black and white in a data set, or in that which it stands around; None as `with_levels`."""
    for field in dataclasses.fields(dataset):  # type: ignore[arg-type]
        value = getattr(dataset, field.name)
        found = levels_of(value) if isinstance(value, FaceDataset) else value
        if isinstance(found, Levels):
            return found
    return None


def decided(found: Found, wanted: Wanted, name: str) -> tuple[Levels, list[str]]:
    """What becomes black and white in a data set, and one line about each modality with files of more than 8 bits.

    From 0 to the white of the smallest of 8, 10, 12, 14 and 16 bits that hold every value, unless a setting says
    otherwise.

    Args:
        found: as `nferbench.datasets.depth.values_in`.
        wanted: what settings say.
        name: of the data set, for the lines.
    """
    levels: dict[str, Range] = {}
    notes = []
    for modality in MODALITIES:
        values, range_ = found[modality], wanted.get(modality)
        setting = f"{modality}_levels"
        kind = f"{name}: {modality.upper()} files of more than 8 bits"
        if values is None:
            if range_ is not None:
                notes.append(f"{name}: {setting} has no effect, there are no {kind.partition(': ')[2]}")
            continue
        if range_ is not None:
            levels[modality] = range_
            notes.append(f"{kind}: {range_[0]} becomes black and {range_[1]} white, as set")
            continue
        bits = next(bits for bits in BITS if values.top < 1 << bits)
        white = (1 << bits) - 1
        levels[modality] = (0, white)
        notes.append(f"{kind} use {bits}: 0 becomes black and {white} white (--set {setting}=BLACK-WHITE sets others)")
        if values.low > NARROW * white:
            notes.append(
                f"{kind} hold hardly a value below {values.low} or above {values.high}, as counts of a radiometric "
                f"camera do, so that faces come out flat; --set {setting}={values.low}-{values.high} spreads them"
            )
    return Levels(**levels), notes
