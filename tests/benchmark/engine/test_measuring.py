"""Metrics of plugins are held to their contract: a number a face, or none where the real face gives no measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from nferbench.contract.errors import PluginError
from nferbench.contract.metric import ImageMetric, Measure
from nferbench.engine.measuring import measured

TRANSLATED, REAL = torch.full((2, 3, 4, 4), 0.5), torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), -1.0)])
NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Difference(ImageMetric):
    better: ClassVar = "lower"

    name: str = field(default="difference", compare=False)
    title: str = field(default="Difference", compare=False)

    def load(self, device: torch.device) -> Measure:
        return lambda translated, real: (translated - real).mean((1, 2, 3))


@dataclass(frozen=True)
class OfLitFaces(Difference):
    lacking: ClassVar = "the real face is black"


@dataclass(frozen=True)
class Alone(Difference):
    reference: ClassVar = False


def values(metric: ImageMetric, measure: Any) -> list[float | None]:
    return measured(metric, measure, TRANSLATED, REAL, ["a", "b"])


def test_each_face_has_its_number() -> None:
    assert values(Difference(), Difference().load(torch.device("cpu"))) == [0.5, 1.5]


def test_a_metric_without_reference_is_given_no_real_face() -> None:
    assert values(Alone(), lambda *faces: len(faces) * faces[0].mean((1, 2, 3))) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([0.1, 0.2], "gives list; a tensor of a number a face is due"),
        (0.5, "gives float; a tensor"),
        (torch.tensor(0.5), r"gives float32 of shape \(\); floating point of shape \(2,\) is due"),
        (torch.zeros(2, 1), r"gives float32 of shape \(2, 1\)"),
        (torch.zeros(3), r"gives float32 of shape \(3,\)"),
        (torch.zeros(2, dtype=torch.int64), r"gives int64 of shape \(2,\); floating point"),
        (torch.tensor([0.0, NAN]), "gives nan for face b; a finite number is due"),
        (torch.tensor([INF, 0.0]), "gives inf for face a; a finite number is due"),
        (torch.tensor([-INF, 0.0]), "gives -inf for face a"),
    ],
)
def test_what_is_no_finite_number_a_face_is_refused_by_name(answer: Any, reason: str) -> None:
    with pytest.raises(PluginError, match=f"^metric 'difference' {reason}") as raised:
        values(Difference(), lambda translated, real: answer)
    assert "\n" not in str(raised.value)


def test_a_real_face_that_gives_no_measure_is_left_out() -> None:
    def measure(translated: Tensor, real: Tensor) -> Tensor:
        level = real.mean((1, 2, 3))
        return torch.where(level > -1, level, torch.nan)

    assert values(OfLitFaces(), measure) == [0.0, None]
    with pytest.raises(PluginError, match="'difference' gives nan for face b"):
        values(Difference(), measure)
    with pytest.raises(PluginError, match="gives inf for face a"):
        values(OfLitFaces(), lambda translated, real: torch.tensor([INF, NAN]))


def test_what_a_translation_lacks_is_no_gap_in_the_table() -> None:
    def measure(translated: Tensor, real: Tensor) -> Tensor:
        level = translated.mean((1, 2, 3))
        return torch.where(level < 0.5, level, torch.nan)

    with pytest.raises(PluginError, match="NaN for a translation whose real face it can measure"):
        values(OfLitFaces(), measure)


def test_a_metric_cannot_change_the_faces_of_the_next() -> None:
    def measure(translated: Tensor, real: Tensor) -> Tensor:
        return translated.zero_().mean((1, 2, 3)) + real.fill_(3).mean((1, 2, 3))

    assert values(Difference(), measure) == [3, 3]
    assert TRANSLATED.mean() == 0.5 and REAL.mean() == -0.5


def test_faces_that_do_not_fit_at_once_have_the_numbers_that_they_have() -> None:
    def scarce(translated: Tensor, real: Tensor) -> Tensor:
        if len(translated) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return (translated - real).mean((1, 2, 3))

    assert values(Difference(), scarce) == [0.5, 1.5]
