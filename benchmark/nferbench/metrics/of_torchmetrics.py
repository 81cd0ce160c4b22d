"""Any image metric of torchmetrics by the name of its class, such as torchmetrics:UniversalImageQualityIndex."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

from nferbench.contract.errors import UsageError, unknown
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.metric import Better, ImageMetric, Measure, MetricLibrary
from nferbench.metrics.libraries import built, each, tried

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SECOND = ("target", "img2")  # how torchmetrics calls the real image


@final
@dataclass(frozen=True)
class OfTorchmetrics(ImageMetric):
    """One class of torchmetrics.image, with its defaults but for the range of its images: [0, 1]."""

    name: str = field(compare=False)
    title: str = field(compare=False)
    metric: str  # the class
    release: str  # of torchmetrics: another one may compute other numbers

    @property
    def better(self) -> Better:
        return "higher" if _class(self.metric).higher_is_better else "lower"

    @property
    def reference(self) -> bool:
        return len(_images(_class(self.metric))) == 2

    @property
    def note(self) -> str:
        return f"{self.metric} of torchmetrics {self.release}, on faces in 0 to 1"

    def ready(self) -> None:
        import torch

        tried(self.load(torch.device("cpu")), self.reference)

    def load(self, device: torch.device) -> Measure:
        network = built(self.name, lambda: _class(self.metric)(**_range(_class(self.metric)))).to(device)

        def ask(*images: Tensor) -> Any:
            network.reset()
            network.update(*images)
            return network.compute()

        return each(self.name, ask, device)


@final
@dataclass(frozen=True)
class Torchmetrics(MetricLibrary):
    """torchmetrics.image: those of its metrics that give one image, or a pair, a number."""

    name: str = field(default="torchmetrics", compare=False)
    title: str = field(default="Image metrics of torchmetrics, by class", compare=False)

    def ready(self) -> None:
        if find_spec("torchmetrics") is None:
            raise UsageError("metrics of torchmetrics need that package; pip install 'nferbench[torchmetrics]'")

    def metric(self, name: str) -> ImageMetric:
        self.ready()
        _images(_class(name))
        return OfTorchmetrics(f"{self.name}:{name}", name, name, version("torchmetrics"))


def _class(name: str) -> Any:
    import torchmetrics.image

    if name not in torchmetrics.image.__all__:
        raise unknown("metric of torchmetrics", name, sorted(torchmetrics.image.__all__), "torchmetrics.image.__all__")
    return getattr(torchmetrics.image, name)


def _images(metric: Any) -> tuple[str, ...]:
    """What a metric is given: one image, or two.

    Raises:
        UsageError: something else, or nothing says which numbers are better.
    """
    _, *taken = inspect.signature(metric.update).parameters
    if len(taken) not in (1, 2) or taken[1:] not in ([], *([each] for each in SECOND)):
        raise UsageError(
            f"torchmetrics:{metric.__name__} takes {', '.join(taken)}; a metric that takes an image, or an image and a "
            "target, gives each face a number"
        )
    if not isinstance(metric.higher_is_better, bool):
        raise UsageError(f"torchmetrics:{metric.__name__} does not say whether higher is better; choose another")
    return tuple(taken)


def _range(made: Any) -> dict[str, Any]:
    """What a class that asks for the range of its images is told: [0, 1]."""
    asked = inspect.signature(made.__init__).parameters
    told: dict[str, Any] = {"data_range": 1.0} if "data_range" in asked else {}
    if "normalize" in asked and isinstance(asked["normalize"].default, bool):  # elsewhere it is something else
        told["normalize"] = True
    return told


@hookimpl
def nferbench_metrics() -> list[MetricLibrary]:
    return [Torchmetrics()]
