"""The recipe of H(x, t), the landmark network of NFER-SDE's energy E_h (Eq. 6).

The paper says that H is time-dependent, pretrained and fixed, and no more. Everything else here is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from nferbench import LATER, Batch, DataError, FaceSpec, Learner, NetworkRecipe, UsageError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@final
@dataclass(frozen=True)
class HeatmapRecipe(NetworkRecipe):
    """A landmark network for noisy faces of both modalities, trained on the schedule of the sampler.

    It learns to draw the heat maps of the clean face from the noised one, at all noise levels alike, from VIS and NIR
    faces alike: otherwise E_h would measure the modality and not the geometry.
    """

    # Deviation: the paper does not describe H. A U-Net with time embedding and GroupNorm, whose maps have the
    # resolution of the usual landmark detector's (FAN, Bulat & Tzimiropoulos 2017): 64 x 64 for faces of 256 px.
    stride: int = 4  # pixels of the face to a cell of the heat maps
    width: int = 64  # channels of the first level
    multipliers: tuple[int, ...] = (1, 2, 3, 4)  # channels of each level as multiples of the width
    res_blocks: int = 2  # residual blocks a level
    attention: tuple[int, ...] = ()  # sides of the feature maps that attend to themselves; the middle always does
    head_channels: int = 64  # channels of an attention head
    dropout: float = 0.0  # probability in each residual block
    # Deviation: silent. FAN's targets have 1.75 cells on a grid of 64, drawn at whole cells; ours are drawn at the
    # exact place. The width shrinks with the grid, down to where a Gaussian would fall between the cells.
    sigma: float = 1.75  # standard deviation of a landmark's Gaussian in cells of a grid of 64
    smallest_sigma: float = 0.75  # the least standard deviation in cells of the actual grid
    # Deviation: silent. Optimiser and its decay to zero are those by which EGSDE's authors train a time-dependent
    # classifier; the number of updates is ours.
    steps: int = 50_000  # updates
    batch_size: int = 16  # pairs per update; both faces of a pair are learned from
    lr: float = 3e-4  # AdamW, falling linearly to 0
    weight_decay: float = 0.05  # AdamW
    foreground: float = 10.0  # weight of the error at a landmark relative to the empty part of the maps
    flip: bool = True  # mirror half of the faces; only for 68 landmarks, whose mirrored order is known
    # SHA-256 of a safetensors file of weights to start from; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.diffusion.heatmap_net import HeatmapNet

        if not faces.landmarks:
            raise UsageError(
                "the landmark network of E_h needs faces with landmarks, and this data set has 0; choose a --detector, "
                "give landmarks with the data, or set lambda_h=0 (the rows Baseline, Cond and Cond + E_f need none)"
            )
        if faces.size % self.stride:
            raise UsageError(
                f"heat maps with stride {self.stride} do not fit faces of side {faces.size}; allowed: a divisor of it"
            )
        return HeatmapNet(
            faces.size,
            faces.landmarks,
            stride=self.stride,
            width=self.width,
            multipliers=self.multipliers,
            res_blocks=self.res_blocks,
            attention=self.attention,
            head_channels=self.head_channels,
            dropout=self.dropout,
        )

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        import torch
        from torch.optim import AdamW

        from nferbench import GradientLearner, PiecewiseLoss, load_initial, mixed_precision
        from nferbench_methods.diffusion.heatmap_net import (
            MIRRORED_68,
            heat_map_error,
            heat_maps,
            mirror,
            share_of_pixels,
        )
        from nferbench_methods.diffusion.schedule import linear_schedule, perturb_each

        load_initial(self.init, self.init_sha256, network)
        schedule = linear_schedule().to(next(network.parameters()).device)
        grid = faces.size // self.stride
        sigma = max(self.sigma * grid / 64, self.smallest_sigma)

        def draw(batch: Batch, rng: Generator) -> tuple[Tensor, ...]:
            if batch.vis_landmarks is None or batch.nir_landmarks is None:
                raise DataError("the landmark network of E_h got faces without landmarks; prepare them with landmarks")
            x_0 = torch.cat([batch.vis, batch.nir])
            landmarks = torch.cat([batch.vis_landmarks, batch.nir_landmarks])
            if self.flip and landmarks.shape[1] == len(MIRRORED_68):
                which = torch.rand(len(x_0), generator=rng, device=rng.device).to(x_0.device) < 0.5
                x_0, landmarks = mirror(x_0, landmarks, which)
            k = torch.randint(len(schedule), (len(x_0),), generator=rng, device=rng.device).to(x_0.device)
            e = torch.randn(x_0.shape, generator=rng, device=rng.device).to(x_0.device)
            targets = heat_maps(landmarks, grid, self.stride, sigma)
            return x_0, k, e, targets, share_of_pixels(targets)

        def terms(x_0: Tensor, k: Tensor, e: Tensor, targets: Tensor, pixels: Tensor) -> Mapping[str, Tensor]:
            with mixed_precision(x_0.device):
                maps = network(perturb_each(x_0, e, schedule, k), k)
            return {"maps": heat_map_error(maps.to(targets.dtype), targets, self.foreground, pixels.sum())}

        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        loss = PiecewiseLoss(draw, terms)
        return GradientLearner(network, optimiser, loss, rate=lambda k: 1 - k / self.steps, pure=True)

    def updates(self, pairs: int) -> int:
        return self.steps
