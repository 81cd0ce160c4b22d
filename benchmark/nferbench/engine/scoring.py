"""Scoring translated test faces against their real NIR partners by the metrics of the published tables, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nferbench.contract.metric import ImageMetric
from nferbench.engine.artifacts import write_table
from nferbench.engine.batches import in_halves
from nferbench.engine.compared import compared
from nferbench.engine.context import Context
from nferbench.machine.cores import mapped
from nferbench.metrics.published import Lpips, Psnr, Ssim
from nferbench.workspace.stages import ScoreTranslation

THREADED_SIDE = 128  # px from which on scoring on several cores gains more than handing over costs
# The columns of scores.csv beside LPIPS.
PIXELWISE: Mapping[str, ImageMetric] = {
    "psnr": Psnr(),
    "ssim": Ssim(),
    "psnr_paper": Psnr(convention="paper"),
    "ssim_paper": Ssim(convention="paper"),
}


def score_faces(stage: ScoreTranslation, context: Context) -> dict[str, Any]:
    """Score translated test faces against their NIR partners and write scores.csv, one row an image."""
    lpips = Lpips().load(context.device) if stage.lpips.startswith("lpips") else None
    table: list[dict[str, Any]] = []
    for batch in compared(stage.translation, context):
        faces = (batch.translated.to(context.device), batch.real.to(context.device))
        distances = in_halves(lpips, *faces).tolist() if lpips else [""] * len(batch.faces)
        table += [
            {**named, "lpips": distance, **scores}
            for named, distance, scores in zip(
                batch.named(), distances, pixel_scores(batch.translated, batch.real), strict=True
            )
        ]
    write_table(context.store.partial(stage) / "scores.csv", table)
    reason = {} if lpips else {"lpips_reason": stage.lpips}
    return {"images": len(table), "units": len(table), **reason}


def pixel_scores(preds: Tensor, target: Tensor) -> Iterable[dict[str, float]]:
    """PSNR and SSIM of each face in both conventions, on several cores where it pays.

    Args:
        preds: (B, 3, H, W) in [-1, 1], on the CPU.
        target: the real faces, likewise.
    """
    measures = {name: metric.load(torch.device("cpu")) for name, metric in PIXELWISE.items()}

    def scores_of(pair: tuple[Tensor, Tensor]) -> dict[str, float]:
        return {name: measure(*pair).item() for name, measure in measures.items()}

    several: Callable[[Callable[..., Any], Sequence[Any]], Iterable[Any]]
    several = mapped if preds.shape[-1] >= THREADED_SIDE else map
    return several(scores_of, list(zip(preds[:, None], target[:, None], strict=True)))
