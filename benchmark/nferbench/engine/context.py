"""What stages are done with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from nferbench.workspace.store import Store

EVALUATION_BATCH = 32  # faces scored or recognised at a time; fixed, so that no setting can move a last digit


@dataclass(frozen=True)
class Context:
    """What a stage is done with; nothing of it may change a result on a CPU."""

    store: Store
    roots: Mapping[str, Path]  # data root by the key of the stage that prepares the faces there
    device: torch.device
    batch: int  # images translated at a time; halved when the device runs out of memory
    checkpoint_seconds: float = 30.0
    progress: Callable[[int, int], None] = lambda done, total: None
