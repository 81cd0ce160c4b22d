"""Networks that GAN translators share: the U-Net generator, the patch discriminator, their initialisation.

Both follow Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (CVPR 2017) and the
authors' PyTorch code; with the default widths and depths the parameter counts are those that the code prints.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal, final

import torch
from torch import Tensor, nn

from nferbench import mixed_precision

SMALLEST_JUDGED = 24  # px; below it the patch discriminator has no logit left


@final
class UNetGenerator(nn.Module):
    """Encoder and decoder with a skip connection at every level but the innermost.

    Encoder level i (1-based) halves the side, decoder level i doubles it; the channels are width * 2^(i-1), at most
    8 * width. A level activates first, then convolves, then normalises, so the skips carry values before activation.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        levels: number of halvings, at least 2; sides must be multiples of 2^levels.
        width: channels of the outermost level.
        dropout: decoder levels that drop half of their output; the skip halves are never dropped.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        *,
        levels: int = 8,
        width: int = 64,
        dropout: Collection[int] = (7, 6, 5),
    ) -> None:
        super().__init__()
        channels = [in_channels] + [width * min(2**i, 8) for i in range(levels)]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()  # outermost first, as the encoder
        for level in range(1, levels + 1):
            outermost, innermost = level == 1, level == levels

            down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
            down.append(nn.Conv2d(channels[level - 1], channels[level], 4, stride=2, padding=1, bias=False))
            # The innermost map may be one pixel, which a batch of one would normalise to zero (the paper's erratum).
            if not (outermost or innermost):
                down.append(nn.BatchNorm2d(channels[level]))
            self.encoder.append(nn.Sequential(*down))

            entering = channels[level] if innermost else 2 * channels[level]
            leaving = out_channels if outermost else channels[level - 1]
            up: list[nn.Module] = [
                nn.ReLU(),
                nn.ConvTranspose2d(entering, leaving, 4, stride=2, padding=1, bias=outermost),
                nn.Tanh() if outermost else nn.BatchNorm2d(leaving),
            ]
            if level in dropout:
                up.append(nn.Dropout(0.5))
            self.decoder.append(nn.Sequential(*up))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) in [-1, 1] to (B, out_channels, H, W) in [-1, 1], of the same dtype."""
        skips: list[Tensor] = []
        outermost, *inner = self.decoder
        with mixed_precision(x.device):
            h = x
            for down in self.encoder:
                h = down(h)
                skips.append(h)
            h = inner.pop()(skips.pop())
            for up in reversed(inner):
                h = up(torch.cat([skips.pop(), h], dim=1))
            h = torch.cat([skips.pop(), h], dim=1)
        # The last layer makes the image, of which bfloat16 would keep 8 bits before tanh.
        out: Tensor = outermost(h.to(x.dtype))
        return out


@final
class PatchDiscriminator(nn.Module):
    """Judge overlapping patches of 70x70 pixels, one logit each.

    Args:
        in_channels: channels of the judged image, plus those of the source if the judgement is conditional.
        width: channels of the first layer.
        norm: "batch" with scale and shift (pix2pix) or "instance" without (CycleGAN).
    """

    def __init__(self, in_channels: int, *, width: int = 64, norm: Literal["batch", "instance"] = "batch") -> None:
        super().__init__()
        normalise = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[norm]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [
                nn.Conv2d(before, after, 4, stride=stride, padding=1, bias=norm == "instance"),
                normalise(after),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(8 * width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) in [-1, 1] to logits (B, 1, H/8 - 2, W/8 - 2) of the same dtype; no sigmoid."""
        *layers, last = self.layers
        with mixed_precision(x.device):
            h = x
            for layer in layers:
                h = layer(h)
        logits: Tensor = last(h.to(x.dtype))
        return logits


def initialise(network: nn.Module, std: float = 0.02) -> None:
    """Draw weights as Isola et al. do: convolutions N(0, std^2), scales of batch norms N(1, std^2), shifts 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@contextmanager
def as_in_training(network: nn.Module, *kinds: type[nn.Module]) -> Iterator[None]:
    """Let all modules of these kinds behave as in training; after the block everything is as it was.

    Unlike `network.train()` this leaves running averages and their counters alone: batch norms use the statistics of
    their input and record nothing.
    """
    switched = [module for module in network.modules() if isinstance(module, kinds)]
    norms = [module for module in switched if isinstance(module, nn.BatchNorm2d)]
    training = [module.training for module in switched]
    tracking = [norm.track_running_stats for norm in norms]
    try:
        for module in switched:
            module.training = True
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for module, was_training in zip(switched, training, strict=True):
            module.training = was_training
        for norm, was_tracking in zip(norms, tracking, strict=True):
            norm.track_running_stats = was_tracking
