"""resnet18: the plain recogniser of expression papers, ResNet-18 (He et al. 2016) with their usual augmentation.

NFER-SDE (AAAI 2024) does not name its recogniser; this is the common recipe of public code for RAF-DB and its kin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from nferbench.contract.fer import FERLearner, FERModel, LabelledBatch
from nferbench.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

CROP = 224 / 256  # side of the random crop as a share of the face's


@final
@dataclass(frozen=True)
class ResNet18(FERModel):
    """Random 224/256 crops in training, the whole face resized in testing; the last epoch is kept."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"input_size": 56, "batch_size": 32},
        "quick": {"input_size": 28, "batch_size": 16, "epochs": 10},
    }

    name: str = field(default="resnet18", compare=False)
    title: str = field(default="ResNet-18", compare=False)
    # Deviation: the paper names neither recogniser nor initialisation; ImageNet weights are usual but never fetched.
    weights: Literal["imagenet", "file"] | None = None  # None: random; "imagenet": torchvision's local file
    file: str = field(default="", compare=False)  # with weights "file": path of a state dict
    file_sha256: str = ""  # its SHA-256: that, and not the path, is part of the key of results
    input_size: int = 224  # side of what the network sees, in pixels
    stem: Literal["imagenet", "small"] = "imagenet"  # "small": 3x3, stride 1, no pooling; slower, for faces under 64 px
    luminance: bool = True  # colour is taken from the faces, so that the tint of translated ones tells nothing
    epochs: int = 40  # passes over the training faces
    batch_size: int = 64  # faces per update
    lr: float = 1e-4  # AdamW
    decay: float = 0.9  # of the learning rate, per epoch
    weight_decay: float = 1e-4  # AdamW
    label_smoothing: float = 0.0  # of the cross-entropy
    rotation: float = 10.0  # degrees either way
    jitter: float = 0.2  # brightness and contrast, as a share
    erasing: float = 0.5  # probability that 2-25 % of a face are erased

    def build(self, size: int, classes: int) -> nn.Module:
        from nferbench.recognisers import networks

        state, source = None, ""
        if self.weights is not None:
            state, source = networks.read_state(self.weights, self.file, self.file_sha256)
        return networks.resnet18(classes, self.stem, state, source)

    def learner(self, network: nn.Module, samples: int) -> FERLearner:
        from torch.nn.functional import cross_entropy
        from torch.optim import AdamW

        from nferbench.contract.learning import GradientLearner
        from nferbench.recognisers.augment import at_least_two, erased, imagenet_normalised, jittered, random_view
        from nferbench.recognisers.networks import training_scores

        def loss(batch: LabelledBatch, rng: Generator) -> dict[str, Tensor]:
            faces, labels = at_least_two(self._channels(batch.images), batch.labels)
            faces = random_view(faces, self.input_size, rng, window=(CROP, CROP), shift=1 - CROP, degrees=self.rotation)
            faces = imagenet_normalised(jittered(faces, rng, strength=self.jitter))
            scores = training_scores(network, erased(faces, rng, p=self.erasing))
            return {"cross_entropy": cross_entropy(scores, labels, label_smoothing=self.label_smoothing)}

        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        return GradientLearner(
            network, optimiser, loss, rate=lambda k: self.decay ** (k * self.batch_size // max(samples, 1))
        )

    def updates(self, samples: int) -> int:
        return ceil(self.epochs * samples / self.batch_size)

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        from nferbench.recognisers.augment import imagenet_normalised, resized

        scores: Tensor = network(imagenet_normalised(resized(self._channels(images), self.input_size)))
        return scores

    def _channels(self, images: Tensor) -> Tensor:
        from nferbench.recognisers.augment import luminance

        return luminance(images) if self.luminance else images


@hookimpl
def nferbench_fer_models() -> list[FERModel]:
    return [ResNet18()]
