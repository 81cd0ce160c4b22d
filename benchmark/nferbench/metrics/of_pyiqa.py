"""Any metric of pyiqa that gives one image, or a pair, a number, by its name there, such as pyiqa:gmsd."""

from __future__ import annotations

from collections.abc import Mapping
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

MODES = {"FR": True, "NR": False}  # what pyiqa says of a metric: whether it compares with a real image
OF_SETS = ("fid", "fid_dinov2", "fid_mmd", "inception_score")  # said to be such, and compare folders


@final
@dataclass(frozen=True)
class OfPyiqa(ImageMetric):
    """One metric of pyiqa with its default options, on faces in [0, 1]."""

    name: str = field(compare=False)
    title: str = field(compare=False)
    metric: str  # its name there
    release: str  # of pyiqa: another one may compute other numbers

    @property
    def better(self) -> Better:
        return "lower" if _said(self.metric).get("lower_better", False) else "higher"

    @property
    def reference(self) -> bool:
        return MODES[_said(self.metric)["metric_mode"]]

    @property
    def note(self) -> str:
        return f"{self.metric} of pyiqa {self.release}, on faces in 0 to 1"

    def ready(self) -> None:
        import torch

        tried(self.load(torch.device("cpu")), self.reference)

    def load(self, device: torch.device) -> Measure:
        return each(self.name, built(self.name, lambda: _created(self.metric, device)), device)


@final
@dataclass(frozen=True)
class Pyiqa(MetricLibrary):
    """pyiqa (IQA-PyTorch): those of its metrics that give one image, or a pair, a number."""

    name: str = field(default="pyiqa", compare=False)
    title: str = field(default="Metrics of pyiqa, by its names", compare=False)

    def ready(self) -> None:
        if find_spec("pyiqa") is None:
            raise UsageError("metrics of pyiqa need that package; pip install 'nferbench[pyiqa]'")

    def metric(self, name: str) -> ImageMetric:
        self.ready()
        mode = _said(name).get("metric_mode")
        if mode not in MODES or name in OF_SETS:
            raise UsageError(f"pyiqa:{name} compares sets of images; choose a metric that gives each face a number")
        return OfPyiqa(f"{self.name}:{name}", name, name, version("pyiqa"))


def _said(name: str) -> Mapping[str, Any]:
    """What pyiqa says of a metric."""
    known: Mapping[str, Mapping[str, Any]] = built(f"pyiqa:{name}", _configs)
    if name not in known:
        raise unknown("metric of pyiqa", name, sorted(known), "pyiqa -ls")
    return known[name]


def _configs() -> Any:
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    return DEFAULT_CONFIGS


def _created(name: str, device: torch.device) -> Any:
    import pyiqa

    return pyiqa.create_metric(name, device=device)


@hookimpl
def nferbench_metrics() -> list[MetricLibrary]:
    return [Pyiqa()]
