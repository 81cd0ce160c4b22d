"""The units of work, as frozen values that say which other stages they need.

Equal stages are the same work and are done once: SDEdit, ILVR, EGSDE and the ablation's baseline name equal recipes, so
there is one training for the four of them. Nothing here runs anything (`nferbench.engine.execute` does) or knows where
results lie (`nferbench.workspace.store` does).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, final

from nferbench.contract.dataset import FaceDataset, Modality
from nferbench.contract.fer import FERModel
from nferbench.contract.metric import ImageMetric
from nferbench.contract.translator import FaceSpec, NetworkRecipe, Translator
from nferbench.contract.values import LATER, describe, digest, told


class Stage(ABC):
    """One unit of work. Subclasses are frozen dataclasses; raise `version` when the same fields give other results."""

    kind: ClassVar[str]  # the folder of the workspace that its results lie in
    version: ClassVar[int] = 1

    @abstractmethod
    def needs(self) -> tuple[Stage, ...]:
        """The stages whose results this one reads."""

    @abstractmethod
    def label(self) -> str:
        """A readable name: letters, digits, dots and dashes."""


@cache
def description(stage: Stage) -> dict[str, Any]:
    """What a stage is, as JSON data: kind, version, all fields with defaults, and the keys of the stages it needs."""
    fields = {
        field.name: describe(getattr(stage, field.name))
        for field in dataclasses.fields(stage)  # type: ignore[arg-type]
        if told(field, getattr(stage, field.name)) and not _is_need(getattr(stage, field.name))
    }
    return {"kind": stage.kind, "version": stage.version, **fields, "needs": [key(need) for need in stage.needs()]}


def _is_need(value: object) -> bool:
    items = value if isinstance(value, tuple) else (value,)
    return all(isinstance(item, Stage) for item in items)


@cache
def key(stage: Stage) -> str:
    """The name under which a stage is stored: 64 hex digits, from values only."""
    return digest(description(stage))


KINDS = ("faces", "networks", "translations", "quality", "recognition")  # of all stages, in the order of work


def readable(stage: Stage) -> str:
    """How a stage is called in messages."""
    return f"{stage.kind} {stage.label()}"


@dataclass(frozen=True)
class HeldOut:
    """The part of a data set that nothing fitted on this fold may see. Everyone else trains."""

    described_as: ClassVar[str] = "nferbench.stages.HeldOut"

    index: int  # of the fold, from 0
    test: tuple[str, ...]  # subjects, sorted


@final
@dataclass(frozen=True)
class PrepareFaces(Stage):
    """Decode and crop every face of a data set, once."""

    kind: ClassVar[str] = "faces"

    dataset: FaceDataset
    content: str  # fingerprint of the listed faces and their files
    size: int  # side of the crops in pixels
    crop: str  # recipe, see `nferbench.faces.crops`
    landmarks: int  # points per face; 0 where the data set has none
    # Whether NIR faces are laid on their VIS faces, see `nferbench.faces.registration`.
    register: bool = dataclasses.field(default=False, metadata={LATER: True})
    smooth: bool = dataclasses.field(default=False, metadata={LATER: True})  # whether the crops of a sequence agree

    def needs(self) -> tuple[Stage, ...]:
        return ()

    def label(self) -> str:
        return f"{self.dataset.name}-{self.size}px"

    def spec(self) -> FaceSpec:
        return FaceSpec(self.size, self.landmarks)


@final
@dataclass(frozen=True)
class TrainNetwork(Stage):
    """Fit one network on the training pairs of a fold."""

    kind: ClassVar[str] = "networks"

    recipe: NetworkRecipe
    faces: PrepareFaces
    fold: HeldOut
    seed: int
    role: str = dataclasses.field(default="network", compare=False)  # what it is called in lists

    def needs(self) -> tuple[Stage, ...]:
        return (self.faces,)

    def label(self) -> str:
        return f"{self.role}-{self.faces.dataset.name}-fold{self.fold.index}"

    def spec(self) -> FaceSpec:
        return self.faces.spec()


@final
@dataclass(frozen=True)
class GivenNetwork(Stage):
    """A network whose fitted weights are a file, as `pretrain` or a training writes it. Where it lies is no matter."""

    kind: ClassVar[str] = "networks"

    recipe: NetworkRecipe
    size: int  # side of the faces that it is for, in pixels
    landmarks: int  # points per face; 0 where faces have none
    sha256: str  # of the file
    role: str = dataclasses.field(default="network", compare=False)  # what it is called in lists

    def needs(self) -> tuple[Stage, ...]:
        return ()

    def label(self) -> str:
        return f"{self.role}-given-{self.size}px"

    def spec(self) -> FaceSpec:
        return FaceSpec(self.size, self.landmarks)


@final
@dataclass(frozen=True)
class Translate(Stage):
    """Translate the VIS test faces of a fold that have a NIR partner, or all VIS faces of the extra set or of images.

    A translator without networks is fitted on nothing: its `networks` are empty and it serves every fold.
    """

    kind: ClassVar[str] = "translations"

    translator: Translator
    networks: tuple[TrainNetwork | GivenNetwork, ...]  # in the order of sorted roles
    source: PrepareFaces
    part: Literal["test", "all"]
    fold: HeldOut | None  # None where nothing depends on the fold
    seed: int
    first: int | None = dataclasses.field(default=None, metadata={LATER: True})  # this many of the faces; None: all
    # Ids of those that are wanted of the part; None: all.
    only: tuple[str, ...] | None = dataclasses.field(default=None, metadata={LATER: True})

    def needs(self) -> tuple[Stage, ...]:
        return (self.source, *self.networks)

    def label(self) -> str:
        fold = "" if self.fold is None else f"-fold{self.fold.index}"
        first = "" if self.first is None else f"-first{self.first}"
        return f"{self.translator.name}-{self.source.dataset.name}-{self.part}{fold}{first}"


@final
@dataclass(frozen=True)
class GivenImages(Stage):
    """Take images that others translated, and store them as a translation of the same faces would be."""

    kind: ClassVar[str] = "translations"

    name: str = dataclasses.field(compare=False)  # of the row
    # The id of each face, as they are stored, and the file that holds its image. Where that lies decides nothing.
    files: tuple[tuple[str, str], ...] = dataclasses.field(compare=False)
    content: str  # fingerprint of the ids and of what their files hold
    scaled: bool  # whether images of another side were scaled to that of the faces
    source: PrepareFaces
    part: Literal["test", "all"]
    fold: HeldOut | None  # None where one set of images serves all folds

    def needs(self) -> tuple[Stage, ...]:
        return (self.source,)

    def label(self) -> str:
        fold = "" if self.fold is None else f"-fold{self.fold.index}"
        return f"{self.name}-{self.source.dataset.name}-{self.part}{fold}"


Translation = Translate | GivenImages


@final
@dataclass(frozen=True)
class ScoreTranslation(Stage):
    """Compare translated test faces with their real NIR partners: LPIPS, PSNR, SSIM per image."""

    kind: ClassVar[str] = "quality"

    translation: Translation
    lpips: str  # identity of the LPIPS weights, or why there are none

    def needs(self) -> tuple[Stage, ...]:
        return (self.translation, self.translation.source)

    def label(self) -> str:
        return self.translation.label()


@final
@dataclass(frozen=True)
class MeasureTranslation(Stage):
    """Measure translated test faces by one metric beside those of `ScoreTranslation`: a number per image."""

    kind: ClassVar[str] = "quality"

    translation: Translation
    metric: ImageMetric

    def needs(self) -> tuple[Stage, ...]:
        return (self.translation, self.translation.source)

    def label(self) -> str:
        return f"{self.translation.label()}-{self.metric.name.replace(':', '-')}"


@final
@dataclass(frozen=True)
class Recognise(Stage):
    """Fit an expression recogniser on the NIR training faces of a fold plus an extra set; test it on real NIR faces."""

    kind: ClassVar[str] = "recognition"

    fer: FERModel
    faces: PrepareFaces
    fold: HeldOut
    seed: int
    extra: PrepareFaces | Translation | None  # None: NIR only
    extra_modality: Modality = "nir"  # which faces of a prepared extra set; the oracle reads its NIR
    repeat: int = dataclasses.field(default=0, metadata={LATER: True})  # which of several trainings that differ by seed

    def needs(self) -> tuple[Stage, ...]:
        if self.extra is None:
            return (self.faces,)
        source = (self.extra.source,) if isinstance(self.extra, Translation) else ()
        return (self.faces, self.extra, *source)

    def label(self) -> str:
        if self.extra is None:
            training = "nir-only"
        elif isinstance(self.extra, Translate):
            training = self.extra.translator.name
        elif isinstance(self.extra, GivenImages):
            training = self.extra.name
        else:
            training = "oracle"
        repeat = f"-seed{self.repeat}" if self.repeat else ""
        return f"{self.fer.name}-{training}-{self.faces.dataset.name}-fold{self.fold.index}{repeat}"
