"""The network of Janspiry/Image-Super-Resolution-via-Iterative-Refinement, from its `*_gen.pth`.

Such a file holds the `GaussianDiffusion` of `model/sr3_modules`: the U-Net as `denoise_fn`, and the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from nferbench import UsageError
from nferbench_methods.diffusion.sr3_unet import SR3UNet
from nferbench_methods.released.renaming import renamed

_UNET = "denoise_fn."
_BLOCK = {
    "norm1": "res_block.block1.block.0",
    "conv1": "res_block.block1.block.3",
    "noise": "res_block.noise_func.noise_func.0",
    "norm2": "res_block.block2.block.0",
    "conv2": "res_block.block2.block.3",
    "skip": "res_block.res_conv",
    "attention": "attn",
}
_PLACES = {
    "embedding.0": "noise_level_mlp.1",
    "embedding.2": "noise_level_mlp.3",
    "first": "downs.0",
    "norm": "final_conv.block.0",
    "last": "final_conv.block.3",
}
_BETAS = "betas"
_SCHEDULE = (
    r"(sqrt_|sqrt_one_minus_|log_one_minus_|sqrt_recip_|sqrt_recipm1_)?alphas_cumprod(_prev)?|betas|"
    r"posterior_(variance|log_variance_clipped|mean_coef1|mean_coef2)"
)


def sr3_unet(state: Mapping[str, Tensor], network: SR3UNet, first: float, last: float, steps: int) -> dict[str, Tensor]:
    """The tensors of the U-Net; those of the schedule are compared with ours and say nothing more.

    Args:
        state: of the file.
        network: of the same architecture.
        first, last, steps: of the betas of our training, which rise evenly.

    Raises:
        UsageError: they are not those of `network`, or the schedule is another one.
    """
    theirs = state[_BETAS].flatten().tolist() if _BETAS in state else None
    ours = [first + (last - first) * i / (steps - 1) for i in range(steps)]
    if theirs is not None and not (len(theirs) == steps and np.allclose(theirs, ours, rtol=1e-4, atol=0)):
        came = f"{len(theirs)} steps from {theirs[0]:g} to {theirs[-1]:g}" if theirs else "no steps"
        raise UsageError(
            f"their schedule has {came} (betas); allowed: {steps} steps, evenly from {first:g} to {last:g}; give "
            "weights that were trained on that one"
        )
    return renamed(state, network, _theirs, unused=_SCHEDULE)


def _theirs(ours: str) -> str:
    layer, _, kind = ours.rpartition(".")
    if layer in _PLACES:
        return f"{_UNET}{_PLACES[layer]}.{kind}"
    part, number, *inner = layer.split(".")
    where = {"down": "downs", "middle": "mid", "up": "ups"}[part]
    place = int(number) + (part == "down")  # their first convolution is the first of the way down
    if not inner or inner == ["1"]:  # a change of resolution
        return f"{_UNET}{where}.{place}.conv.{kind}"
    return f"{_UNET}{where}.{place}.{'.'.join([_BLOCK[inner[0]], *inner[1:]])}.{kind}"
