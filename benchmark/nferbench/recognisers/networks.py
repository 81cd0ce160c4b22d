"""The networks of the built-in recognisers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from nferbench.contract.errors import UsageError
from nferbench.contract.initial import misfit
from nferbench.contract.precision import mixed_precision
from nferbench.contract.printable import one_line
from nferbench.contract.weight_files import read, unparalleled

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTER = "num_batches_tracked"  # of batch norms: torch before 0.4.1 kept none, and nothing is computed from it here


@final
class SmallCNN(nn.Module):
    """Four 3x3 convolutions, all but the first halving the map, then one hidden layer over a 4x4 map.

    Where in the face something is tells expressions apart, so the map is flattened and not averaged.

    Args:
        width: channels of the first convolution; they double twice.
        classes: number of expressions.
        dropout: of the flattened map and the hidden layer, in [0, 1).
    """

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after, stride in zip(channels, channels[1:], (1, 2, 2, 2), strict=False):
            conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4))
        hidden = 8 * width
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(16 * channels[-1], hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, classes) of grey faces (B, 1, H, W) in [-1, 1]."""
        scores: Tensor = self.classifier(self.features(images))
        return scores


def training_scores(network: nn.Module, images: Tensor) -> Tensor:
    """Class scores (B, classes) of images, of their dtype, for a loss; a GPU computes them in bfloat16.

    Not for testing: scores that bfloat16 makes equal would be decided by the order of the classes.
    """
    with mixed_precision(images.device):
        scores: Tensor = network(images)
    return scores.to(images.dtype)


def resnet18(classes: int, stem: str, state: Mapping[str, Tensor] | None, source: str) -> nn.Module:
    """torchvision's ResNet-18 with a new last layer.

    Args:
        classes: number of expressions.
        stem: "imagenet" (7x7 with stride 2, then max pooling) or "small" (3x3 with stride 1, no pooling).
        state: a state dict for all but the last layer, which it may hold for any number of classes; None: random.
        source: where `state` comes from, for messages.

    Raises:
        UsageError: the state is not that of a ResNet-18 with this stem.
    """
    from torchvision.models import resnet18 as torchvision_resnet18

    network: nn.Module = torchvision_resnet18(num_classes=classes)
    if stem == "small":
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    elif stem != "imagenet":
        raise UsageError(f"resnet18: unknown stem '{stem}'; allowed: imagenet, small")
    if state is not None:
        start_from(network, state, ("fc.",), f"resnet18: {source} does not fit a ResNet-18 with stem '{stem}'")
    return network


def start_from(network: nn.Module, state: Mapping[str, Tensor], last: tuple[str, ...], unfit_is: str) -> None:
    """Overwrite all weights of a network but those of its last layer.

    Args:
        network: with a last layer of any size.
        state: its state dict; the last layer may be missing or of another size, and counters of batch norms missing.
        last: what the names of the last layer's tensors begin with.
        unfit_is: what it means that a tensor does not fit, for the message.

    Raises:
        UsageError: a tensor is missing, left over, of another shape or kind, or not finite.
    """
    trunk = {key: value for key, value in state.items() if not key.startswith(last)}
    expected = {key: value for key, value in network.state_dict().items() if not key.startswith(last)}
    wanted = {key: value for key, value in expected.items() if key in trunk or not key.endswith(COUNTER)}
    if fault := misfit(trunk, wanted):
        raise UsageError(f"{unfit_is}: {fault}; give weights of that network")
    network.load_state_dict(trunk, strict=False)


def read_state(weights: str, file: str, sha256: str) -> tuple[dict[str, Tensor], str]:
    """The state dict that a recogniser starts from, and where it was read.

    Args:
        weights: "imagenet" for torchvision's file, looked for on this machine; "file" for `file`.
        file: path of a state dict, as `read_file` takes it.
        sha256: of `file`, in hexadecimal digits.

    Raises:
        UsageError: nothing is there, it is another file, or it is no state dict.
    """
    from nferbench.weights import load, require

    if weights == "imagenet":
        found = require("resnet18")
        return load(found), one_line(str(found.path))
    return read_file("resnet18", file, sha256, "set file to a state dict, or weights to imagenet or null")


def read_file(who: str, file: str, sha256: str, otherwise: str) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file, and where it was read.

    Args:
        who: the recogniser, for messages.
        file: path of a safetensors file, or of a state dict that torch saved, whatever it is called.
        sha256: of `file`, in hexadecimal digits.
        otherwise: what to do where there is no such file, for the message.

    Raises:
        UsageError: nothing is there, it is another file, or it is no state dict.
    """
    from nferbench.weights import expanded

    path = expanded(file)
    if not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a path cannot be asked
        raise UsageError(f"{who}: no weights at '{one_line(file)}'; {otherwise}")
    try:
        stored = read(str(path), sha256)
    except UsageError as error:
        raise UsageError(f"{who}: {error}") from None
    return unparalleled(stored.tensors), one_line(str(path))
