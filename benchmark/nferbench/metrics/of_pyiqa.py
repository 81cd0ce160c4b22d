"""Any metric of pyiqa that gives one image, or a pair, a number, by its name there, such as pyiqa:gmsd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

from nferbench.contract.errors import NferbenchError, PluginError, UsageError, unknown
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.metric import Better, ImageMetric, Measure, MetricLibrary
from nferbench.contract.printable import one_line
from nferbench.metrics.offline import without_network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

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
        _built(self.metric, "cpu")

    def load(self, device: torch.device) -> Measure:
        import torch

        network = _built(self.metric, device)

        def measure(*faces: Tensor) -> Tensor:
            fed = [(each.to(device) + 1) / 2 for each in faces]
            values = []
            with without_network(self.name):
                for images in zip(*fed, strict=True):
                    value = torch.as_tensor(network(*(image[None] for image in images)))
                    if value.numel() != 1:
                        came = tuple(value.shape)
                        raise PluginError(f"metric '{self.name}' gives shape {came} for a face; one number is due")
                    values.append(float(value))
            return torch.tensor(values, dtype=torch.float64)

        return measure


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
    with without_network(f"pyiqa:{name}"):
        from pyiqa.default_model_configs import DEFAULT_CONFIGS

    if name not in DEFAULT_CONFIGS:
        raise unknown("metric of pyiqa", name, sorted(DEFAULT_CONFIGS), "pyiqa -ls")
    said: Mapping[str, Any] = DEFAULT_CONFIGS[name]
    return said


def _built(name: str, device: torch.device | str) -> Any:
    """A metric of pyiqa on a device.

    Raises:
        UsageError: it cannot be made of what is on this machine.
    """
    with without_network(f"pyiqa:{name}"):
        try:
            import pyiqa

            return pyiqa.create_metric(name, device=device)
        except NferbenchError:
            raise
        except Exception as error:  # whatever a library raises
            reason = one_line(f"{type(error).__name__}: {error}")
            raise UsageError(f"pyiqa:{name} cannot be made ({reason}); choose another") from None


@hookimpl
def nferbench_metrics() -> list[MetricLibrary]:
    return [Pyiqa()]
