"""Patch discriminators that judge an image at two resolutions and show what they saw on the way.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (CVPR 2018), in the form
of the HiFaceGAN authors' code: spectral norm on the middle layers, instance norm without scale and shift.
"""

from __future__ import annotations

from typing import NamedTuple, final

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from nferbench import mixed_precision
from nferbench_methods.gan.spectral import spectral_norm


class Judgement(NamedTuple):
    """What one discriminator says of a batch."""

    activations: tuple[Tensor, ...]  # after each leaky ReLU, (B, C_j, H_j, W_j), finest first
    scores: Tensor  # (B, 1, H', W'), raw: least squares needs no sigmoid

    def halves(self) -> tuple[Judgement, Judgement]:
        """The judgements of the first and the second half of the batch."""
        first, second = zip(*(part.chunk(2) for part in (*self.activations, self.scores)), strict=True)
        return Judgement(first[:-1], first[-1]), Judgement(second[:-1], second[-1])


@final
class PatchJudge(nn.Module):
    """Judge overlapping patches of 70x70 pixels; unlike pix2pix's, kernels of 4 are padded by 2.

    Args:
        in_channels: of the judged image plus those of its source.
        width: channels of the first layer.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(in_channels, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
        )
        for before, after, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            convolution = nn.Conv2d(before, after, 4, stride=stride, padding=2, bias=False)
            self.layers.append(nn.Sequential(spectral_norm(convolution), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)))
        self.score = nn.Conv2d(8 * width, 1, 4, padding=2)

    def forward(self, x: Tensor) -> Judgement:
        """Stacked source and target (B, in_channels, H, W) to four activations and a map of scores, of their dtype."""
        activations = []
        with mixed_precision(x.device):
            h = x
            for layer in self.layers:
                h = layer(h)
                activations.append(h.to(x.dtype))
        return Judgement(tuple(activations), self.score(activations[-1]))


@final
class MultiscaleDiscriminator(nn.Module):
    """Two patch discriminators with weights of their own: one at full size, one at half.

    Args:
        in_channels: of the judged image plus those of its source.
        width: channels of the first layer of each.
    """

    def __init__(self, in_channels: int = 6, *, width: int = 64) -> None:
        super().__init__()
        self.judges = nn.ModuleList(PatchJudge(in_channels, width) for _ in range(2))

    def forward(self, x: Tensor) -> list[Judgement]:
        """Stacked source and target (B, in_channels, H, W) to one judgement a scale, the finer first."""
        fine, coarse = self.judges
        return [fine(x), coarse(avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False))]
