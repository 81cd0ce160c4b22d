"""The recipe of E_s, EGSDE's domain-specific features: those of a classifier that tells noisy VIS from noisy NIR faces.

Zhao, Bao, Li, Zhu, "EGSDE: Unpaired Image-to-Image Translation via Energy-Guided Stochastic Differential Equations",
NeurIPS 2022, with the settings of the authors' training script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from nferbench import LATER, Batch, FaceSpec, Learner, NetworkRecipe

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from nferbench import StoredWeights


@final
@dataclass(frozen=True)
class DomainRecipe(NetworkRecipe):
    """A time-dependent classifier of two domains, trained by cross entropy at all noise levels alike."""

    # Deviation: the authors shuffle anew for every update, so that a face may come twice before all have come once. All
    # trainings here deal out whole epochs.

    width: int = 128  # channels of the first level
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)  # channels of each level as multiples of the width
    res_blocks: int = 2  # residual blocks a level
    attention: tuple[int, ...] = (32, 16, 8)  # sides of the feature maps that attend to themselves; the middle always
    head_channels: int = 64  # channels of an attention head
    # Deviation: the authors start from a noisy classifier of ImageNet and need 5,000 updates. Those weights do not come
    # with nferbench; from nothing, the network gets four times as many.
    steps: int = 20_000  # updates
    # Deviation: the authors draw 32 images from both domains mixed. One face of each makes the same number, in balance.
    batch_size: int = 16  # VIS faces per update, and as many NIR faces
    lr: float = 3e-4  # AdamW, falling linearly to 0
    weight_decay: float = 0.05  # AdamW
    flip: bool = True  # mirror half of the faces
    grey_source: bool = False  # learn from the luma of the VIS faces
    # SHA-256 of weights to start from, of ours or of guided-diffusion's classifier; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    @property
    def paired(self) -> bool:
        return False

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.diffusion.domain_net import DomainNet

        return DomainNet(
            faces.size,
            classes=2,
            width=self.width,
            multipliers=self.multipliers,
            res_blocks=self.res_blocks,
            attention=self.attention,
            head_channels=self.head_channels,
        )

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        import torch
        from torch.nn.functional import cross_entropy
        from torch.optim import AdamW

        from nferbench import GradientLearner, PiecewiseLoss, load_initial, luma, mixed_precision
        from nferbench_methods.diffusion.schedule import linear_schedule, perturb_each
        from nferbench_methods.released.guided_classifier import domain_net

        def classifier(stored: StoredWeights) -> Mapping[str, Tensor]:
            return domain_net(stored.tensors, network, self.head_channels)  # type: ignore[arg-type]

        load_initial(self.init, self.init_sha256, network, released={"torch": classifier})
        schedule = linear_schedule().to(next(network.parameters()).device)

        def draw(batch: Batch, rng: Generator) -> tuple[Tensor, ...]:
            x_0 = torch.cat([luma(batch.vis) if self.grey_source else batch.vis, batch.nir])
            domain = (torch.arange(len(x_0), device=x_0.device) >= len(batch.vis)).long()  # VIS 0, NIR 1
            if self.flip:
                mirrored = torch.rand(len(x_0), 1, 1, 1, generator=rng, device=rng.device).to(x_0.device) < 0.5
                x_0 = torch.where(mirrored, x_0.flip(-1), x_0)
            k = torch.randint(len(schedule), (len(x_0),), generator=rng, device=rng.device).to(x_0.device)
            e = torch.randn(x_0.shape, generator=rng, device=rng.device).to(x_0.device)
            return x_0, domain, k, e

        def terms(x_0: Tensor, domain: Tensor, k: Tensor, e: Tensor) -> Mapping[str, Tensor]:
            with mixed_precision(x_0.device):
                logits = network.logits(perturb_each(x_0, e, schedule, k), k)  # type: ignore[operator]
            return {"domain": cross_entropy(logits.to(x_0.dtype), domain)}

        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        loss = PiecewiseLoss(draw, terms)
        return GradientLearner(network, optimiser, loss, rate=lambda k: 1 - k / self.steps, pure=True)

    def updates(self, pairs: int) -> int:
        return self.steps
