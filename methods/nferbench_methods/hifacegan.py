"""HiFaceGAN: suppress what the VIS face should not pass on, then replenish detail from coarse to fine.

Yang, Liu, Wang, Wang, Ren, Ma, Gao, "HiFaceGAN: Face Renovation via Collaborative Suppression and Replenishment", ACM
Multimedia 2020, made to restore degraded faces and used here on pairs of VIS and NIR. Where the paper and the authors'
code differ, the code is followed; the NFER-SDE paper says nothing of how it trained HiFaceGAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import LATER, FaceSpec, Group, Learner, NetworkRecipe, Translator, UsageError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise, StoredWeights

SMALLEST_PERCEIVED = 64  # px; below it the authors' code leaves the perceptual loss out
STAMPS = {
    "vgg16": ("its perceptual loss sees VGG16 instead of VGG19",),
    "none": ("trained without the perceptual loss",),
}


@final
@dataclass(frozen=True)
class HiFaceGANRecipe(NetworkRecipe):
    """Generator and discriminators of HiFaceGAN, trained from scratch on pairs; only the generator is kept."""

    # 2: power iterations in the order of the authors' code, from random vectors. 3: fused optimisers on a CPU too.
    version: ClassVar[int] = 3

    # 64 is the released default; the paper's experiments mostly used 48.
    width: int = 64  # nf: channels at full size; deeper levels have up to 16 times as many
    # Deviation: 5 in the authors' code, for faces of 512 px. Other depths keep its rule: a head at the coarsest
    # features, two blocks at the next, one block for each finer one.
    halvings: int = 5  # at least 1; faces must be a multiple of 2^halvings px and at least twice that
    normalisation: Literal["batch", "instance"] = "batch"  # of the decoder: over a batch, or each image by itself
    discriminator_width: int = 64  # channels of the first layer of each discriminator
    feature_weight: float = 10.0  # lambda_feat: weight of the matched discriminator features
    # Deviation: the authors have VGG19 alone; VGG16 comes with a package that LPIPS needs too. Rows say so.
    perceptual: Literal["vgg19", "vgg16", "none"] = "vgg19"  # network of the perceptual loss; "none" leaves it out
    perceptual_weight: float = 10.0  # lambda_vgg: weight of the perceptual loss
    tie_grey: bool = False  # True averages the output channels before all losses, so that colour betrays no fake
    lr_generator: float = 1e-4  # of the generator's Adam
    lr_discriminator: float = 4e-4  # of the discriminators' Adam
    betas: tuple[float, float] = (0.0, 0.9)  # of both Adam optimisers
    epochs: int = 50  # passes over the pairs; constant rate in the first 3/5, linear decay in the rest
    batch_size: int = 2  # pairs per update
    # SHA-256 of weights to start from, of ours or the authors' `*_net_G.pth`; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    @property
    def title(self) -> str:
        return "hifacegan"

    def ready(self) -> None:
        from nferbench.weights import Missing, find

        if self.perceptual != "none" and isinstance(found := find(self.perceptual), Missing):
            others = " or ".join(each for each in ("vgg16", "none") if each != self.perceptual)
            raise UsageError(
                f"hifacegan: {found.reason}; or take another perceptual loss: "
                f"--set methods.hifacegan.generator.perceptual={others}"
            )

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.gan.replenishment import HiFaceGenerator, initialise

        if self.halvings < 1:
            raise UsageError(
                f"hifacegan: {self.halvings} halvings leave no pyramid; set generator.halvings to 1 or more"
            )
        stride = 2**self.halvings
        if faces.size % stride or faces.size < 2 * stride:
            raise UsageError(
                f"hifacegan: faces of {faces.size} px do not fit {self.halvings} halvings; allowed are multiples of "
                f"{stride} px from {2 * stride} px on; change the face size or generator.halvings"
            )
        # Deviation: the authors' code leaves the loss out without a word; here such a training has to say so itself,
        # for then its rows carry the stamp.
        if self.perceptual != "none" and faces.size < SMALLEST_PERCEIVED:
            raise UsageError(
                f"hifacegan: faces of {faces.size} px are too small for the perceptual loss; allowed are "
                f"{SMALLEST_PERCEIVED} px or more; change the face size or set generator.perceptual to none"
            )
        network = HiFaceGenerator(width=self.width, halvings=self.halvings, normalisation=self.normalisation)
        initialise(network)
        return network

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        from torch.optim import Adam

        from nferbench import load_initial
        from nferbench_methods.gan.adversarial import AdversarialLearner
        from nferbench_methods.gan.hifacegan_objective import HiFaceGANObjective
        from nferbench_methods.gan.multiscale import MultiscaleDiscriminator
        from nferbench_methods.gan.replenishment import initialise
        from nferbench_methods.gan.schedule import linear_decay
        from nferbench_methods.gan.vgg import pretrained_vgg
        from nferbench_methods.released.hifacegan import hiface_generator

        discriminator = MultiscaleDiscriminator(width=self.discriminator_width)
        initialise(discriminator)
        discriminator.to(next(network.parameters()).device)

        def released(stored: StoredWeights) -> Mapping[str, Tensor]:
            return hiface_generator(stored.tensors, network)  # type: ignore[arg-type]

        load_initial(self.init, self.init_sha256, network, {"discriminator": discriminator}, {"torch": released})
        optimisers = {
            "generator_optimiser": Adam(network.parameters(), lr=self.lr_generator, betas=self.betas, fused=True),
            "discriminator_optimiser": Adam(
                discriminator.parameters(), lr=self.lr_discriminator, betas=self.betas, fused=True
            ),
        }
        objective = HiFaceGANObjective(
            generator=network,
            discriminator=discriminator,
            **optimisers,
            feature_weight=self.feature_weight,
            perceptual_weight=self.perceptual_weight,
            perceptual=None if self.perceptual == "none" else pretrained_vgg(self.perceptual),
            tie_grey=self.tie_grey,
        )
        # The authors lower the rates at the end of an epoch, so that one more epoch has the full rate and the last one
        # 1 / decay of it.
        decay = max(1, 2 * self.epochs // 5)
        return AdversarialLearner(
            {"generator": network, "discriminator": discriminator},
            optimisers,
            objective.update,
            rate=lambda k: linear_decay(1 + k * self.batch_size // pairs, self.epochs - decay + 1, decay - 1),
        )

    def updates(self, pairs: int) -> int:
        # Deviation: the authors drop the last pair of an odd epoch; here it opens the next epoch's first batch.
        return ceil(self.epochs * pairs / self.batch_size)


@final
@dataclass(frozen=True)
class HiFaceGAN(Translator):
    """One forward of the generator; deterministic."""

    group: ClassVar[Group] = "gan"
    heterogeneous: ClassVar[bool] = True

    name: str = field(default="hifacegan", compare=False)
    title: str = field(default="HiFaceGAN", compare=False)
    generator: HiFaceGANRecipe = HiFaceGANRecipe()

    @property
    def stamps(self) -> tuple[str, ...]:
        return STAMPS.get(self.generator.perceptual, ())

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"generator": self.generator}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        import torch

        # Deviation: the authors translate in training mode, one image a forward. Here too an image is normalised by
        # itself, but the power iterations of the spectral norms stand still, so that a translation changes nothing.
        generator = networks["generator"]
        return torch.cat([generator((image + 1) / 2).clamp(0, 1) * 2 - 1 for image in torch.split(vis, 1)])


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [HiFaceGAN()]
