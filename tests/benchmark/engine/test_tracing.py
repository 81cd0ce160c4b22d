"""Memory and arithmetic that are followed on `meta` are those of the real thing, counted by hand or on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nferbench import full_precision, mixed_precision
from nferbench.engine.tracing import META, Ledger, following

KB = 1024


def empty(*shape: int, dtype: torch.dtype = torch.float32, grad: bool = False) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device=META, requires_grad=grad)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_peak_of_a_toy_is_that_of_a_count_by_hand(device: str) -> None:
    ledger = Ledger()
    with following(ledger):
        a = torch.empty(KB // 4, device=device)  # 1 KB
        b = a + 1  # 2 KB held
        c = b * 2  # 3 KB
        del b
        c.add_(1)  # in place
        view = c[:10]
        del c  # the view holds all of it
        assert (ledger.held, ledger.peak) == (2 * KB, 3 * KB)
        del view
    assert (ledger.held, ledger.peak) == (KB, 3 * KB)
    ledger.restart()
    assert ledger.peak == KB
    del a
    assert ledger.held == 0


def test_sizes_are_rounded_up_as_cuda_does() -> None:
    ledger = Ledger()
    with following(ledger):
        kept = empty(1), empty(129)
    assert ledger.held == 512 + 1024
    del kept


def test_operations_of_a_convolution_are_those_of_its_formula() -> None:
    ledger = Ledger()
    layer = nn.Conv2d(3, 8, 5, padding=2, device=META)
    with following(ledger):
        layer(empty(2, 3, 16, 16, grad=True)).sum().backward()
    once = 2 * (2 * 16 * 16 * 8) * (3 * 5 * 5)
    assert (ledger.bf16, ledger.float32) == (0, 3 * once)  # backward: for the input and for the weights
    ledger.restart()
    with following(ledger), mixed_precision(META), torch.no_grad():
        assert layer(empty(2, 3, 16, 16)).dtype == torch.bfloat16
    assert (ledger.bf16, ledger.float32) == (once, 0)


def test_a_convolution_counts_in_inference_mode_too() -> None:
    ledger = Ledger()
    layer = nn.Conv2d(3, 8, 1, device=META)
    with following(ledger), torch.inference_mode():
        layer(empty(2, 3, 4, 4))
    assert ledger.float32 == 2 * (2 * 4 * 4 * 8) * 3


def test_only_what_is_mixed_is_cast_and_what_cuda_keeps_is_kept() -> None:
    x = empty(2, 4, 8, 8)
    with following(Ledger()):
        assert F.conv2d(x, empty(4, 4, 3, 3)).dtype == torch.float32
        with mixed_precision(META):
            h = F.conv2d(x, empty(4, 4, 3, 3))
            assert h.dtype == F.silu(h).dtype == (h + h).dtype == torch.bfloat16
            assert (h.flatten(2) @ h.flatten(2).mT).dtype == F.linear(h, empty(5, 6)).dtype == torch.bfloat16
            assert F.group_norm(h, 2).dtype == h.softmax(1).dtype == F.mse_loss(h, h).dtype == torch.float32
            with full_precision(META):
                assert F.conv2d(x, empty(4, 4, 3, 3)).dtype == torch.float32
    with mixed_precision(META):
        assert F.conv2d(x, empty(4, 4, 3, 3)).dtype == torch.float32  # `meta` stands for no GPU any more


@pytest.mark.parametrize("mixed", [False, True])
def test_attention_is_fused(mixed: bool) -> None:
    """No matrix of weights: 8 heads of 1024 x 1024 would take 16 or 32 MB."""
    ledger = Ledger()
    with following(ledger):
        q = empty(1, 8, 1024, 64, grad=True)
        with mixed_precision(META) if mixed else full_precision(META):
            out = F.scaled_dot_product_attention(q, q, q)
        out.sum().backward()
    assert ledger.peak < 14e6
    forward = 2 * 2 * 8 * 1024 * 1024 * 64
    assert (ledger.bf16 if mixed else ledger.float32) == 3.5 * forward  # backward: 5 products, one of them done anew


def test_dropout_keeps_a_mask_of_bytes() -> None:
    ledger = Ledger()
    with following(ledger):
        x = empty(KB, grad=True)
        y = F.dropout(x, 0.5)
    assert ledger.held == (4 + 4 + 1) * KB
    del y


def test_what_is_computed_anew_is_computed_as_before() -> None:
    """In the same precision, though `backward` is called where nothing is mixed; counted once more."""
    ledger = Ledger()
    layer = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)).to(META)
    operations = []
    for anew in (False, True):
        ledger.restart()
        with following(ledger):
            x = empty(2, 4, 8, 8, grad=True)
            with mixed_precision(META):
                y = checkpoint(layer, x, use_reentrant=False) if anew else layer(x)
            y.sum().backward()
        operations.append(ledger.bf16)
    assert ledger.float32 == 0 and operations[1] == operations[0] * 4 / 3


def test_a_number_that_is_read_is_found() -> None:
    with following(Ledger()), pytest.raises(RuntimeError):
        empty(1).item()
