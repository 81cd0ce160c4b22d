"""What stages are done with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nferbench.contract.errors import StoppedError
from nferbench.contract.translator import Translator
from nferbench.engine.how import AS_USUAL, How
from nferbench.planning.code import foreign
from nferbench.workspace.stages import Stage
from nferbench.workspace.store import Store
from nferbench.workspace.unfinished import Unfinished

EVALUATION_BATCH = 32  # faces scored or recognised at a time; fixed, so that no setting can move a last digit


@dataclass(frozen=True)
class Context:
    """What a stage is done with; nothing of it may change a result on a CPU."""

    store: Store
    roots: Mapping[str, Path]  # by the key of a stage: the data root of faces, or the file of given weights
    device: torch.device
    batch: int | None  # images translated at a time; None: as many as the device has memory for
    checkpoint_seconds: float = 30.0
    how: How = AS_USUAL
    sharing: int = 1  # workers on the device, this one included
    progress: Callable[[int, int], None] = lambda done, total: None
    tell: Callable[[str], None] = print  # a line on what a user should know
    stopping: Callable[[], str] = lambda: ""  # the signal that asked to stop; "" while none did
    # By translator and side of the faces: images at a time that fitted where more did not, for the stages to come.
    fitting: dict[tuple[Translator, int], int] = field(default_factory=dict)

    def reached(self, done: int, total: int) -> None:
        """Tell how far a stage is of which all that is done lies on disk.

        Raises:
            StoppedError: a signal asked to stop.
        """
        self.progress(done, total)
        if done < total and (name := self.stopping()):
            raise StoppedError(f"stopped by {name}; the same command goes on from its checkpoint")

    def unfinished(self, stage: Stage) -> Unfinished:
        """What an earlier attempt at a stage left."""
        return self.store.unfinished(stage, foreign(stage))
