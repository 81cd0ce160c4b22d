"""Batches reach a device as they are, and a GPU without waiting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nferbench.engine.placing import sent


def test_values_arrive_with_their_type_and_order() -> None:
    rows = np.array([5, 2, 9])
    there = sent(rows, torch.device("cpu"))
    assert there.dtype == torch.int64 and there.tolist() == [5, 2, 9]


def test_a_gpu_gets_them_from_pinned_memory_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: calls.append("pinned") or tensor)
    monkeypatch.setattr(Tensor, "to", lambda tensor, device, **how: calls.append((device, how)) or tensor)
    sent(np.zeros(2), torch.device("cuda", 1))
    assert calls == ["pinned", (torch.device("cuda", 1), {"non_blocking": True})]
