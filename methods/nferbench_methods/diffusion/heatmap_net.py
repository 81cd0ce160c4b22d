"""H, the network that finds landmarks in noisy faces, and the heat maps that it learns to draw."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import final

import torch
from torch import Tensor, nn

from nferbench_methods.diffusion.unet import TimeUNet

# Where each of the 68 points of the usual annotation goes when a face is mirrored.
MIRRORED_68 = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46),  # right eye
    *(39, 38, 37, 36, 41, 40),  # left eye
    *range(54, 47, -1),  # upper lip, outside
    *range(59, 54, -1),  # lower lip, outside
    *range(64, 59, -1),  # upper lip, inside
    *range(67, 64, -1),  # lower lip, inside
)


@final
class HeatmapNet(nn.Module):
    """H(x, t): a U-Net on a coarse grid, whose cells hold all pixels of a square of the face.

    Args:
        size: side of the faces in pixels.
        landmarks: number of maps.
        stride: side of a cell in pixels.
        width, multipliers, res_blocks, attention, head_channels, dropout: as for `TimeUNet`, on the grid.
    """

    def __init__(
        self,
        size: int,
        landmarks: int,
        *,
        stride: int,
        width: int,
        multipliers: Sequence[int],
        res_blocks: int,
        attention: Sequence[int],
        head_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.cells = nn.PixelUnshuffle(stride)
        self.unet = TimeUNet(
            size // stride,
            in_channels=3 * stride**2,
            out_channels=landmarks,
            width=width,
            multipliers=multipliers,
            res_blocks=res_blocks,
            attention=attention,
            head_channels=head_channels,
            dropout=dropout,
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Heat maps (B, K, grid, grid) of faces (B, 3, size, size) that are noised to index t, (B,) or (1,)."""
        return self.unet(self.cells(x), t)  # type: ignore[no-any-return]


def heat_maps(landmarks: Tensor, grid: int, stride: int, sigma: float) -> Tensor:
    """Draw each landmark as a Gaussian with peak 1 around its exact place.

    Args:
        landmarks: (B, K, 2) x, y in pixels of the face, pixel centres at whole numbers.
        grid: side of the maps in cells.
        stride: side of a cell in pixels.
        sigma: standard deviation in cells.

    Returns:
        (B, K, grid, grid); NaN where the landmark is NaN.
    """
    place = (landmarks + 0.5) / stride - 0.5
    cells = torch.arange(grid, device=landmarks.device, dtype=landmarks.dtype)
    x, y = (torch.exp(-0.5 * ((cells - place[..., i, None]) / sigma).square()) for i in (0, 1))
    return y[..., :, None] * x[..., None, :]


def mirror(images: Tensor, landmarks: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror some faces with their 68 landmarks.

    Args:
        images: (B, 3, H, W).
        landmarks: (B, 68, 2).
        which: (B,) bool.
    """
    swapped = landmarks[:, _partners(landmarks.device)]
    swapped = torch.stack([images.shape[-1] - 1 - swapped[..., 0], swapped[..., 1]], dim=-1)
    images = torch.where(which[:, None, None, None], images.flip(-1), images)
    return images, torch.where(which[:, None, None], swapped, landmarks)


@cache
def _partners(device: torch.device) -> Tensor:
    return torch.tensor(MIRRORED_68, device=device)


def share_of_pixels(targets: Tensor) -> Tensor:
    """Each example's equal share of the pixels of all maps that are not left out, at least 1 in all.

    Args:
        targets: (B, K, h, w); maps with NaN are left out.

    Returns:
        (B,) float64, so that the shares of a whole batch add up to a whole number.
    """
    known = ~targets.isnan().any(-1).any(-1)
    total = (known.sum() * targets[0, 0].numel()).clamp(min=1)
    return (total.double() / len(targets)).expand(len(targets))


def heat_map_error(maps: Tensor, targets: Tensor, foreground: float, pixels: Tensor) -> Tensor:
    """Squared error of heat maps, weighted by 1 + (foreground - 1) target; a 0-d tensor.

    Args:
        maps: (B, K, h, w) predicted.
        targets: (B, K, h, w); maps with NaN are left out.
        foreground: weight of the error at a landmark; far from all it is 1.
        pixels: 0-d, what the sum is divided by: the pixels of all maps that are not left out.

    Returns:
        Mean over all pixels of the maps that are not left out; 0 where all are.
    """
    known = ~targets.isnan().any(-1).any(-1)[..., None, None]
    targets = targets.nan_to_num()
    weight = known * (1 + (foreground - 1) * targets)
    return (weight * (maps - targets).square()).sum() / pixels.to(maps.dtype)
