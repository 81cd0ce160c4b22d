"""Scoring many faces is scoring each."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nferbench.contract import pixels
from nferbench.contract.dataset import Face
from nferbench.engine import scoring
from nferbench.engine.compared import Compared
from nferbench.engine.context import Context
from nferbench.engine.scoring import THREADED_SIDE, pixel_scores
from nferbench.metrics.quality import psnr, ssim


@pytest.mark.parametrize("side", [16, THREADED_SIDE])
def test_faces_are_scored_in_order_and_each_by_itself(side: int) -> None:
    faces = torch.randint(0, 256, (6, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    preds, target = pixels.to_float(faces), pixels.grey(pixels.to_float(faces.flip(0)))
    scores = list(pixel_scores(preds, target))
    assert len({score["ssim"] for score in scores}) == 6
    for score, pred, real in zip(scores, preds.numpy(), target.numpy(), strict=True):
        assert score == {
            "psnr": psnr(pred, real, "standard"),
            "ssim": ssim(pred, real, "standard"),
            "psnr_paper": psnr(pred, real, "paper"),
            "ssim_paper": ssim(pred, real, "paper"),
        }


def test_faces_that_memory_is_too_short_for_are_scored_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(translated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        if len(translated) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return (translated - real).mean((1, 2, 3))

    faces = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    people = [Face(f"{i}", "vis", "a", "fear") for i in range(3)]
    monkeypatch.setattr(scoring, "compared", lambda *_: [Compared(people, faces, faces.flip(0))])
    monkeypatch.setattr(scoring.Lpips, "load", lambda *_: scarce)
    store: Any = SimpleNamespace(partial=lambda _: tmp_path)
    stage: Any = SimpleNamespace(lpips="lpips-alex", translation=None)
    scoring.score_faces(stage, Context(store, {}, torch.device("cpu"), None))
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        found = [float(row["lpips"]) for row in csv.DictReader(file)]
    assert found == pytest.approx((faces - faces.flip(0)).mean((1, 2, 3)).tolist(), abs=1e-5)
