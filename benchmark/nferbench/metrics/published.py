"""LPIPS, PSNR and SSIM as metrics: the columns of the published tables, which every run has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.metric import Better, ImageMetric, Measure
from nferbench.weights import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Convention = Literal["standard", "paper"]  # as in `nferbench.metrics.quality`, which needs numpy


@final
@dataclass(frozen=True)
class Lpips(ImageMetric):
    """Perceptual distance with the AlexNet trunk, see `nferbench.metrics.perceptual`."""

    better: ClassVar[Better] = "lower"

    name: str = field(default="lpips", compare=False)
    title: str = field(default="LPIPS", compare=False)

    def ready(self) -> None:
        for weights in ("alexnet", "lpips-heads"):
            require(weights)

    def load(self, device: torch.device) -> Measure:
        from nferbench.metrics.perceptual import load_lpips

        return load_lpips(device)


@final
@dataclass(frozen=True)
class Psnr(ImageMetric):
    """Peak signal-to-noise ratio in dB, see `nferbench.metrics.quality`; infinite for an identical pair."""

    better: ClassVar[Better] = "higher"
    decimals: ClassVar[int] = 2

    name: str = field(default="psnr", compare=False)
    title: str = field(default="PSNR", compare=False)
    convention: Convention = "standard"

    def load(self, device: torch.device) -> Measure:
        from nferbench.metrics.quality import psnr

        return _each(lambda pred, real: psnr(pred, real, self.convention))


@final
@dataclass(frozen=True)
class Ssim(ImageMetric):
    """Structural similarity, see `nferbench.metrics.quality`."""

    better: ClassVar[Better] = "higher"

    name: str = field(default="ssim", compare=False)
    title: str = field(default="SSIM", compare=False)
    convention: Convention = "standard"

    def load(self, device: torch.device) -> Measure:
        from nferbench.metrics.quality import ssim

        return _each(lambda pred, real: ssim(pred, real, self.convention))


def _each(score: Callable[..., float]) -> Measure:
    """A metric that scores one pair of (3, H, W) arrays after the other, on the CPU and in float64."""
    import torch

    def measure(translated: Tensor, real: Tensor) -> Tensor:
        pairs = zip(translated.cpu().numpy(), real.cpu().numpy(), strict=True)
        return torch.tensor([score(*pair) for pair in pairs], dtype=torch.float64)

    return measure


@hookimpl
def nferbench_metrics() -> list[ImageMetric]:
    return [Lpips(), Psnr(), Ssim()]
