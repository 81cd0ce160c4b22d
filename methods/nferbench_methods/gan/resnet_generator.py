"""The residual generator of CycleGAN.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks" (ICCV 2017),
appendix; padding and biases, on which the paper is brief, follow the authors' PyTorch code, and with the default width
and depth the parameter count is the one that the code prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from torch import Tensor, nn

from nferbench import mixed_precision


@final
class ResidualBlock(nn.Module):
    """Two normalised convolutions whose result is added to the input; nothing is applied to the sum.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape, H and W at least 2."""
        out: Tensor = x + self.layers(x)
        return out


@final
class ResnetGenerator(nn.Module):
    """Reduce to a quarter of the side, transform in residual blocks, enlarge again.

    Instance norms have neither parameters nor running averages, so training and eval mode are the same and images of
    a batch do not meet.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        width: channels at full side; there are twice as many at half and four times as many at a quarter of it.
        blocks: residual blocks.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 3, *, width: int = 64, blocks: int = 9) -> None:
        super().__init__()

        def enlarging(before: int, after: int) -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)

        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_activated(nn.Conv2d(in_channels, width, 7)),
            *_activated(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *_activated(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *_activated(enlarging(4 * width, 2 * width)),
            *_activated(enlarging(2 * width, width)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, out_channels, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1], of the same dtype.

        H and W are multiples of 4 and at least 8; others would come back rounded up, or fail.
        """
        *layers, last, tanh = self.layers
        with mixed_precision(x.device):
            h = x
            for layer in layers:
                h = layer(h)
        # The last layer makes the image, of which bfloat16 would keep 8 bits before tanh.
        out: Tensor = tanh(last(h.to(x.dtype)))
        return out


def _activated(convolution: nn.Conv2d | nn.ConvTranspose2d) -> Iterator[nn.Module]:
    yield convolution
    yield nn.InstanceNorm2d(convolution.out_channels)
    yield nn.ReLU()
