"""timm: any backbone of the package timm by its name, trained by the recipe of resnet18."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

from nferbench.contract.fer import FERLearner, FERModel
from nferbench.contract.hookspecs import hookimpl
from nferbench.recognisers import recipe

if TYPE_CHECKING:
    from torch import Tensor, nn


@final
@dataclass(frozen=True)
class TimmBackbone(recipe.Recipe):
    """A backbone with a new last layer, on faces in ImageNet's units, whatever those of its own weights are."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"input_size": 64, "batch_size": 32},
        "quick": {"input_size": 32, "batch_size": 16, "epochs": 10},
    }

    name: str = field(default="timm", compare=False)
    backbone: str = ""  # as timm.list_models() has it, without the tag that names weights
    # SHA-256 of a state dict of that backbone to start from, but for its last layer; empty starts from nothing.
    init_sha256: str = ""
    init: str = field(default="", compare=False)  # where that file lies; nothing is downloaded

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"{self.backbone} (timm)" if self.backbone else "A backbone of timm"

    def build(self, size: int, classes: int) -> nn.Module:
        from nferbench.recognisers import backbones

        return backbones.built(self.backbone, self.input_size, classes, self.init, self.init_sha256)

    def learner(self, network: nn.Module, samples: int) -> FERLearner:
        return recipe.learner(self, network, samples)

    def updates(self, samples: int) -> int:
        return recipe.updates(self, samples)

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        return recipe.logits(self, network, images)


@hookimpl
def nferbench_fer_models() -> list[FERModel]:
    return [TimmBackbone()]
