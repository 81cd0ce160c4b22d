"""No network passes for a fitted one that has neither learned anything nor been given anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from nferbench.contract.errors import UsageError
from nferbench.datasets.synthetic import SyntheticFaces
from nferbench.engine import fitting
from nferbench.workspace.stages import HeldOut, PrepareFaces, TrainNetwork
from nferbench_methods.pix2pix import Pix2PixRecipe


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_training_without_updates_and_without_weights_is_refused(
    epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "prepared_faces", lambda *_: SimpleNamespace(faces=()))
    monkeypatch.setattr(fitting, "pairs", lambda *_: (np.arange(4), np.arange(4)))
    monkeypatch.setattr(fitting, "_resident", lambda *_: None)
    faces = PrepareFaces(SyntheticFaces("set", "Set"), "content", 32, "given", 0)
    stage = TrainNetwork(Pix2PixRecipe(epochs=epochs), faces, HeldOut(0, ()), 0)
    context = cast(Any, SimpleNamespace(device=torch.device("cpu")))
    with pytest.raises(UsageError, match="updates of no given weights"):
        fitting.fit(stage, context)
