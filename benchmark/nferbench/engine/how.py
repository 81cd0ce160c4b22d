"""How numbers are computed: what a user may choose of it, and how a process is set to it.

None of it is part of a key; what was used is recorded with each result.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["bf16", "float32"]


@dataclass(frozen=True)
class How:
    """What decides of a number its rounding alone."""

    precision: Precision = "bf16"  # of networks on a GPU; the rest has TF32 with "bf16" and 32 bits with "float32"
    piece: int | None = None  # pairs of an update that are computed at a time; None: all on a CPU, what fits on a GPU
    compiled: bool = False  # whether networks are compiled by torch
    deterministic: bool = False  # whether a GPU takes the algorithms that repeat themselves


AS_USUAL = How()


def settle(how: How, device: torch.device) -> None:
    """Set this process to compute so; before anything was computed on the device."""
    import torch

    from nferbench.contract.precision import compute_in

    torch.set_num_threads(1)  # the same sums in the same order with any number of workers
    compute_in(how.precision)
    if device.type != "cuda":
        return
    short = how.precision == "bf16"
    torch.set_float32_matmul_precision("high" if short else "highest")
    torch.backends.cudnn.allow_tf32 = short
    torch.backends.cudnn.benchmark = not how.deterministic
    if how.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)  # a few gradients have no such algorithm
