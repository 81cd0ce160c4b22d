"""What a face detector is: it finds faces, and perhaps their landmarks, in one picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Detection:
    """One face in a picture; whole numbers are pixel centres."""

    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
    landmarks: NDArray[np.float32] | None = None  # (K, 2) x, y in pixels; None where the detector finds boxes only

    @property
    def area(self) -> float:
        x1, y1, x2, y2 = self.box
        return max(x2 - x1, 0) * max(y2 - y1, 0)


class FaceDetector(ABC):
    """A way to find faces. Subclasses are frozen dataclasses; raise `version` when the same fields find other faces."""

    version: ClassVar[int] = 1
    points: ClassVar[int]  # landmarks a face; 0 where it finds boxes only

    name: str  # as typed on the command line; a dataclass field with compare=False
    title: str  # as printed; a dataclass field with compare=False

    def ready(self) -> None:
        """Check that everything needed is installed and its weights are there; asked for before any work.

        Raises:
            UsageError: something is missing; the message says how to get it.
        """
        return

    @abstractmethod
    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Find all faces.

        Args:
            pixels: (h, w, 3) RGB; NIR as three equal channels.

        Returns:
            The faces in any order; empty where there is none. The same picture gives the same faces.
        """
