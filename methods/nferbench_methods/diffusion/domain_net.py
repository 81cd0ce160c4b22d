"""E_s, the domain-specific features of EGSDE: the encoder half of the U-Net, trained to tell VIS from NIR.

The layers are those of the noisy classifier of Dhariwal & Nichol 2021, which EGSDE's authors take. Its head is of use
for training alone; the sampler compares what comes out of the middle block.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from nferbench_methods.diffusion.unet import TimeUNet, norm_groups


@final
class DomainNet(nn.Module):
    """A classifier of noisy faces, whose features E_s(x, t) are what it is called for.

    Args:
        size: side of the faces in pixels.
        classes: number of domains.
        width, multipliers, res_blocks, attention, head_channels: as for `TimeUNet`, of which this is the way down.
    """

    def __init__(
        self,
        size: int,
        classes: int,
        *,
        width: int,
        multipliers: Sequence[int],
        res_blocks: int,
        attention: Sequence[int],
        head_channels: int,
    ) -> None:
        super().__init__()
        unet = TimeUNet(
            size,
            in_channels=3,
            out_channels=3,
            width=width,
            multipliers=multipliers,
            res_blocks=res_blocks,
            attention=attention,
            head_channels=head_channels,
            dropout=0.0,
        )
        self.encoder = unet.net
        del self.encoder.up_blocks, self.encoder.conv_norm_out, self.encoder.conv_act, self.encoder.conv_out
        channels = width * multipliers[-1]
        self.norm = nn.GroupNorm(norm_groups(width), channels, eps=1e-5)
        self.pool = AttentionPool(
            side=size // 2 ** (len(multipliers) - 1),
            channels=channels,
            out_channels=classes,
            head_channels=gcd(head_channels, channels),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """E_s: the output of the middle block.

        Args:
            x: (B, 3, size, size) noisy faces.
            t: (B,) or (1,) index in the training schedule.

        Returns:
            (B, C, h, w); (B, 512, 8, 8) at the published width for faces of 256 px.
        """
        encoder = self.encoder
        embedding = encoder.time_embedding(encoder.time_proj(t).to(x.dtype))
        h = encoder.conv_in(x)
        for block in encoder.down_blocks:
            h, _ = block(h, embedding)
        return encoder.mid_block(h, embedding)  # type: ignore[no-any-return]

    def logits(self, x: Tensor, t: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, classes) of the domain of each face, which may have its own time."""
        return self.pool(silu(self.norm(self(x, t))))  # type: ignore[no-any-return]


@final
class AttentionPool(nn.Module):
    """Pool a feature map by letting its mean attend to it (Radford et al. 2021, "CLIP", section 2.4).

    Args:
        side: of the square feature map.
        channels: of the feature map.
        out_channels: length of the result.
        head_channels: channels of one attention head; a divisor of `channels`.
    """

    def __init__(self, side: int, channels: int, out_channels: int, head_channels: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(side * side + 1, channels) / channels**0.5)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, out_channels)
        self.heads = channels // head_channels

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, channels, side, side) to vectors (B, out_channels)."""
        tokens = x.flatten(2).mT
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) + self.positions
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        pooled = scaled_dot_product_attention(q[:, :, :1], k, v)  # only the mean's answer is read
        return self.out(pooled.flatten(1))  # type: ignore[no-any-return]
