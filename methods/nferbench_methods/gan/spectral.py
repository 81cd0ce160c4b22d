"""Spectral norm as torch has it, with power iterations in float32 whatever the convolution computes in.

Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import utils
from torch.nn.utils.spectral_norm import SpectralNorm

from nferbench import full_precision


def spectral_norm(convolution: nn.Conv2d) -> nn.Conv2d:
    """Divide the weight by its largest singular value at every forward; names of the state are torch's.

    Vectors that were rounded to bfloat16 at every iteration would wander, and the weight with them.
    """
    utils.spectral_norm(convolution)
    (norm,) = (hook for hook in convolution._forward_pre_hooks.values() if isinstance(hook, SpectralNorm))
    compute_weight = norm.compute_weight

    def in_full_precision(module: nn.Module, do_power_iteration: bool) -> Tensor:
        with full_precision(module.weight_orig.device):  # type: ignore[arg-type, union-attr]
            weight: Tensor = compute_weight(module, do_power_iteration)
        return weight

    norm.compute_weight = in_full_precision  # type: ignore[method-assign]
    return convolution
