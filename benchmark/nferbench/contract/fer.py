"""What an expression recogniser is: a frozen value that builds, learns and applies a classifier of NIR faces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class LabelledBatch:
    """Faces with their expression, on the device, not augmented."""

    images: Tensor  # (B, 3, H, W) in [-1, 1]
    labels: Tensor  # (B,) int64, index into the class set of the data


class FERLearner(ABC):
    """One training of a classifier under way; the same rules as for `nferbench.Learner`."""

    @abstractmethod
    def step(self, batch: LabelledBatch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        """Do update number k (0-based); return the losses as detached 0-d tensors, left on the device."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """The state dict of the fitted classifier."""


class FERModel(ABC):
    """A recogniser of expressions. Subclasses are frozen dataclasses; raise `version` when behaviour changes."""

    version: ClassVar[int] = 1
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    name: str  # as typed on the command line; a dataclass field with compare=False
    title: str  # as printed in tables; a dataclass field with compare=False
    batch_size: int

    @abstractmethod
    def build(self, size: int, classes: int) -> nn.Module:
        """A freshly initialised classifier for faces of side `size`, drawn from torch's global generator.

        Raises:
            UsageError: weights that were asked for are not where they should be.
        """

    @abstractmethod
    def learner(self, network: nn.Module, samples: int) -> FERLearner:
        """A training of `network` (already on its device) on `samples` labelled faces."""

    @abstractmethod
    def updates(self, samples: int) -> int:
        """The number of updates of a full training on `samples` faces."""

    @abstractmethod
    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Class scores (B, C) of faces (B, 3, H, W) in [-1, 1], test-time transform included; in eval mode."""
