"""Does the geometry of an expression survive? What a detector finds in the translated face and in the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.ibug import EYE_CORNERS, POINTS
from nferbench.contract.metric import Better, ImageMetric, Measure
from nferbench.datasets.detected import largest
from nferbench.detectors.mesh import Mesh

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

MESH = Mesh()


@final
@dataclass(frozen=True)
class LandmarkDistance(ImageMetric):
    """How far the 68 points of a translated face lie from those of the real NIR face, on average.

    In units of the distance between the outer eye corners of the real face, and at most `missed`: that is also the
    number of a translation in which no face is found, so that a method gains nothing by faces that are none.
    """

    better: ClassVar[Better] = "lower"
    lacking: ClassVar[str] = "the detector finds no face in the real NIR image"

    name: str = field(default="landmarks", compare=False)
    title: str = field(default="Landmarks", compare=False)
    detector: FaceDetector = MESH
    missed: float = 1.0  # eye distances

    def __post_init__(self) -> None:
        if not 0 < self.missed < math.inf:
            raise ValueError(f"missed is {self.missed}; a distance above 0 is due")

    @property
    def note(self) -> str:
        return (
            f"mean distance of the points that {self.detector.name} finds from those in the real face, in distances of "
            f"its outer eye corners; at most {self.missed:g}, which stands for a translation without a face"
        )

    def ready(self) -> None:
        if self.detector.points != POINTS:
            raise UsageError(
                f"metric '{self.name}' needs {POINTS} landmarks a face and detector '{self.detector.name}' finds "
                f"{self.detector.points}; set metrics.{self.name}.detector to another (nferbench detectors)"
            )
        self.detector.ready()

    def load(self, device: torch.device) -> Measure:
        import torch

        def measure(translated: Tensor, real: Tensor) -> Tensor:
            pairs = zip(_pictures(translated), _pictures(real), strict=True)
            return torch.tensor([self._distance(*pair) for pair in pairs], dtype=torch.float64)

        return measure

    def _distance(self, translated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
        import numpy as np

        due = _points(self.detector, real)
        eyes = 0.0 if due is None else float(np.linalg.norm(due[EYE_CORNERS[0]] - due[EYE_CORNERS[1]]))
        if due is None or not eyes:
            return math.nan
        found = _points(self.detector, translated)
        if found is None:
            return self.missed
        return min(float(np.linalg.norm(found - due, axis=1).mean()) / eyes, self.missed)


@final
@dataclass(frozen=True)
class FacesMissed(ImageMetric):
    """In how many translations no face is found: how much of `LandmarkDistance` stands for none. 0 or 100 a face."""

    better: ClassVar[Better] = "lower"
    reference: ClassVar[bool] = False
    decimals: ClassVar[int] = 2

    name: str = field(default="faces-missed", compare=False)
    title: str = field(default="No face (%)", compare=False)
    detector: FaceDetector = MESH

    @property
    def note(self) -> str:
        return f"translations in which {self.detector.name} finds no face"

    def ready(self) -> None:
        self.detector.ready()

    def load(self, device: torch.device) -> Measure:
        import torch

        def measure(translated: Tensor) -> Tensor:
            missed = [_found(self.detector, picture) is None for picture in _pictures(translated)]
            return 100 * torch.tensor(missed, dtype=torch.float64)

        return measure


def _pictures(faces: Tensor) -> NDArray[np.uint8]:
    from nferbench.contract import pixels

    return pixels.to_uint8(faces).cpu().numpy()  # type: ignore[no-any-return]


def _found(detector: FaceDetector, picture: NDArray[np.uint8]) -> Detection | None:
    try:
        return largest(detector, picture)
    except DataError:  # none
        return None


def _points(detector: FaceDetector, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """The landmarks (68, 2) of the largest face in a picture; None where there is none, or it has none."""
    import numpy as np

    found = _found(detector, picture)
    return None if found is None or found.landmarks is None else np.asarray(found.landmarks, dtype=np.float64)


@hookimpl
def nferbench_metrics() -> list[ImageMetric]:
    return [LandmarkDistance(), FacesMissed()]
