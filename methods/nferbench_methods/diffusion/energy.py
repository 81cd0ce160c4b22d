"""The energies of NFER-SDE: E_h keeps the landmarks of the source (Eq. 6), E_f its high frequencies (Eq. 7).

Values are one number an image. Gradients are those of the sum over the batch, which is each image's own gradient, so
that guidance does not depend on the batch; they are taken in float32 whatever the score network computes in.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nferbench import full_precision
from nferbench_methods.diffusion.filters import Kernel, high_pass, high_pass_transposed

Reduction = Literal["sum", "mean"]


def heatmap_energy(h_x: Tensor, h_c: Tensor, reduction: Reduction = "sum") -> Tensor:
    """E_h = 1/2 ||H(x_t, t) - H(c_t, t)||^2 (Eq. 6), reduced over maps and pixels: (B, K, h, w) twice to (B,)."""
    return 0.5 * _reduce((h_x - h_c).square(), reduction)


def heatmap_gradient(network: nn.Module, x: Tensor, c_t: Tensor, t: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Gradient of E_h at x; H(c_t, t) is a constant.

    Args:
        network: H, frozen and in eval mode: (x, t) to heat maps. Its weights must not be inference tensors.
        x: (B, 3, H, W) the sample.
        c_t: (B, 3, H, W) the source, noised to the same level.
        t: (1,) index in the training schedule.
    """
    with full_precision(x.device), torch.inference_mode(False):
        with torch.no_grad():
            h_c = network(c_t.clone(), t.clone())
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            energy = heatmap_energy(network(x, t.clone()), h_c, reduction).sum()
            (gradient,) = torch.autograd.grad(energy, x)
    return gradient


def frequency_energy(x: Tensor, c_t: Tensor, n: int, kernel: Kernel, reduction: Reduction = "sum") -> Tensor:
    """E_f = ||Phi(x_t) - Phi(c_t)||^2 (Eq. 7), reduced over channels and pixels: (B,)."""
    return _reduce(high_pass(x - c_t, n, kernel).square(), reduction)


def frequency_gradient(x: Tensor, c_t: Tensor, n: int, kernel: Kernel, reduction: Reduction = "sum") -> Tensor:
    """Gradient of E_f at x in closed form: 2 Phi^T Phi (x - c_t)."""
    gradient = 2 * high_pass_transposed(high_pass(x - c_t, n, kernel), n, kernel)
    return gradient if reduction == "sum" else gradient / x[0].numel()


def _reduce(squares: Tensor, reduction: Reduction) -> Tensor:
    each = squares.flatten(1)
    return each.sum(1) if reduction == "sum" else each.mean(1)
