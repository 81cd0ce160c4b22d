"""Networks compute in bfloat16 on a GPU and in float32 elsewhere, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nferbench import full_precision, mixed_precision
from nferbench.contract.precision import compute_in, meta_as_gpu, precision_on

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    compute_in("bf16")


def test_only_a_gpu_computes_in_bfloat16() -> None:
    assert precision_on(GPU) == "bf16"
    assert precision_on(CPU) == precision_on(torch.device("meta")) == "float32"


def test_float32_can_be_asked_for() -> None:
    compute_in("float32")
    assert precision_on(GPU) == "float32"


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_forward_outside_a_gpu_keeps_float32(device: str) -> None:
    layer = torch.nn.Linear(3, 3, device=device)
    with mixed_precision(torch.device(device)):
        assert layer(torch.zeros(2, 3, device=device)).dtype == torch.float32


def test_full_precision_holds_inside_autocast() -> None:
    layer, x = torch.nn.Linear(3, 3), torch.zeros(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        with full_precision(CPU):
            assert layer(x).dtype == torch.float32


def test_meta_stands_for_a_gpu_where_it_is_told_to() -> None:
    meta = torch.device("meta")
    with meta_as_gpu():
        assert precision_on(meta) == "bf16"
        with mixed_precision(meta):
            assert torch.is_autocast_enabled("cpu")  # autocast knows no `meta`; what traces reads this switch
            with full_precision(meta):
                assert not torch.is_autocast_enabled("cpu")
        compute_in("float32")
        assert precision_on(meta) == "float32"
    compute_in("bf16")
    assert precision_on(meta) == "float32"
