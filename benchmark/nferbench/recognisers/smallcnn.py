"""smallcnn: a recogniser for small faces and little time; the default of the quick runs. Not a published network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, final

from nferbench.contract.fer import FERLearner, FERModel, LabelledBatch
from nferbench.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@final
@dataclass(frozen=True)
class SmallCNN(FERModel):
    """Four convolutions on the luminance of the face, trained from random weights; the last update is kept."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    version: ClassVar[int] = 2  # 2: another layout of the weights and a fused optimiser, which round otherwise

    name: str = field(default="smallcnn", compare=False)
    title: str = field(default="Small CNN", compare=False)
    width: int = 16  # channels of the first convolution; 16 makes 0.2 M parameters
    dropout: float = 0.2  # before and after the hidden layer
    epochs: int = 25  # passes over the training faces
    batch_size: int = 32  # faces per update
    lr: float = 2e-3  # AdamW, falling to 0 along half a cosine
    weight_decay: float = 1e-2  # AdamW
    zoom: float = 0.05  # in or out, as a share
    shift: float = 0.05  # along either axis, as a share of half the face
    rotation: float = 3.0  # degrees either way
    jitter: float = 0.2  # brightness and contrast, as a share

    def build(self, size: int, classes: int) -> nn.Module:
        import torch

        from nferbench.recognisers import networks

        # Channels-last: an update on a CPU takes a fifth less time.
        return networks.SmallCNN(self.width, classes, self.dropout).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def learner(self, network: nn.Module, samples: int) -> FERLearner:
        from math import cos, pi

        from torch.nn.functional import cross_entropy
        from torch.optim import AdamW

        from nferbench.contract.learning import GradientLearner
        from nferbench.recognisers.augment import at_least_two, jittered, luminance, random_view
        from nferbench.recognisers.networks import training_scores

        updates = self.updates(samples)

        def loss(batch: LabelledBatch, rng: Generator) -> dict[str, Tensor]:
            faces, labels = at_least_two(luminance(batch.images), batch.labels)
            window = (1 - self.zoom, 1 + self.zoom)
            faces = random_view(faces, faces.shape[-1], rng, window=window, shift=self.shift, degrees=self.rotation)
            scores = training_scores(network, jittered(faces, rng, strength=self.jitter))
            return {"cross_entropy": cross_entropy(scores, labels)}

        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)
        return GradientLearner(network, optimiser, loss, rate=lambda k: (1 + cos(pi * k / updates)) / 2)

    def updates(self, samples: int) -> int:
        return ceil(self.epochs * samples / self.batch_size)

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        from nferbench.recognisers.augment import luminance

        scores: Tensor = network(luminance(images))
        return scores


@hookimpl
def nferbench_fer_models() -> list[FERModel]:
    return [SmallCNN()]
