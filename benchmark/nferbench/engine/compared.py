"""Translated test faces beside their real NIR partners, as metrics see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nferbench.contract import pixels
from nferbench.contract.dataset import Face
from nferbench.engine.artifacts import prepared_faces, translated_faces
from nferbench.engine.context import EVALUATION_BATCH, Context
from nferbench.workspace.stages import Translation


@dataclass(frozen=True)
class Compared:
    """Some test faces, in 8 bits before they became floating point."""

    faces: Sequence[Face]
    translated: Tensor  # (B, 3, H, W) in [-1, 1], on the CPU
    real: Tensor  # their partners, likewise

    def named(self) -> list[dict[str, Any]]:
        """The columns that name each face in a table of scores."""
        return [{"id": face.id, "subject": face.subject, "expression": face.expression} for face in self.faces]


def compared(stage: Translation, context: Context) -> Iterator[Compared]:
    """All faces of a translation, `EVALUATION_BATCH` at a time; tells the progress after each."""
    prepared = prepared_faces(stage.source, context)
    images, translated = translated_faces(stage, context)
    partner = {face.pair: row for row, face in enumerate(prepared.faces) if face.modality == "nir" and face.pair}
    for start in range(0, len(translated), EVALUATION_BATCH):
        here = slice(start, start + EVALUATION_BATCH)
        targets = [partner[face.pair] for face in translated[here]]
        yield Compared(
            translated[here],
            pixels.to_float(torch.from_numpy(np.array(images[here]))),
            pixels.to_float(torch.from_numpy(np.array(prepared.images[targets]))),
        )
        context.progress(min(here.stop, len(translated)), len(translated))
