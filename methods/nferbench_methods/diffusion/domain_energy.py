"""The energy of EGSDE, lambda_s S_s - lambda_i S_i: unlearn the look of the source, keep its low frequencies (Eq. 8).

S_s compares domain-specific features E_s of the sample y with those of the source x_i, noised to the same level; S_i
compares what a low-pass filter leaves of both. Values are one number an image and gradients those of the sum over the
batch, which is each image's own gradient, so that guidance does not depend on the batch. Only the network is
differentiated by autograd; similarities and filters have their slopes written down.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from nferbench import full_precision
from nferbench_methods.diffusion.filters import Kernel, low_pass, low_pass_transposed
from nferbench_methods.diffusion.groups import in_groups

Similarity = Literal["cosine", "neg-l2"]

FLOOR = 1e-10  # least norm of a feature vector (authors' code)


def similarity(a: Tensor, b: Tensor, kind: Similarity) -> Tensor:
    """How alike two maps are: (B, C, h, w) twice to (B,).

    "cosine" is the cosine of the angle between the channel vectors, a mean over positions, in [-1, 1] (Eq. 9);
    "neg-l2" is minus the squared distance, a sum over channels and positions (Eq. 10).
    """
    if kind == "neg-l2":
        return -(a - b).square().sum((1, 2, 3))
    cosines: Tensor = (normalize(a, eps=FLOOR) * normalize(b, eps=FLOOR)).sum(1)
    return cosines.mean((1, 2))


def slope(a: Tensor, b: Tensor, kind: Similarity) -> Tensor:
    """Gradient of `similarity` at a, of the shape of a."""
    if kind == "neg-l2":
        return 2 * (b - a)
    unit_a, unit_b = normalize(a, eps=FLOOR), normalize(b, eps=FLOOR)
    across = unit_b - (unit_a * unit_b).sum(1, keepdim=True) * unit_a
    norm: Tensor = torch.linalg.vector_norm(a, dim=1, keepdim=True).clamp(min=FLOOR)
    return across / (norm * norm[0].numel())


def specific_gradient(network: nn.Module, y: Tensor, x_i: Tensor, t: Tensor, kind: Similarity = "cosine") -> Tensor:
    """Gradient of S_s at y (Eq. 9); E_s(x_i, t) is a constant.

    Args:
        network: E_s, frozen and in eval mode: (x, t) to features (B, C, h, w). Its weights must not be inference
            tensors.
        y: (B, 3, H, W) the sample.
        x_i: (B, 3, H, W) the source, noised to the same level.
        t: (1,) index in the training schedule.
        kind: of similarity.

    Returns:
        (B, 3, H, W), computed in float32 whatever the score network computes in.
    """

    def gradient(both: Tensor, t: Tensor) -> Tensor:
        y, x_i = (part.contiguous() for part in both.chunk(2, dim=1))
        with torch.no_grad():
            target = network(x_i, t)
        with torch.enable_grad():
            features = network(y.requires_grad_(), t)
        return torch.autograd.grad(features, y, slope(features.detach(), target, kind))[0]

    with full_precision(y.device), torch.inference_mode(False):
        both, t = torch.cat([y, x_i], dim=1), t.clone()
        # On a CPU no more than a group's activations are held at a time.
        return in_groups(gradient, both, t) if both.device.type == "cpu" else gradient(both, t)


def independent_gradient(y: Tensor, x_i: Tensor, n: int, kernel: Kernel, kind: Similarity = "neg-l2") -> Tensor:
    """Gradient of S_i at y in closed form (Eq. 10): -2 phi^T phi (y - x_i) for "neg-l2".

    Args:
        y: (B, C, H, W) the sample.
        x_i: (B, C, H, W) the source, noised to the same level.
        n: factor by which the low-pass filter phi shrinks and enlarges again.
        kernel: of phi.
        kind: of similarity.
    """
    return low_pass_transposed(slope(low_pass(y, n, kernel), low_pass(x_i, n, kernel), kind), n, kernel)
