"""CycleGAN: VIS to NIR learned without pairs; what is sent to the other domain and back must come back unchanged.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017.
Where the paper and the authors' PyTorch code differ, the code is followed; the NFER-SDE paper says nothing of how it
trained CycleGAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, ClassVar, final

from nferbench import LATER, FaceSpec, Group, Learner, NetworkRecipe, Translator, UsageError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise, StoredWeights


@final
@dataclass(frozen=True)
class CycleGANRecipe(NetworkRecipe):
    """Two generators and two discriminators, trained from scratch without pairs; VIS to NIR is kept."""

    version: ClassVar[int] = 2  # 2: fused optimisers on a CPU too

    width: int = 64  # channels of both generators at full side; up to 4 times as many inside
    # Deviation: the paper takes 6 blocks for 128 px and 9 from 256 px; the authors' code defaults to 9 at any size.
    blocks: int = 9  # residual blocks of both generators
    discriminator_width: int = 64  # channels of the first layer of both discriminators
    cycle_weight: float = 10.0  # lambda: weight of the mean absolute error of the way there and back
    # Deviation: the paper has this loss for paintings to photographs alone, where it keeps hues; in the authors' code
    # it is on by default, and is the authors' advice against inverted brightness.
    identity_weight: float = 0.5  # weight of |G(n) - n| and |F(v) - v| as a multiple of cycle_weight; 0 leaves both out
    pool: int = 50  # earlier fakes kept for each discriminator; 0 shows it the newest only
    tie_grey: bool = False  # True averages the channels of NIR fakes before all losses, so that colour betrays none
    grey_source: bool = False  # True trains on and translates the luma of VIS faces
    lr: float = 2e-4  # of both Adam optimisers
    betas: tuple[float, float] = (0.5, 0.999)  # of both Adam optimisers
    epochs: int = 200  # passes over the faces; constant rate in the first half, linear decay in the second
    batch_size: int = 1  # VIS faces per update, and as many unrelated NIR faces
    jitter: float = 286 / 256  # side to which faces are enlarged before the random crop, as a multiple; 1 only flips
    # SHA-256 of weights to start from, of ours or one of the authors' generators; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    @property
    def title(self) -> str:
        return "cyclegan"

    @property
    def paired(self) -> bool:
        # Deviation: the authors' code draws the face of the second domain with replacement at every update. Here both
        # domains are shuffled apart, so that an epoch shows every NIR face once, as it does to the paired methods.
        return False

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.gan.networks import SMALLEST_JUDGED, initialise
        from nferbench_methods.gan.resnet_generator import ResnetGenerator

        if faces.size % 4 or faces.size < SMALLEST_JUDGED:
            raise UsageError(
                f"cyclegan: faces of {faces.size} px do not fit its networks; allowed are multiples of 4 px, at least "
                f"{SMALLEST_JUDGED} px; change the face size"
            )
        network = ResnetGenerator(width=self.width, blocks=self.blocks)
        initialise(network)
        return network

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        from torch.optim import Adam

        from nferbench import load_initial
        from nferbench_methods.gan.adversarial import AdversarialLearner
        from nferbench_methods.gan.cyclegan_objective import CycleGANObjective
        from nferbench_methods.gan.networks import PatchDiscriminator, initialise
        from nferbench_methods.gan.pool import ImagePool
        from nferbench_methods.gan.schedule import linear_decay
        from nferbench_methods.released.cyclegan_and_pix2pix import resnet_generator

        device = next(network.parameters()).device
        nir_discriminator, vis_discriminator = opponents = [
            PatchDiscriminator(3, width=self.discriminator_width, norm="instance") for _ in range(2)
        ]
        for discriminator in opponents:
            initialise(discriminator)
            discriminator.to(device)
        inverse = self.build(faces).to(device)
        generating = chain(network.parameters(), inverse.parameters())
        judging = chain(nir_discriminator.parameters(), vis_discriminator.parameters())
        others = {
            "inverse": inverse,
            "nir_discriminator": nir_discriminator,
            "vis_discriminator": vis_discriminator,
        }

        def released(stored: StoredWeights) -> Mapping[str, Tensor]:
            return resnet_generator(stored.tensors, network)  # type: ignore[arg-type]

        load_initial(self.init, self.init_sha256, network, others, {"torch": released})
        optimisers = {
            "generator_optimiser": Adam(generating, lr=self.lr, betas=self.betas, fused=True),
            "discriminator_optimiser": Adam(judging, lr=self.lr, betas=self.betas, fused=True),
        }
        pools = {"nir_pool": ImagePool(self.pool), "vis_pool": ImagePool(self.pool)}
        objective = CycleGANObjective(
            generator=network,
            inverse=inverse,
            nir_discriminator=nir_discriminator,
            vis_discriminator=vis_discriminator,
            generator_optimiser=optimisers["generator_optimiser"],
            discriminator_optimiser=optimisers["discriminator_optimiser"],
            nir_pool=pools["nir_pool"],
            vis_pool=pools["vis_pool"],
            cycle_weight=self.cycle_weight,
            identity_weight=self.identity_weight,
            jitter_ratio=self.jitter,
            tie_grey=self.tie_grey,
            grey_source=self.grey_source,
        )
        decay = self.epochs // 2
        return AdversarialLearner(
            {"generator": network, **others},
            optimisers,
            objective.update,
            rate=lambda k: linear_decay(1 + k * self.batch_size // pairs, self.epochs - decay, decay),
            further=pools,
            divided=lambda piece: replace(objective, piece=piece).update,
        )

    def updates(self, pairs: int) -> int:
        return ceil(self.epochs * pairs / self.batch_size)


@final
@dataclass(frozen=True)
class CycleGAN(Translator):
    """Unpaired image-to-image translation; one pass of the generator, without randomness."""

    group: ClassVar[Group] = "gan"

    name: str = field(default="cyclegan", compare=False)
    title: str = field(default="CycleGAN", compare=False)
    generator: CycleGANRecipe = CycleGANRecipe()

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"generator": self.generator}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        import torch

        from nferbench import luma

        if self.generator.grey_source:
            vis = luma(vis)
        # Images of a batch do not meet; but on a CPU the kernels that are chosen for another batch round differently.
        batch = 1 if vis.device.type == "cpu" else len(vis)
        return torch.cat([networks["generator"](vis[i : i + batch]) for i in range(0, len(vis), batch)])


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [CycleGAN()]
