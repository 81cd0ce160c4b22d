"""The row without translation: VIS faces as they are, in colour, under the same scores as every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from nferbench import Group, NetworkRecipe, Translator, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise


@final
@dataclass(frozen=True)
class WithoutTranslation(Translator):
    """Hand the VIS face on untouched; the reference that a translation has to beat."""

    group: ClassVar[Group] = "none"
    grey: ClassVar[bool] = False

    name: str = field(default="none", compare=False)
    title: str = field(default="Without translation", compare=False)

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        return vis


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [WithoutTranslation()]
