"""The networks of the built-in recognisers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from nferbench.contract.errors import UsageError
from nferbench.contract.precision import mixed_precision
from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        start_from(network, state, ("fc.",), f"resnet18: {source} is no ResNet-18 with stem '{stem}'")
    return network


def start_from(network: nn.Module, state: Mapping[str, Tensor], last: tuple[str, ...], unfit_is: str) -> None:
    """Overwrite all weights of a network but those of its last layer.

    Args:
        network: with a last layer of any size.
        state: its state dict; the last layer may be missing or of another size.
        last: what the names of the last layer's tensors begin with.
        unfit_is: what it means that a tensor does not fit, for the message.

    Raises:
        UsageError: a tensor is missing, left over or of another shape.
    """
    trunk = {key: value for key, value in state.items() if not key.startswith(last)}
    expected = {key: value.shape for key, value in network.state_dict().items() if not key.startswith(last)}
    if unfit := sorted(
        key for key in trunk.keys() | expected.keys() if key not in trunk or trunk[key].shape != expected.get(key)
    ):
        raise UsageError(f"{unfit_is}: {one_line(unfit[0])} does not fit")
    network.load_state_dict(trunk, strict=False)


def read_state(weights: str, file: str, sha256: str) -> tuple[dict[str, Tensor], str]:
    """The state dict that a recogniser starts from, and where it was read.

    Args:
        weights: "imagenet" for torchvision's file, looked for on this machine; "file" for `file`.
        file: path of a state dict (.safetensors, or anything that torch loads with ``weights_only``).
        sha256: of `file`, in hexadecimal digits.

    Raises:
        UsageError: nothing is there, it is another file, or it is no state dict.
    """
    from nferbench.weights import load, require

    if weights == "imagenet":
        found = require("resnet18")
        return load(found), str(found.path)
    return read_file("resnet18", file, sha256, "set file to a state dict, or weights to imagenet or null")


def read_file(who: str, file: str, sha256: str, otherwise: str) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file, and where it was read.

    Args:
        who: the recogniser, for messages.
        file: path of a state dict (.safetensors, or anything that torch loads with ``weights_only``).
        sha256: of `file`, in hexadecimal digits.
        otherwise: what to do where there is no such file, for the message.

    Raises:
        UsageError: nothing is there, it is another file, or it is no state dict.
    """
    from nferbench.weights import expanded

    path = expanded(file)
    if not path.is_file():
        raise UsageError(f"{who}: no weights at '{file}'; {otherwise}")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        raise UsageError(f"{who}: {path} has SHA-256 {digest}, not '{sha256}'; set that SHA-256 or give the other file")
    import torch
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # whatever a file that is not weights makes the readers raise
        raise UsageError(f"{who}: {path} cannot be read as a state dict ({type(error).__name__})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{who}: {path} is no state dict; save its tensors only, by name")
    return state, str(path)
