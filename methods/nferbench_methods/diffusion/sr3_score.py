"""How the network of SR3 is trained: on pairs, at noise levels drawn from a continuum.

Nothing of it can be shared with the other diffusion methods: noise level instead of index, another schedule, L1 loss.
"paper" is Saharia et al. 2022, "code" the usual open implementation (Janspiry); the authors published none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from nferbench import LATER, Batch, FaceSpec, Learner, NetworkRecipe, UsageError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from nferbench import StoredWeights
    from nferbench_methods.diffusion.schedule import Schedule

SR3_STEPS = 2000  # T: noise levels of the training
BETAS = 1e-6, 1e-2  # the first and the last

NoiseLevel = Literal["sqrt-gamma", "gamma"]


@final
@dataclass(frozen=True)
class SR3Recipe(NetworkRecipe):
    """f([c, sqrt(gamma) y_0 + sqrt(1 - gamma) eps], level) to eps, under mean |eps - f|^p (Saharia et al., Eq. 6)."""

    # Deviation: NFER-SDE names only the paper, which has no network for this task: its own have 550 and 625 million
    # parameters and BigGAN's blocks. This is the code's for 128 px, whose number of parameters is the same at 256 px.
    width: int = 64  # channels of the first level; even
    multipliers: tuple[int, ...] = (1, 2, 4, 8, 8)  # channels of each level as multiples of the width
    res_blocks: int = 2  # residual blocks a level
    attention: tuple[int, ...] = (16,)  # sides of the feature maps that attend to themselves
    dropout: float = 0.2  # probability in each residual block
    # Deviation: the paper tells the network gamma and draws it evenly between neighbouring levels; the code does both
    # with its root, which is followed.
    noise_level: NoiseLevel = "sqrt-gamma"  # what the network is told, in training and in sampling
    # Deviation: the code draws one t for all images of an update, which makes gradients of small batches noisy; the
    # paper draws one for each, as here.
    shared_t: bool = False  # one t for all images of an update
    p: Literal[1, 2] = 1  # of the loss |eps - f|^p; the paper reports both and the code has 1
    # Deviation: 1.6 million images, as many as the other score networks see; 256 million in the paper, 4 in the code.
    steps: int = 100_000  # updates
    batch_size: int = 16  # pairs per update
    # Deviation: constant, as in the code; the paper first raises it over 10,000 updates.
    lr: float = 1e-4  # Adam
    # Deviation: the code keeps no average and the paper mentions none; a short training gains by one, so that the
    # result is not that of its last few updates. The same as for the unconditional score network.
    ema: float = 0.9999  # decay of the running average of the weights, with warm-up; 0 keeps the raw weights
    # Deviation: mirroring is the code's; the paper blurs the condition, which would hide what VIS faces have to tell.
    flip: bool = True  # mirror half of the faces, VIS and NIR together
    # SHA-256 of weights to start from, of ours or of the code's `*_gen.pth`; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    @property
    def title(self) -> str:
        return "sr3"

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.diffusion.sr3_unet import SR3UNet

        return SR3UNet(
            faces.size,
            width=self.width,
            multipliers=self.multipliers,
            res_blocks=self.res_blocks,
            attention=self.attention,
            dropout=self.dropout,
        )

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        import torch
        from torch.optim import Adam

        from nferbench import GradientLearner, PiecewiseLoss, load_initial
        from nferbench_methods.released.sr3 import sr3_unet

        def gen(stored: StoredWeights) -> Mapping[str, Tensor]:
            if self.noise_level != "sqrt-gamma":
                raise UsageError(f"score.noise_level is '{self.noise_level}'; allowed with such a file: 'sqrt-gamma'")
            return sr3_unet(stored.tensors, network, *BETAS, SR3_STEPS)  # type: ignore[arg-type]

        load_initial(self.init, self.init_sha256, network, released={"torch": gen})
        schedule = gamma_schedule().to(next(network.parameters()).device)

        def draw(batch: Batch, rng: Generator) -> tuple[Tensor, ...]:
            vis, nir = batch.vis, batch.nir
            if self.flip:
                mirrored = torch.rand(len(nir), 1, 1, 1, generator=rng, device=rng.device).to(nir.device) < 0.5
                vis, nir = (torch.where(mirrored, faces.flip(-1), faces) for faces in (vis, nir))
            level = draw_levels(schedule, len(nir), rng, self.noise_level, self.shared_t)
            eps = torch.randn(nir.shape, generator=rng, device=rng.device).to(nir.device)
            return vis, nir, level, eps

        def terms(vis: Tensor, nir: Tensor, level: Tensor, eps: Tensor) -> Mapping[str, Tensor]:
            gamma = (level if self.noise_level == "gamma" else level.square())[:, None, None, None]
            noisy = gamma.sqrt().to(nir.dtype) * nir + (1 - gamma).sqrt().to(nir.dtype) * eps
            predicted = network(torch.cat([vis, noisy], dim=1), level.to(nir.dtype))
            return {"noise": (eps - predicted).abs().pow(self.p).mean()}

        optimiser = Adam(network.parameters(), lr=self.lr)
        return GradientLearner(network, optimiser, PiecewiseLoss(draw, terms), ema=self.ema, pure=True)

    def updates(self, pairs: int) -> int:
        return self.steps


def gamma_schedule() -> Schedule:
    """The code's schedule: beta from 1e-6 to 1e-2 over 2000 steps; its alpha_bar is the paper's gamma."""
    from nferbench_methods.diffusion.schedule import linear_between

    # Deviation: the paper does not give the schedule of its training; the code's ends at gamma_T = 4.4e-5.
    return linear_between(*BETAS, SR3_STEPS)


def told(gamma: Tensor, noise_level: NoiseLevel) -> Tensor:
    """What a network is told of the levels gamma: themselves or their roots."""
    return gamma if noise_level == "gamma" else gamma.sqrt()


def draw_levels(schedule: Schedule, n: int, rng: Generator, noise_level: NoiseLevel, shared_t: bool) -> Tensor:
    """Draw t from 1..T, then a level evenly between those of t - 1 and t, gamma_0 being 1 (the paper's p(gamma)).

    Args:
        schedule: on the device of the training.
        n: levels to draw.
        rng: all randomness.
        noise_level: the quantity that is drawn.
        shared_t: draw one t for all n.

    Returns:
        (n,) float64 on the device of the schedule.
    """
    import torch

    from nferbench_methods.diffusion.schedule import previous

    lower, upper = (told(gamma, noise_level) for gamma in (schedule.alpha_bar, previous(schedule.alpha_bar)))
    t = torch.randint(len(schedule), (1 if shared_t else n,), generator=rng, device=rng.device).to(lower.device)
    u = torch.rand(n, generator=rng, device=rng.device, dtype=lower.dtype).to(lower.device)
    return lower[t] + u * (upper - lower)[t]
