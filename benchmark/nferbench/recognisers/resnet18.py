"""resnet18: the plain recogniser of expression papers, ResNet-18 (He et al. 2016) with their usual augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from nferbench.contract.errors import UsageError
from nferbench.contract.fer import FERLearner, FERModel
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.printable import one_line
from nferbench.recognisers import recipe

if TYPE_CHECKING:
    from torch import Tensor, nn


@final
@dataclass(frozen=True)
class ResNet18(recipe.Recipe):
    """ResNet-18, trained by the common recipe."""

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
    stem: Literal["imagenet", "small"] = "imagenet"  # "small": 3x3, stride 1, no pooling; slower, for faces under 64 px

    def build(self, size: int, classes: int) -> nn.Module:
        from nferbench.recognisers import networks

        state, source = None, ""
        if self.file and self.weights != "file":
            raise UsageError(
                f"resnet18: file is '{one_line(self.file)}' and weights is {self.weights or 'null'}; set weights to "
                "file, or leave file empty"
            )
        if self.weights is not None:
            state, source = networks.read_state(self.weights, self.file, self.file_sha256)
        return networks.resnet18(classes, self.stem, state, source)

    def learner(self, network: nn.Module, samples: int) -> FERLearner:
        return recipe.learner(self, network, samples)

    def updates(self, samples: int) -> int:
        return recipe.updates(self, samples)

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        return recipe.logits(self, network, images)


@hookimpl
def nferbench_fer_models() -> list[FERModel]:
    return [ResNet18()]
