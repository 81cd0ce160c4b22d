"""The generator of HiFaceGAN: SPADE blocks that restore detail from coarse to fine, led by the encoder's features.

Yang et al., "HiFaceGAN: Face Renovation via Collaborative Suppression and Replenishment" (ACM Multimedia 2020), with
the layers of the authors' code. Its SPADE departs from that of Park et al., "Semantic Image Synthesis with
Spatially-Adaptive Normalization" (CVPR 2019), in three ways named at the class.
"""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from nferbench import mixed_precision
from nferbench_methods.gan.spectral import spectral_norm
from nferbench_methods.gan.suppression import SuppressionEncoder, pyramid_channels

Normalisation = Literal["batch", "instance"]

SLOPE = 0.2  # of every leaky ReLU


@final
class SPADE(nn.Module):
    """gamma(f) * N(x) + beta(f): normalise, then scale and shift each pixel as the features at that pixel say.

    Unlike Park et al.: gamma is not added to 1, the convolutions of gamma and beta have no bias, and the hidden layer
    is no wider than x. So features of zero, with hidden biases of zero, erase x.

    Args:
        channels: of x.
        feature_channels: of f.
        normalisation: N, over the batch at hand ("batch") or over each image by itself ("instance").
    """

    def __init__(self, channels: int, feature_channels: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.norm: nn.Module
        if normalisation == "batch":
            # Deviation: the authors keep running averages, and translate in training mode because these serve badly.
            # Without averages a translation is normalised by the image at hand, as theirs, but changes no state.
            self.norm = nn.BatchNorm2d(channels, affine=False, track_running_stats=False)
        else:
            self.norm = nn.InstanceNorm2d(channels)
        hidden = min(128, channels)
        self.hidden = nn.Sequential(nn.Conv2d(feature_channels, hidden, 3, padding=1), nn.ReLU())
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        """State x (B, channels, H, W) and features f (B, feature_channels, H, W) to a tensor like x."""
        hidden = self.hidden(f)
        modulated: Tensor = self.gamma(hidden) * self.norm(x) + self.beta(hidden)
        return modulated


@final
class SPADEResBlock(nn.Module):
    """Two modulated, spectrally normalised convolutions beside a shortcut; all modulations read the same features.

    Args:
        in_channels: of the state that enters.
        out_channels: of the state that leaves; where it differs, the shortcut is a modulated 1x1 convolution.
        feature_channels: of the features.
        normalisation: of every SPADE.
    """

    def __init__(
        self, in_channels: int, out_channels: int, feature_channels: int, normalisation: Normalisation
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        # torch's older hook, as in the authors' code: it updates v before u. The parametrisation meant to supersede it
        # updates u before v, half an iteration apart once the weights move, and does 15 iterations before the first.
        self.spade_0 = SPADE(in_channels, feature_channels, normalisation)
        self.conv_0 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.spade_1 = SPADE(middle, feature_channels, normalisation)
        self.conv_1 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.spade_s = SPADE(in_channels, feature_channels, normalisation)
            self.conv_s = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        """State (B, in_channels, H, W) and features (B, feature_channels, H, W) to (B, out_channels, H, W)."""
        main = self.conv_0(leaky_relu(self.spade_0(x, f), SLOPE))
        main = self.conv_1(leaky_relu(self.spade_1(main, f), SLOPE))
        shortcut = self.conv_s(self.spade_s(x, f)) if self.learned_shortcut else x
        out: Tensor = shortcut + main
        return out


@final
class HiFaceGenerator(nn.Module):
    """Encoder and decoder: a head led by f_0, two middle blocks by f_1, then one block for each finer feature map.

    Args:
        width: channels at full size; the decoder starts with those of f_1, 16 * width at 5 halvings.
        halvings: of the encoder, at least 1; sides must be multiples of 2^halvings and at least twice that.
        normalisation: of every SPADE.
    """

    def __init__(self, *, width: int = 64, halvings: int = 5, normalisation: Normalisation = "batch") -> None:
        super().__init__()
        coarsest, coarse, *finer = pyramid_channels(width, halvings)
        self.stride = 2**halvings
        self.encoder = SuppressionEncoder(width, halvings)
        self.seed = nn.Conv2d(3, coarse, 3, padding=1)
        self.head = SPADEResBlock(coarse, coarse, coarsest, normalisation)
        self.middle = nn.ModuleList(SPADEResBlock(coarse, coarse, coarse, normalisation) for _ in range(2))
        self.up = nn.ModuleList()
        before = coarse
        for channels in finer:
            self.up.append(SPADEResBlock(before, channels, channels, normalisation))
            before = channels
        # Deviation: the authors' module also holds an output convolution for each coarser stage; their released
        # settings never use these, so they are left out (24,201 parameters at width 64).
        self.output = nn.Conv2d(before, 3, 3, padding=1)

    def forward(self, u: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1] to images of the same shape and dtype in [-1, 1], trained to lie in [0, 1]."""
        with mixed_precision(u.device):
            coarsest, coarse, *finer = self.encoder(u)
            # The decoder starts from pixels, every stride-th of a row and column, and not from the deepest features.
            state = self.head(self.seed(u[..., :: self.stride, :: self.stride]), coarsest)
            state = doubled(state)
            for block in self.middle:
                state = block(state, coarse)
            for block, f in zip(self.up, finer, strict=True):
                state = block(doubled(state), f)
        # The last layer makes the image, of which bfloat16 would keep 8 bits before tanh.
        return torch.tanh(self.output(leaky_relu(state.to(u.dtype), SLOPE)))


def doubled(x: Tensor) -> Tensor:
    """Twice the side by repeating every pixel."""
    return interpolate(x, scale_factor=2, mode="nearest")


def initialise(network: nn.Module) -> None:
    """Draw convolutions from Xavier's normal distribution with gain 0.02; biases 0.

    Spectrally normalised convolutions keep torch's weights, and only their biases become 0.
    """
    # Deviation: the authors' rule names every convolution. But on a GPU, where they trained, it writes to a copy of the
    # spectrally normalised weights that is thrown away; on a CPU it does not. This is what their GPU runs start from.
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if not hasattr(module, "weight_orig"):  # the weights before the spectral norm, where there is one
                nn.init.xavier_normal_(module.weight, gain=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
