"""The score network of a fold: an ADM U-Net that predicts the noise in NIR faces.

One recipe serves every diffusion method but SR3. Unconditional, it models NIR faces alone and is shared by ILVR,
SDEdit, EGSDE and the baseline of NFER-SDE. Conditional, it also sees the VIS face, joined on the channel axis
(NFER-SDE, Eq. 9), and is shared by T2V-DDPM and NFER-SDE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from nferbench import LATER, Batch, FaceSpec, Learner, NetworkRecipe, UsageError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from nferbench import StoredWeights
    from nferbench_methods.diffusion.unet import TimeUNet

Variance = Literal["fixed-small", "fixed-large", "learned-range"]  # of a reverse step
AttentionOrder = Literal["legacy", "new"]  # of the rows for queries, keys and values: by head first, or by role first


@final
@dataclass(frozen=True)
class ScoreRecipe(NetworkRecipe):
    """A noise predictor on the linear schedule of 1000 steps; the defaults are those of T2V-DDPM's code at 256 px."""

    # Deviation: T2V-DDPM's code trains on its 100 respaced steps only; all 1000 are trained here, so that samplers
    # with any number of steps can share the network.
    conditional: bool = True  # whether the clean VIS face is joined to the input
    width: int = 192  # channels of the first level
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)  # channels of each level as multiples of the width
    res_blocks: int = 2  # residual blocks a level
    attention: tuple[int, ...] = (32, 16, 8)  # sides of the feature maps that attend to themselves
    head_channels: int = 64  # channels of an attention head, at every level that attends
    dropout: float = 0.0  # probability in each residual block
    learned_variance: bool = True  # three more output channels for the variance, trained by the variational bound
    steps: int = 100_000  # updates
    batch_size: int = 16  # pairs per update
    lr: float = 1e-5  # AdamW, constant, no weight decay
    ema: float = 0.0  # decay of the running average of the weights, with warm-up; 0 keeps the raw weights
    flip: bool = False  # mirror half of the faces, VIS and NIR together
    # SHA-256 of the weights to start from: a safetensors file of ours, a checkpoint of guided-diffusion, or a folder of
    # diffusers; empty starts from nothing.
    init_sha256: str = ""
    init: str = field(default="", compare=False)  # where they lie
    # Cannot be seen in the file: "new" where a checkpoint was trained with use_new_attention_order.
    init_attention: AttentionOrder = field(default="legacy", metadata={LATER: True})

    def __post_init__(self) -> None:
        if self.init_attention != "legacy" and not (self.init or self.init_sha256):
            raise UsageError(
                f"score.init_attention is '{self.init_attention}' and there is no checkpoint; set init and "
                "init_sha256, or leave it 'legacy'"
            )

    @property
    def title(self) -> str:
        return "c-v2n" if self.conditional else "u-nir"

    @property
    def paired(self) -> bool:
        return self.conditional

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.diffusion.unet import ScoreUNet, TimeUNet

        return ScoreUNet(
            TimeUNet(
                faces.size,
                in_channels=6 if self.conditional else 3,
                out_channels=6 if self.learned_variance else 3,
                width=self.width,
                multipliers=self.multipliers,
                res_blocks=self.res_blocks,
                attention=self.attention,
                head_channels=self.head_channels,
                dropout=self.dropout,
            )
        )

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        import torch
        from torch.optim import AdamW

        from nferbench import GradientLearner, PiecewiseLoss, load_initial
        from nferbench_methods.diffusion.checkpoint import check_heads, from_guided_diffusion
        from nferbench_methods.diffusion.loss import noise_error, variational_bound
        from nferbench_methods.diffusion.schedule import linear_schedule, perturb_each
        from nferbench_methods.released.diffusers_folder import diffusers_unet

        def guided_diffusion(stored: StoredWeights) -> Mapping[str, Tensor]:
            unet: TimeUNet = network.unet  # type: ignore[assignment]
            check_heads(unet, self.head_channels)
            return _within(from_guided_diffusion(stored.tensors, unet, self.init_attention))

        def diffusers(stored: StoredWeights) -> Mapping[str, Tensor]:
            return _within(diffusers_unet(stored, network.unet))  # type: ignore[arg-type]

        released = {"torch": guided_diffusion, "diffusers": diffusers}
        load_initial(self.init, self.init_sha256, network, released=released)
        schedule = linear_schedule().to(next(network.parameters()).device)

        def draw(batch: Batch, rng: Generator) -> tuple[Tensor, ...]:
            vis, nir = batch.vis, batch.nir
            if self.flip:
                mirrored = torch.rand(len(nir), 1, 1, 1, generator=rng, device=rng.device).to(nir.device) < 0.5
                vis, nir = (torch.where(mirrored, faces.flip(-1), faces) for faces in (vis, nir))
            k = torch.randint(len(schedule), (len(nir),), generator=rng, device=rng.device).to(nir.device)
            e = torch.randn(nir.shape, generator=rng, device=rng.device).to(nir.device)
            return vis, nir, k, e

        def terms(vis: Tensor, nir: Tensor, k: Tensor, e: Tensor) -> Mapping[str, Tensor]:
            x = perturb_each(nir, e, schedule, k)
            eps, v = network(torch.cat([x, vis], dim=1) if self.conditional else x, k)
            named = {"noise": noise_error(eps, e)}
            if v is not None:
                named["bound"] = variational_bound(eps, v, e, nir, schedule, k).mean()
            return named

        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=0.0)
        return GradientLearner(network, optimiser, PiecewiseLoss(draw, terms), ema=self.ema, pure=True)

    def updates(self, pairs: int) -> int:
        return self.steps


CONDITIONAL_SCORE = ScoreRecipe()

# The network of the public ILVR and EGSDE checkpoints ("ADM-lite"), seen as many images as the conditional one.
# Deviation: those checkpoints were trained on large collections without dropout and with a constant average of decay
# 0.9999; a fold has few faces and the training is shorter, hence dropout and an average with warm-up.
UNCONDITIONAL_SCORE = ScoreRecipe(
    conditional=False,
    width=128,
    res_blocks=1,
    attention=(16,),
    dropout=0.1,
    lr=2e-5,
    ema=0.9999,
    flip=True,
)


def check_variance(method: str, variance: Variance, score: ScoreRecipe) -> None:
    """Refuse a learned variance where the network has none.

    Raises:
        UsageError: `variance` is "learned-range" and `score` was told not to learn it.
    """
    if variance == "learned-range" and not score.learned_variance:
        raise UsageError(f"{method}: variance 'learned-range' needs score.learned_variance; set it or 'fixed-small'")


def _within(unet: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {f"unet.net.{name}": value for name, value in unet.items()}
