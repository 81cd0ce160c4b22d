"""The perceptual loss on VGG19 or VGG16: distances of features that an ImageNet classifier sees.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV 2016); layers and
weights on VGG19 are those of Wang et al. 2018 (pix2pixHD), which the HiFaceGAN authors' code takes over. VGG16 is seen
at the same five places, the first ReLU of each block. Training only; the weights are never downloaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torchvision.models import vgg16, vgg19

from nferbench import mixed_precision, weights

Features = Callable[[Tensor], Sequence[Tensor]]

Trunk = Literal["vgg19", "vgg16"]

MODELS = {"vgg19": vgg19, "vgg16": vgg16}
# ReLU 1_1, 2_1, 3_1, 4_1, 5_1 by their place in torchvision's feature stacks
TAPS = {"vgg19": (1, 6, 11, 20, 29), "vgg16": (1, 6, 11, 18, 25)}
TAP_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


@final
class VGGFeatures(nn.Module):
    """The convolutions of VGG19 or VGG16 up to ReLU 5_1, frozen; gradients pass through to the images.

    Args:
        trunk: which of the two.
        state: torchvision's state dict or its "features.*" part; deeper layers are ignored.

    Raises:
        RuntimeError: a convolution is missing from `state` or has another shape.
    """

    def __init__(self, trunk: Trunk, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        with torch.device("meta"):  # the classifier's 120 million values are never made
            layers: nn.Sequential = MODELS[trunk](weights=None, init_weights=False).features[: TAPS[trunk][-1] + 1]
        own = {name: state[f"features.{name}"] for name in layers.state_dict() if f"features.{name}" in state}
        layers.load_state_dict(own, assign=True)
        self.taps = TAPS[trunk]
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
                if place in self.taps:
                    taps.append(h.to(images.dtype))
        return taps


def pretrained_vgg(trunk: Trunk) -> Features:
    """VGG with ImageNet weights, read at the first call and on the device of its images; on `meta` none are read.

    Raises:
        UsageError: at the first call, when the weights are not on this machine.
    """

    @lru_cache(maxsize=1)
    def network(device: torch.device) -> VGGFeatures:
        if device.type == "meta":
            with device:
                return VGGFeatures(trunk, MODELS[trunk](weights=None, init_weights=False).state_dict())
        return VGGFeatures(trunk, weights.load(weights.require(trunk))).to(device)

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
