"""Scoring translated test faces against their real NIR partners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nferbench.contract import pixels
from nferbench.engine.artifacts import prepared_faces, translated_faces, write_table
from nferbench.engine.context import EVALUATION_BATCH, Context
from nferbench.workspace.stages import ScoreTranslation


def score_faces(stage: ScoreTranslation, context: Context) -> dict[str, Any]:
    """Score translated test faces against their NIR partners and write scores.csv, one row an image."""
    from nferbench.metrics.perceptual import load_lpips
    from nferbench.metrics.quality import psnr, ssim

    prepared = prepared_faces(stage.translation.source, context)
    images, translated = translated_faces(stage.translation, context)
    partner = {face.pair: row for row, face in enumerate(prepared.faces) if face.modality == "nir" and face.pair}
    lpips = load_lpips(context.device) if stage.lpips.startswith("lpips") else None
    table = []
    for start in range(0, len(translated), EVALUATION_BATCH):
        here = slice(start, start + EVALUATION_BATCH)
        targets = [partner[face.pair] for face in translated[here]]
        preds = pixels.to_float(torch.from_numpy(np.array(images[here])).to(context.device))
        nir = pixels.to_float(torch.from_numpy(np.array(prepared.images[targets])).to(context.device))
        columns: dict[str, Sequence[Any]] = {
            "lpips": lpips(preds, nir).tolist() if lpips else [""] * len(targets),
            "psnr": psnr(preds, nir, "standard").tolist(),
            "ssim": ssim(preds, nir, "standard").tolist(),
            "psnr_paper": psnr(preds, nir, "paper").tolist(),
            "ssim_paper": ssim(preds, nir, "paper").tolist(),
        }
        for i, face in enumerate(translated[here]):
            table.append(
                {"id": face.id, "subject": face.subject, "expression": face.expression}
                | {name: column[i] for name, column in columns.items()}
            )
        context.progress(len(table), len(translated))
    write_table(context.store.partial(stage) / "scores.csv", table)
    reason = {} if lpips else {"lpips_reason": stage.lpips}
    return {"images": len(table), "units": len(table), **reason}
