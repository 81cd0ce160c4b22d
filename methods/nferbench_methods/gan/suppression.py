"""The content-adaptive suppression encoder: a pyramid of features, each level pooled by what it holds itself.

Yang et al., "HiFaceGAN: Face Renovation via Collaborative Suppression and Replenishment" (ACM Multimedia 2020), with
the layers of the authors' code. The pooling is a shallow form of that of Gao, Wang, Wu, "LIP: Local Importance-based
Pooling" (ICCV 2019).
"""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

LARGEST = 12.0  # bound of the importance, so that no weight exceeds e^12 times another


def pyramid_channels(width: int, halvings: int) -> list[int]:
    """Channels of the feature maps f_0 (coarsest) to f_halvings (full size): doubled a halving, at most 16 * width."""
    return [width * min(2**level, 16) for level in range(halvings, -1, -1)]


@final
class LocalImportancePooling(nn.Module):
    """Halve the side by a weighted mean of each 3x3 window; the weights are read off the map, channel by channel.

    Args:
        channels: of the input, kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.importance = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ceil(H/2), ceil(W/2)), each value between the extremes of its window."""
        convolution, norm, sigmoid = self.importance
        # bfloat16 would be off by a twentieth in an exponent of 12, and so in the weight.
        importance = convolution(x)
        importance = importance.to(torch.promote_types(importance.dtype, torch.float32))
        weight = torch.exp(LARGEST * sigmoid(norm(importance)))
        # Zero padding adds nothing to either sum, so a window at the border averages its valid pixels only.
        weighted = avg_pool2d(x * weight, 3, stride=2, padding=1)
        return weighted / avg_pool2d(weight, 3, stride=2, padding=1)


@final
class SuppressionEncoder(nn.Module):
    """A stem at full size, then one stage a halving: pool, convolve, normalise; the last stage keeps negative values.

    Args:
        width: channels at full size; see `pyramid_channels`.
        halvings: number of stages, at least 1.
    """

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        channels = pyramid_channels(width, halvings)[::-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
        )
        self.stages = nn.ModuleList()  # from fine to coarse
        for before, after in pairwise(channels):
            stage = [
                LocalImportancePooling(before),
                nn.Conv2d(before, after, 3, padding=1),
                nn.InstanceNorm2d(after),
                nn.ReLU(),
            ]
            coarsest = len(self.stages) == halvings - 1
            self.stages.append(nn.Sequential(*stage[:-1] if coarsest else stage))

    def forward(self, u: Tensor) -> list[Tensor]:
        """Images (B, 3, S, S) in [0, 1] to features f_0 .. f_halvings, coarsest first.

        The side of f_k is S / 2^(halvings - k). S is a multiple of 2^halvings and at least twice that: a single pixel
        cannot be normalised by itself.
        """
        features = [self.stem(u)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[::-1]
