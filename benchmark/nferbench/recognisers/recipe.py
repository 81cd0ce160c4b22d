"""How recognisers are trained and tested that differ in their network alone: views, optimiser, schedule, test.

NFER-SDE (AAAI 2024) does not name its recogniser; this is the common recipe of public code for RAF-DB and its kin.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from nferbench.contract.fer import FERLearner, FERModel, LabelledBatch

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

CROP = 224 / 256  # side of the random crop as a share of the face's


@dataclass(frozen=True)
class Recipe(FERModel):
    """Random 224/256 crops in training, the whole face resized in testing; the last epoch is kept. Fields alone."""

    input_size: int = 224  # side of what the network sees, in pixels
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


def learner(recipe: Recipe, network: nn.Module, samples: int) -> FERLearner:
    """A training of `network`, which takes (B, 3, input_size, input_size) in ImageNet's units, on `samples` faces."""
    from torch.nn.functional import cross_entropy
    from torch.optim import AdamW

    from nferbench.contract.learning import GradientLearner
    from nferbench.recognisers.augment import at_least_two, erased, imagenet_normalised, jittered, random_view
    from nferbench.recognisers.networks import training_scores

    def loss(batch: LabelledBatch, rng: Generator) -> dict[str, Tensor]:
        faces, labels = at_least_two(_channels(recipe, batch.images), batch.labels)
        faces = random_view(faces, recipe.input_size, rng, window=(CROP, CROP), shift=1 - CROP, degrees=recipe.rotation)
        faces = imagenet_normalised(jittered(faces, rng, strength=recipe.jitter))
        scores = training_scores(network, erased(faces, rng, p=recipe.erasing))
        return {"cross_entropy": cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)}

    optimiser = AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    return GradientLearner(
        network, optimiser, loss, rate=lambda k: recipe.decay ** (k * recipe.batch_size // max(samples, 1))
    )


def updates(recipe: Recipe, samples: int) -> int:
    """The number of updates in which every face is seen once an epoch."""
    return ceil(recipe.epochs * samples / recipe.batch_size)


def logits(recipe: Recipe, network: nn.Module, images: Tensor) -> Tensor:
    """Class scores (B, C) of faces (B, 3, H, W) in [-1, 1]."""
    from nferbench.recognisers.augment import imagenet_normalised, resized

    scores: Tensor = network(imagenet_normalised(resized(_channels(recipe, images), recipe.input_size)))
    return scores


def _channels(recipe: Recipe, images: Tensor) -> Tensor:
    from nferbench.recognisers.augment import luminance

    return luminance(images) if recipe.luminance else images
