"""What an image metric is: a frozen value that gives each translated face a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Better = Literal["higher", "lower"]
# Of (translated, real), or of (translated) alone: faces (B, 3, H, W) in [-1, 1] to (B,) floating point, a face each.
Measure = Callable[..., "Tensor"]


class ImageMetric(ABC):
    """A measure of translated faces. Subclasses are frozen dataclasses; raise `version` when the numbers change."""

    version: ClassVar[int] = 1
    decimals: ClassVar[int] = 4  # as printed, 0 to 9
    lacking: ClassVar[str] = ""  # why a real face may give nothing to measure by, see `load`; "" where each does

    name: str  # as typed on the command line; a dataclass field with compare=False
    title: str  # as printed in tables, without an arrow; a dataclass field with compare=False

    @property
    @abstractmethod
    def better(self) -> Better:
        """Which numbers are better: an arrow in tables, and what is printed bold."""

    @property
    def reference(self) -> bool:
        """Whether the real NIR face is needed, or the translated one alone."""
        return True

    @property
    def note(self) -> str:
        """What a reader of the column must know, one line without a full stop; "" for nothing."""
        return ""

    def ready(self) -> None:
        """Check that everything needed is installed and its weights are there; asked for before any work.

        Raises:
            UsageError: something is missing; the message says how to get it.
        """
        return

    @abstractmethod
    def load(self, device: torch.device) -> Measure:
        """The metric on a device.

        Returns:
            A function of (translated, real), or of (translated) where no `reference` is needed: both (B, 3, H, W) in
            [-1, 1] as stored in 8 bits, NIR as three equal channels. It gives (B,) finite floating point, the number of
            a face whatever its batch mates. Called in inference mode. Where `lacking` is set it may give NaN: the real
            face gives nothing to measure by, whatever the translation, and is left out in all rows alike. What a
            translation lacks is a result, and has a number.
        """


class MetricLibrary(ABC):
    """The metrics of another package, each asked for as LIBRARY:NAME. Subclasses are frozen dataclasses."""

    name: str  # as typed before the colon; a dataclass field with compare=False
    title: str  # as listed; a dataclass field with compare=False

    def ready(self) -> None:
        """Check that the package is installed.

        Raises:
            UsageError: it is not; the message says how to get it.
        """
        return

    @abstractmethod
    def metric(self, name: str) -> ImageMetric:
        """The metric that the package has under a name; it is called LIBRARY:NAME.

        Raises:
            UsageError: there is none, it gives no number a face, or the package is not installed.
        """


Metric = ImageMetric | MetricLibrary
