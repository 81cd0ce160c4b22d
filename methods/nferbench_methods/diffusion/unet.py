"""The U-Net of Dhariwal & Nichol 2021 ("ADM"), built from diffusers' blocks.

The layers, their order and their number of parameters are those of the authors' code, so that its checkpoints can be
imported (see `checkpoint`). Two things are done here because diffusers does not do them: the zero initialisation, by
which a new network answers exactly 0 everywhere, and one time embedding a call where all images share their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import final

import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from nferbench import UsageError, mixed_precision
from nferbench_methods.diffusion.groups import in_groups


def norm_groups(width: int) -> int:
    """Groups of every GroupNorm: 32 from width 128 on, fewer in narrower networks so that a group has 4 channels."""
    return max((n for n in range(1, 33) if width % n == 0 and width >= 4 * n), default=1)


@final
class TimeUNet(nn.Module):
    """A U-Net that is told the time: (x, t) to a tensor of the same height and width.

    Args:
        size: side of the images in pixels.
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first level.
        multipliers: channels of each level as multiples of `width`; each level after the first halves the side.
        res_blocks: residual blocks a level on the way down; one more on the way up.
        attention: sides of the feature maps at which levels attend to themselves; the middle always does.
        head_channels: channels of one attention head, where they divide the level's.
        dropout: probability, in each residual block.

    Raises:
        UsageError: the side cannot be halved once for each level after the first.
    """

    def __init__(
        self,
        size: int,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        multipliers: Sequence[int],
        res_blocks: int,
        attention: Sequence[int],
        head_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        scale = 2 ** (len(multipliers) - 1)
        if size < scale or size % scale:
            raise UsageError(
                f"a U-Net of {len(multipliers)} levels cannot take images of side {size}; "
                f"allowed: multiples of {scale}, or fewer multipliers"
            )
        channels = [width * multiplier for multiplier in multipliers]
        attends = [size // 2**level in attention for level in range(len(multipliers))]
        attending = [c for c, here in zip(channels, attends, strict=True) if here]
        self.net = UNet2DModel(
            sample_size=size,
            in_channels=in_channels,
            out_channels=out_channels,
            block_out_channels=tuple(channels),
            layers_per_block=res_blocks,
            down_block_types=tuple("AttnDownBlock2D" if here else "ResnetDownsampleBlock2D" for here in attends),
            up_block_types=tuple("AttnUpBlock2D" if here else "ResnetUpsampleBlock2D" for here in reversed(attends)),
            downsample_type="resnet",
            upsample_type="resnet",
            resnet_time_scale_shift="scale_shift",
            # One head width for all levels that attend; at the published widths this is head_channels itself.
            attention_head_dim=gcd(head_channels, channels[-1], *attending),
            norm_num_groups=norm_groups(width),
            attn_norm_num_groups=norm_groups(width),  # without it diffusers leaves out the middle attention's norm
            norm_eps=1e-5,
            flip_sin_to_cos=True,
            freq_shift=0,
            dropout=dropout,
        )
        zero_initialise(self.net)
        self.to(memory_format=torch.channels_last)  # faster on CPUs

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Apply the network.

        Args:
            x: (B, in_channels, size, size).
            t: (B,) time of each image, or (1,) time of all, which is then embedded only once.

        Returns:
            (B, out_channels, size, size).
        """
        if self.training or x.device.type != "cpu":
            return self._evaluate(x, t)
        return in_groups(self._evaluate, x, t)

    def _evaluate(self, x: Tensor, t: Tensor) -> Tensor:
        net = self.net
        embedding = net.time_embedding(net.time_proj(t).to(x.dtype))
        h = net.conv_in(x)
        skips: tuple[Tensor, ...] = (h,)
        for block in net.down_blocks:
            h, outputs = block(h, embedding)
            skips += outputs
        h = net.mid_block(h, embedding)
        for block in net.up_blocks:
            n = len(block.resnets)
            h = block(h, skips[-n:], embedding)
            skips = skips[:-n]
        return net.conv_out(net.conv_act(net.conv_norm_out(h)))  # type: ignore[no-any-return]


def zero_initialise(net: nn.Module) -> None:
    """Set to zero what ends a residual branch or the network, so that a new network is the zero function."""
    last: list[nn.Module] = [net.conv_out]  # type: ignore[list-item]
    for module in net.modules():
        if isinstance(module, ResnetBlock2D):
            last.append(module.conv2)
        elif isinstance(module, Attention):
            last.append(module.to_out[0])
    for layer in last:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


@final
class ScoreUNet(nn.Module):
    """A noise predictor: (x, t) to the noise in x, and the interpolated log-variance where it is learned.

    Args:
        unet: network with 3 output channels, or 6 where the variance is learned.
    """

    def __init__(self, unet: TimeUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict.

        Args:
            x: (B, 3, H, W) noisy images; (B, 6, H, W) with the condition in the last three channels.
            t: (B,) or (1,) index in the training schedule.

        Returns:
            eps (B, 3, H, W); v (B, 3, H, W) with log sigma^2 = (v + 1)/2 log beta + (1 - v)/2 log of the posterior's
            variance, or None. Both of the type of x, also on a GPU, which computes them in bfloat16.
        """
        with mixed_precision(x.device):
            out = self.unet(x, t).to(x.dtype)
        if out.shape[1] == 3:
            return out, None
        eps, v = out.chunk(2, dim=1)
        return eps, v
