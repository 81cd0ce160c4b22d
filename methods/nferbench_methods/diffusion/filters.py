"""The low-pass filter of ILVR and EGSDE, and the high-pass filter of NFER-SDE that is left when it is taken away.

Both papers shrink an image by N and enlarge it again. Each direction is an exact matrix for rows and for columns: pixel
centres aligned, kernel stretched by N on the way down against aliasing, weights of each output summing to one, and the
image mirrored at its edges with the edge pixel repeated. All of it is linear: gradients are written down, not traced.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from nferbench import UsageError

Kernel = Literal["linear", "bicubic", "box"]


def shrink_factor(method: str, cells: int, side: int) -> int:
    """N of a filter that keeps `cells` x `cells` values of a face of `side` x `side` pixels: side / cells.

    Raises:
        UsageError: `cells` does not divide `side`; the message begins with the name of the method.
    """
    if side % cells:
        raise UsageError(f"{method}: {cells} cells do not divide faces of {side} px; set cells to a divisor")
    return side // cells


def low_pass(x: Tensor, n: int, kernel: Kernel) -> Tensor:
    """phi_N(x): images (B, C, H, W) shrunk by `n` and enlarged again; n = 1 changes nothing."""
    (down_h, up_h), (down_w, up_w) = (_factors(side, n, kernel, x.dtype, x.device) for side in x.shape[-2:])
    return _separable(_separable(x, down_h, down_w), up_h, up_w)


def low_pass_transposed(x: Tensor, n: int, kernel: Kernel) -> Tensor:
    """The transpose of phi_N applied to x; phi_N itself where n divides the sides."""
    (down_h, up_h), (down_w, up_w) = (_factors(side, n, kernel, x.dtype, x.device) for side in x.shape[-2:])
    return _separable(_separable(x, up_h.mT, up_w.mT), down_h.mT, down_w.mT)


def high_pass(x: Tensor, n: int, kernel: Kernel) -> Tensor:
    """Phi(x) = x - phi_N(x); constants vanish."""
    return x - low_pass(x, n, kernel)


def high_pass_transposed(x: Tensor, n: int, kernel: Kernel) -> Tensor:
    """The transpose of Phi applied to x."""
    return x - low_pass_transposed(x, n, kernel)


def _separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ x @ columns^T for each channel of each image, as products whose shape does not depend on the batch."""
    planes = x.flatten(0, 1)
    count = len(planes)
    planes = torch.bmm(torch.bmm(rows.expand(count, -1, -1), planes), columns.mT.expand(count, -1, -1))
    return planes.view(*x.shape[:2], *planes.shape[1:])


@lru_cache(maxsize=64)
def _factors(side: int, n: int, kernel: Kernel, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # a cached tensor must be of use outside of inference mode, too
        small = ceil(side / n)
        down, up = resize_matrix(side, small, 1 / n, kernel), resize_matrix(small, side, n, kernel)
        return down.to(device, dtype), up.to(device, dtype)


def resize_matrix(side: int, new_side: int, scale: float, kernel: Kernel) -> Tensor:
    """The matrix (new_side, side), float64, that resizes one axis by `scale`; its rows sum to one."""
    stretch = min(scale, 1.0)
    centre = (torch.arange(new_side, dtype=torch.float64) + 0.5) / scale - 0.5
    reach = ceil(2 / stretch) + 1  # two input pixels to each side is the widest kernel
    source = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weight = _KERNELS[kernel]((source - centre[:, None]) * stretch)
    weight = weight / weight.sum(1, keepdim=True)
    mirrored = source.remainder(2 * side)
    mirrored = torch.minimum(mirrored, 2 * side - 1 - mirrored)
    return torch.zeros(new_side, side, dtype=torch.float64).scatter_add_(1, mirrored, weight)


def _linear(u: Tensor) -> Tensor:
    return (1 - u.abs()).clamp(min=0)


def _bicubic(u: Tensor) -> Tensor:
    """Keys' cubic convolution with a = -0.5."""
    u = u.abs()
    near = (1.5 * u - 2.5) * u * u + 1
    far = ((-0.5 * u + 2.5) * u - 4) * u + 2
    return torch.where(u <= 1, near, torch.where(u < 2, far, 0.0))


def _box(u: Tensor) -> Tensor:
    return ((u >= -0.5) & (u < 0.5)).to(u.dtype)


_KERNELS = {"linear": _linear, "bicubic": _bicubic, "box": _box}
