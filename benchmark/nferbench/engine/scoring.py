"""Scoring translated test faces against their real NIR partners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nferbench.contract import pixels
from nferbench.engine.artifacts import prepared_faces, translated_faces, write_table
from nferbench.engine.context import EVALUATION_BATCH, Context
from nferbench.machine.cores import mapped
from nferbench.metrics.perceptual import load_lpips
from nferbench.metrics.quality import psnr, ssim
from nferbench.workspace.stages import ScoreTranslation

THREADED_SIDE = 128  # px from which on scoring on several cores gains more than handing over costs


def score_faces(stage: ScoreTranslation, context: Context) -> dict[str, Any]:
    """Score translated test faces against their NIR partners and write scores.csv, one row an image."""
    prepared = prepared_faces(stage.translation.source, context)
    images, translated = translated_faces(stage.translation, context)
    partner = {face.pair: row for row, face in enumerate(prepared.faces) if face.modality == "nir" and face.pair}
    lpips = load_lpips(context.device) if stage.lpips.startswith("lpips") else None
    table: list[dict[str, Any]] = []
    for start in range(0, len(translated), EVALUATION_BATCH):
        here = slice(start, start + EVALUATION_BATCH)
        targets = [partner[face.pair] for face in translated[here]]
        preds = pixels.to_float(torch.from_numpy(np.array(images[here])))
        nir = pixels.to_float(torch.from_numpy(np.array(prepared.images[targets])))
        distances = lpips(preds.to(context.device), nir.to(context.device)).tolist() if lpips else [""] * len(targets)
        for face, distance, scores in zip(translated[here], distances, pixel_scores(preds, nir), strict=True):
            named = {"id": face.id, "subject": face.subject, "expression": face.expression}
            table.append({**named, "lpips": distance, **scores})
        context.progress(len(table), len(translated))
    write_table(context.store.partial(stage) / "scores.csv", table)
    reason = {} if lpips else {"lpips_reason": stage.lpips}
    return {"images": len(table), "units": len(table), **reason}


def pixel_scores(preds: Tensor, target: Tensor) -> Iterable[dict[str, float]]:
    """PSNR and SSIM of each face in both conventions, on several cores where it pays.

    Args:
        preds: (B, 3, H, W) in [-1, 1], on the CPU.
        target: the real faces, likewise.
    """
    pairs = list(zip(preds.numpy(), target.numpy(), strict=True))
    several: Callable[[Callable[..., Any], Sequence[Any]], Iterable[Any]]
    several = mapped if preds.shape[-1] >= THREADED_SIDE else map
    return several(_scores_of, pairs)


def _scores_of(pair: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    pred, target = pair
    return {
        "psnr": psnr(pred, target, "standard"),
        "ssim": ssim(pred, target, "standard"),
        "psnr_paper": psnr(pred, target, "paper"),
        "ssim_paper": ssim(pred, target, "paper"),
    }
