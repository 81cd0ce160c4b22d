"""Faces as image metrics of other packages take them: one at a time, in [0, 1], and no weights from a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nferbench.contract.errors import NferbenchError, PluginError, UsageError
from nferbench.contract.metric import Measure
from nferbench.contract.printable import one_line
from nferbench.metrics.offline import without_network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TRIED = 256  # side of the faces that a metric is tried on, larger than any needs


def built(name: str, build: Callable[[], Any]) -> Any:
    """What a package makes for a metric.

    Raises:
        UsageError: it cannot be made of what is on this machine.
    """
    with without_network(name):
        try:
            return build()
        except NferbenchError:
            raise
        except Exception as error:  # whatever a library raises
            raise UsageError(f"metric '{name}' cannot be made ({_told(error)}); choose another") from None


def each(name: str, ask: Callable[..., Any], device: torch.device) -> Measure:
    """A metric that asks a package about one face, or pair, after the other.

    Args:
        name: of the metric, for messages.
        ask: gives what the package says of one image, or of an image and the real one, each (1, 3, H, W) in [0, 1].
        device: where the package computes.
    """
    import torch

    def measure(*faces: Tensor) -> Tensor:
        fed = [(images.to(device) + 1) / 2 for images in faces]
        return torch.tensor([one(*images) for images in zip(*fed, strict=True)], dtype=torch.float64)

    def one(*images: Tensor) -> float:
        with without_network(name):
            try:
                value = torch.as_tensor(ask(*(image[None] for image in images)))
            except NferbenchError:
                raise
            except Exception as error:  # whatever a library raises
                size = "x".join(map(str, images[0].shape[1:]))
                raise UsageError(f"metric '{name}' cannot measure faces of {size} pixels ({_told(error)})") from None
        if value.numel() != 1:
            raise PluginError(f"metric '{name}' gives shape {tuple(value.shape)} for a face; one number is due")
        return float(value)

    return measure


def tried(measure: Measure, reference: bool) -> None:
    """Ask a metric about a drawn face, so that one that cannot measure any is known before all work.

    Raises:
        UsageError, PluginError: it cannot.
    """
    import torch

    with torch.inference_mode():
        ramp = torch.linspace(-1, 1, TRIED).expand(1, 3, TRIED, TRIED).contiguous()
        measure(ramp, ramp.transpose(2, 3).contiguous()) if reference else measure(ramp)


def _told(error: Exception) -> str:
    return one_line(" ".join(f"{type(error).__name__}: {error}".split()))
