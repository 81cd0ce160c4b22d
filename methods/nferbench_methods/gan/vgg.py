"""The perceptual loss on VGG19: distances of features that an ImageNet classifier sees.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV 2016); layers and
weights are those of Wang et al. 2018 (pix2pixHD), which the HiFaceGAN authors' code takes over. Training only; the
weights are never downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torchvision.models import vgg19

from nferbench import mixed_precision, weights

Features = Callable[[Tensor], Sequence[Tensor]]

TAPS = (1, 6, 11, 20, 29)  # ReLU 1_1, 2_1, 3_1, 4_1, 5_1 by their place in torchvision's feature stack
TAP_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


@final
class VGG19Features(nn.Module):
    """The convolutions of VGG19 up to ReLU 5_1, frozen; gradients pass through to the images.

    Args:
        state: torchvision's state dict or its "features.*" part; deeper layers are ignored.

    Raises:
        RuntimeError: a convolution is missing from `state` or has another shape.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        with torch.device("meta"):  # the classifier's 120 million values are never made
            layers: nn.Sequential = vgg19(weights=None, init_weights=False).features[: TAPS[-1] + 1]
        own = {name: state[f"features.{name}"] for name in layers.state_dict() if f"features.{name}" in state}
        layers.load_state_dict(own, assign=True)
        self.layers = layers.requires_grad_(False).eval()
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # a captured map must stay what it was

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W) to the five maps, finest first: 64, 128, 256, 512, 512 channels at 1, 1/2 .. 1/16 size.

        No ImageNet mean or deviation is applied; the sides must be at least 16. The maps have the dtype of the images.
        """
        taps = []
        with mixed_precision(images.device):
            h = images
            for place, layer in enumerate(self.layers):
                h = layer(h)
                if place in TAPS:
                    taps.append(h.to(images.dtype))
        return taps


def pretrained_vgg19() -> Features:
    """VGG19 with ImageNet weights, read at the first call and on the device of its images; on `meta` none are read.

    Raises:
        UsageError: at the first call, when the weights are not on this machine.
    """

    @lru_cache(maxsize=1)
    def network(device: torch.device) -> VGG19Features:
        if device.type == "meta":
            with device:
                return VGG19Features(vgg19(weights=None, init_weights=False).state_dict())
        return VGG19Features(weights.load(weights.require("vgg19"))).to(device)

    return lambda images: network(images.device)(images)


def perceptual_loss(features: Features, fake: Tensor, real: Tensor) -> Tensor:
    """Weighted sum over the five maps of the mean absolute distance of the fake image's to the real one's.

    Args:
        features: images to five maps.
        fake: (B, 3, H, W); gradients reach it.
        real: like `fake`; no gradient reaches it.
    """
    with torch.no_grad():
        targets = features(real)
    distances = [l1_loss(mine, target) for mine, target in zip(features(fake), targets, strict=True)]
    return torch.stack([w * d for w, d in zip(TAP_WEIGHTS, distances, strict=True)]).sum()
