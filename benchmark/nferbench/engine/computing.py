"""Which stages compute on a device."""

from __future__ import annotations

from nferbench.workspace.stages import MeasureTranslation, Recognise, ScoreTranslation, Stage, TrainNetwork, Translate


def computes(stage: Stage) -> bool:
    """Whether a stage computes on the device of its process; the others say nothing of that device when they end."""
    return isinstance(stage, TrainNetwork | Translate | MeasureTranslation | Recognise) or (
        isinstance(stage, ScoreTranslation) and stage.lpips.startswith("lpips")
    )
