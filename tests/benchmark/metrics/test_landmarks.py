"""The distance of landmarks, against ones worked out by hand, and of real faces where a detector is at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nferbench.contract import pixels
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.ibug import EYE_CORNERS
from nferbench.datasets.images import read_image
from nferbench.metrics.landmarks import FacesMissed, LandmarkDistance

CPU = torch.device("cpu")
EYES = 10.0  # pixels between the outer eye corners that `Marked` finds


@dataclass(frozen=True)
class Marked(FaceDetector):
    """A face where one pixel is white: all points lie there, but for the right eye corner, which lies `EYES` beside it.

    Two white pixels are two faces, of which the right one is larger.
    """

    points: ClassVar[int] = 68

    name: str = field(default="marked", compare=False)
    title: str = field(default="Marked", compare=False)
    apart: float = EYES

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        found = []
        for row, column in np.argwhere(pixels[..., 0] == 255):
            points = np.tile(np.array([column, row], np.float32), (68, 1))
            points[EYE_CORNERS[1], 0] += self.apart
            found.append(Detection((0.0, 0.0, float(column), 1.0), points))
        return tuple(found)


@dataclass(frozen=True)
class Boxes(FaceDetector):
    """Finds no landmarks."""

    points: ClassVar[int] = 0

    name: str = field(default="boxes", compare=False)
    title: str = field(default="Boxes", compare=False)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        return ()


def marked(*places: tuple[int, int]) -> torch.Tensor:
    """A dark face (1, 3, 32, 32) with white pixels at (x, y)."""
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    for x, y in places:
        picture[0, y, x] = 255
    return pixels.to_float(torch.from_numpy(picture))


def distance(translated: torch.Tensor, real: torch.Tensor, **fields: float) -> float:
    return LandmarkDistance(detector=Marked(), **fields).load(CPU)(translated, real).item()


def test_the_distance_is_in_units_of_the_eyes_of_the_real_face() -> None:
    assert distance(marked((3, 4)), marked((3, 4))) == 0
    assert distance(marked((6, 8)), marked((3, 4))) == pytest.approx(5 / EYES)
    metric = LandmarkDistance(detector=Marked(apart=2 * EYES))
    assert metric.load(CPU)(marked((6, 8)), marked((3, 4))).item() == pytest.approx(5 / (2 * EYES))


def test_a_translation_without_a_face_counts_as_far_off_and_no_face_counts_as_farther() -> None:
    assert distance(marked(), marked((3, 4))) == 1
    assert distance(marked((29, 4)), marked((3, 4))) == 1  # 2.6 eye distances away
    assert distance(marked(), marked((3, 4)), missed=3.0) == 3
    assert distance(marked((29, 4)), marked((3, 4)), missed=3.0) == pytest.approx(2.6)


def test_a_real_face_that_is_not_found_gives_nothing_to_measure_by() -> None:
    for translated in (marked((3, 4)), marked()):
        assert np.isnan(distance(translated, marked()))
    none = LandmarkDistance(detector=Marked(apart=0.0)).load(CPU)
    assert none(marked((3, 4)), marked((3, 4))).isnan().all()  # no unit


def test_the_largest_face_is_the_one_meant() -> None:
    assert distance(marked((3, 4), (20, 8)), marked((20, 8))) == 0


def test_translations_without_a_face_are_counted() -> None:
    metric = FacesMissed(detector=Marked())
    assert not metric.reference
    assert metric.load(CPU)(torch.cat([marked((3, 4)), marked()])).tolist() == [0, 100]


def test_a_detector_without_68_landmarks_is_refused_and_no_distance_above_0() -> None:
    with pytest.raises(UsageError, match="needs 68 landmarks a face and detector 'boxes' finds 0"):
        LandmarkDistance(detector=Boxes()).ready()
    FacesMissed(detector=Boxes()).ready()
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="missed is"):
            LandmarkDistance(missed=wrong)


def test_a_real_face_lies_nearer_to_itself_moved_than_to_another_expression(shared: Path) -> None:
    metric = LandmarkDistance()
    try:
        metric.ready()
    except UsageError as error:
        pytest.skip(str(error))
    folder = shared / "faces-london" / "nir"
    neutral, smiling = (read_image(folder / what / "001.jpg") for what in ("neutral", "smiling"))
    moved = np.roll(neutral, 1, axis=1)
    side = min(*neutral.shape[:2], *smiling.shape[:2])
    real, same, other = (
        pixels.to_float(torch.from_numpy(each[None, :side, :side].copy())) for each in (neutral, moved, smiling)
    )
    measure = metric.load(CPU)
    near, far = measure(same, real).item(), measure(other, real).item()
    assert 0 < near < 0.03 < far < 1
    assert measure(torch.zeros_like(real), real).item() == 1
