"""The network of SR3: a U-Net that is told how much of the clean image is left, not the index of a step.

The layers, their order and their number of parameters are those of the usual open implementation of Saharia et al.
2022 (Janspiry, "Image-Super-Resolution-via-Iterative-Refinement"). Unlike in the other U-Net here (`unet`), the noise
level is embedded without scaling and added once a block, resolution changes by plain convolutions, attention has one
head, and nothing starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, log
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nferbench import UsageError, full_precision, mixed_precision
from nferbench_methods.diffusion.groups import in_groups


@final
class SR3UNet(nn.Module):
    """A noise predictor f([c, x], level).

    Args:
        size: side of the images in pixels.
        width: channels of the first level, and numbers in the embedding of the noise level.
        multipliers: channels of each level as multiples of `width`; each level after the first halves the side.
        res_blocks: residual blocks a level on the way down; one more on the way up.
        attention: sides of the feature maps at which levels attend to themselves; the middle always does.
        dropout: probability, before the second convolution of each residual block.

    Raises:
        UsageError: the side cannot be halved once for each level after the first, or the width is odd.
    """

    def __init__(
        self,
        size: int,
        *,
        width: int,
        multipliers: Sequence[int],
        res_blocks: int,
        attention: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        scale = 2 ** (len(multipliers) - 1)
        if size < scale or size % scale:
            raise UsageError(
                f"sr3: faces of {size} px do not fit a U-Net of {len(multipliers)} levels; allowed are multiples of "
                f"{scale} px; change the face size, or take fewer score.multipliers"
            )
        if width < 2 or width % 2:
            raise UsageError(f"sr3: score.width is {width}; allowed: even numbers from 2 on, for sines and cosines")
        # Deviation: 32 groups, as in the code, where a group then has 2 channels or more; narrow networks have fewer.
        groups = gcd(32, width // 2)
        self.width = width
        self.embedding = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))

        def block(before: int, after: int, attends: bool) -> ResidualBlock:
            return ResidualBlock(before, after, width, groups, dropout, attends)

        levels = [(width * multiplier, size // 2**i in attention) for i, multiplier in enumerate(multipliers)]
        self.first = nn.Conv2d(6, width, 3, padding=1)
        skips = [width]
        self.down = nn.ModuleList()
        for i, (channels, attends) in enumerate(levels):
            if i:
                self.down.append(nn.Conv2d(skips[-1], skips[-1], 3, stride=2, padding=1))
                skips.append(skips[-1])
            for _ in range(res_blocks):
                self.down.append(block(skips[-1], channels, attends))
                skips.append(channels)
        present = skips[-1]
        self.middle = nn.ModuleList([block(present, present, True), block(present, present, False)])
        self.up = nn.ModuleList()
        for i, (channels, attends) in reversed(list(enumerate(levels))):
            for _ in range(res_blocks + 1):
                self.up.append(block(present + skips.pop(), channels, attends))
                present = channels
            if i:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(present, present, 3, padding=1)))
        self.norm = nn.GroupNorm(groups, present)
        self.last = nn.Conv2d(present, 3, 3, padding=1)
        initialise(self)
        self._recomputes = False
        self.to(memory_format=torch.channels_last)  # faster on CPUs

    def enable_gradient_checkpointing(self) -> None:
        """Keep no activation inside a block for the backward pass, which computes them anew."""
        self._recomputes = True

    def disable_gradient_checkpointing(self) -> None:
        """Keep all activations again."""
        self._recomputes = False

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            x: (B, 6, H, W), the condition in the first three channels, the noisy image in the last three.
            level: (B,) noise level of each image, or (1,) of all, in [0, 1] and float32; 1 is clean.

        Returns:
            (B, 3, H, W) of the type of x, also on a GPU, which computes in bfloat16.
        """
        with mixed_precision(x.device):
            if self.training or x.device.type != "cpu":
                return self._evaluate(x, level)
            return in_groups(self._evaluate, x, level)

    def _evaluate(self, x: Tensor, level: Tensor) -> Tensor:
        with full_precision(x.device):  # neighbouring levels differ by less than bfloat16 can tell
            e = self.embedding(encode(level, self.width))
        h = self.first(x)
        skips = [h]
        for layer in self.down:
            h = self._block(layer, h, e) if isinstance(layer, ResidualBlock) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = self._block(layer, h, e)
        for layer in self.up:
            if isinstance(layer, ResidualBlock):
                h = self._block(layer, torch.cat([h, skips.pop()], dim=1), e)
            else:
                h = layer(h)
        return self.last(F.silu(self.norm(h))).to(x.dtype)  # type: ignore[no-any-return]

    def _block(self, layer: nn.Module, h: Tensor, e: Tensor) -> Tensor:
        if self._recomputes and torch.is_grad_enabled():
            return checkpoint(layer, h, e, use_reentrant=False)  # type: ignore[no-any-return]
        return layer(h, e)  # type: ignore[no-any-return]


def encode(level: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of a noise level at frequencies from 1 down to nearly 1e-4 (WaveGrad, Chen et al. 2021).

    Args:
        level: (B,) in [0, 1], taken as it is; the angles are therefore at most 1.
        width: numbers in a code, even.

    Returns:
        (B, width) of the type of `level`.
    """
    half = width // 2
    frequencies = torch.exp(-log(1e4) / half * torch.arange(half, device=level.device))
    angles = level[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@final
class ResidualBlock(nn.Module):
    """Two convolutions beside a skip, the noise level added between them, and self-attention after them if wanted."""

    def __init__(self, before: int, after: int, embedding: int, groups: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.noise = nn.Linear(embedding, after)
        self.norm2 = nn.GroupNorm(groups, after)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        self.attention = SelfAttention(after, groups) if attends else nn.Identity()

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Apply the block to x (B, before, H, W) with the embedded noise level e, (B, embedding) or (1, embedding)."""
        with full_precision(x.device):
            shift = self.noise(e)[:, :, None, None]
        h = self.conv1(F.silu(self.norm1(x))) + shift
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.attention(h + self.skip(x))  # type: ignore[no-any-return]


@final
class SelfAttention(nn.Module):
    """Attention of each place of a feature map to all places, with one head over all channels, added to the input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to x (B, channels, H, W); logits are divided by the root of the number of channels."""
        places = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)[:, None]  # (B, 1, H W, 3 channels)
        attended = F.scaled_dot_product_attention(*places.chunk(3, dim=-1))
        return x + self.out(attended[:, 0].transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


def initialise(network: nn.Module) -> None:
    """Draw orthogonal weights of gain 1 for all convolutions and linear layers, and set their biases to zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
