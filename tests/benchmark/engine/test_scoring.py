"""Scoring many faces is scoring each."""

from __future__ import annotations

import pytest
import torch

from nferbench.contract import pixels
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
