"""pix2pix: a U-Net that maps the VIS face straight to its NIR partner, under an L1 and an adversarial loss.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017. Where the paper
and the authors' PyTorch code differ, the code is followed; the NFER-SDE paper says nothing of how it trained pix2pix.
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


@final
@dataclass(frozen=True)
class Pix2PixRecipe(NetworkRecipe):
    """Generator and discriminator of pix2pix, trained from scratch on pairs; only the generator is kept."""

    version: ClassVar[int] = 2  # 2: fused optimisers on a CPU too, whose steps took two fifths of an update of one pair

    levels: int = 8  # halvings of the U-Net, at least 2; faces must be a multiple of 2^levels px
    width: int = 64  # channels of the U-Net's outermost level; deeper levels have up to 8 times as many
    dropout: Literal["code", "paper"] = "code"  # which levels drop: 2nd-4th up (code), 1st-3rd (paper)
    discriminator_width: int = 64  # channels of the first discriminator layer
    l1_weight: float = 100.0  # lambda: weight of the mean absolute error beside the adversarial loss
    tie_grey: bool = False  # True averages the output channels before both losses, so that colour betrays no fake
    lr: float = 2e-4  # of both Adam optimisers
    betas: tuple[float, float] = (0.5, 0.999)  # of both Adam optimisers
    epochs: int = 200  # passes over the pairs; constant rate in the first half, linear decay in the second
    batch_size: int = 1  # pairs per update; only at 1 do training and translation normalise alike
    jitter: float = 286 / 256  # side to which faces are enlarged before the random crop, as a multiple; 1 only flips
    # SHA-256 of weights to start from, of ours or the authors' `*_net_G.pth`; empty starts from nothing.
    init_sha256: str = field(default="", metadata={LATER: True})
    init: str = field(default="", compare=False)  # where that file lies

    @property
    def title(self) -> str:
        return "pix2pix"

    def build(self, faces: FaceSpec) -> nn.Module:
        from nferbench_methods.gan.networks import SMALLEST_JUDGED, UNetGenerator, initialise

        if self.levels < 2:
            raise UsageError(f"pix2pix: a U-Net of {self.levels} levels has no skip; set generator.levels to 2 or more")
        if faces.size % 2**self.levels:
            raise UsageError(
                f"pix2pix: faces of {faces.size} px do not fit {self.levels} halvings; allowed are multiples of "
                f"{2**self.levels} px; change the face size, or generator.levels so that 2^levels divides it"
            )
        if faces.size < SMALLEST_JUDGED:
            raise UsageError(
                f"pix2pix: faces of {faces.size} px are too small for the patch discriminator; allowed are "
                f"{SMALLEST_JUDGED} px or more; change the face size"
            )
        # Deviation: at 8 levels this is the authors' code or paper. For other depths the three dropouts keep their
        # distance from the bottleneck; the code's 7-level network has two of them, a 5-level one would have none.
        first = self.levels - {"code": 1, "paper": 0}[self.dropout]
        dropped = range(first, max(first - 3, 1), -1)  # the outermost level is the image and never dropped
        network = UNetGenerator(levels=self.levels, width=self.width, dropout=dropped)
        initialise(network)
        return network

    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        from torch.optim import Adam

        from nferbench import load_initial
        from nferbench_methods.gan.adversarial import AdversarialLearner
        from nferbench_methods.gan.networks import PatchDiscriminator, initialise
        from nferbench_methods.gan.pix2pix_objective import Pix2PixObjective
        from nferbench_methods.gan.schedule import linear_decay
        from nferbench_methods.released.cyclegan_and_pix2pix import unet_generator

        discriminator = PatchDiscriminator(6, width=self.discriminator_width)
        initialise(discriminator)
        discriminator.to(next(network.parameters()).device)

        def released(stored: StoredWeights) -> Mapping[str, Tensor]:
            return unet_generator(stored.tensors, network)  # type: ignore[arg-type]

        load_initial(self.init, self.init_sha256, network, {"discriminator": discriminator}, {"torch": released})
        optimisers = {
            "generator_optimiser": Adam(network.parameters(), lr=self.lr, betas=self.betas, fused=True),
            "discriminator_optimiser": Adam(discriminator.parameters(), lr=self.lr, betas=self.betas, fused=True),
        }
        objective = Pix2PixObjective(
            generator=network,
            discriminator=discriminator,
            **optimisers,
            l1_weight=self.l1_weight,
            jitter_ratio=self.jitter,
            tie_grey=self.tie_grey,
        )
        decay = self.epochs // 2
        return AdversarialLearner(
            {"generator": network, "discriminator": discriminator},
            optimisers,
            objective.update,
            rate=lambda k: linear_decay(1 + k * self.batch_size // pairs, self.epochs - decay, decay),
        )

    def updates(self, pairs: int) -> int:
        return ceil(self.epochs * pairs / self.batch_size)


@final
@dataclass(frozen=True)
class Pix2Pix(Translator):
    """Image-to-image translation by a conditional GAN; dropout is its only source of randomness."""

    group: ClassVar[Group] = "gan"

    name: str = field(default="pix2pix", compare=False)
    title: str = field(default="pix2pix", compare=False)
    generator: Pix2PixRecipe = Pix2PixRecipe()
    # "faithful" translates as in training: dropout on, normalised by the image at hand. "no-dropout" leaves the former
    # out; "eval" leaves out both and uses the running averages (the authors' --eval switch, reported to blur).
    test_mode: Literal["faithful", "no-dropout", "eval"] = "faithful"

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"generator": self.generator}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        import torch
        from torch import nn

        from nferbench_methods.gan.networks import as_in_training

        generator = networks["generator"]
        active = {"faithful": (nn.BatchNorm2d, nn.Dropout), "no-dropout": (nn.BatchNorm2d,), "eval": ()}
        outputs = []
        with as_in_training(generator, *active[self.test_mode]):
            # Deviation: the authors' running averages go on moving at test time and their dropout is not seeded. Here
            # both are fixed per image, so that neither order nor neighbours change an output.
            for i in range(len(noise)):
                with noise.seeded(i):
                    outputs.append(generator(vis[i : i + 1]))
        return torch.cat(outputs)


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [Pix2Pix()]
