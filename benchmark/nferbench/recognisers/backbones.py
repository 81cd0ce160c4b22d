"""Backbones of the package timm, built for a number of classes and a size of faces. No weights are ever downloaded."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from nferbench.contract.errors import UsageError
from nferbench.contract.exhausted import out_of_memory
from nferbench.contract.printable import one_line
from nferbench.recognisers.networks import read_file, start_from

FIELD = "fer-models.timm"
SHOWN = 200  # characters of an error of timm


def built(backbone: str, side: int, classes: int, init: str, init_sha256: str) -> nn.Module:
    """A backbone with a last layer for these classes, random or from a file of weights.

    Args:
        backbone: a name of ``timm.list_models()``.
        side: of the faces that it will see, in pixels.
        classes: number of expressions.
        init: path of a state dict of this backbone; "" for random weights.
        init_sha256: of that file, in hexadecimal digits; "" where there is none.

    Raises:
        UsageError: timm is missing or has no such backbone, the backbone cannot see faces of this size, or the file is
            not there, is another one, or does not fit.
    """
    if find_spec("timm") is None:
        raise UsageError('recogniser timm needs the package timm; pip install "nferbench[timm]"')
    import timm

    _check_name(backbone, timm.list_models())
    cfg = timm.get_pretrained_cfg(backbone)
    own = cfg.input_size[-1]
    # Where a size is built into the weights (positions of a transformer), the network is made for ours.
    made_for: dict[str, Any] = {"img_size": side} if cfg.fixed_input_size and side != own else {}
    try:
        network: nn.Module = timm.create_model(backbone, pretrained=False, num_classes=classes, **made_for)
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(1, 3, side, side)).shape)
    except Exception as error:  # whatever a backbone makes of a size that is not its own
        if out_of_memory(error):
            raise
        reason = one_line(f"{type(error).__name__}: {error}")[:SHOWN]
        raise UsageError(
            f"timm: backbone '{backbone}' cannot see faces of {side} px ({reason}); "
            f"set {FIELD}.input_size, to {own} for example, or name another backbone"
        ) from error
    if shape != (1, classes):
        raise UsageError(
            f"timm: backbone '{backbone}' gives {shape} for one face instead of {(1, classes)}; name another backbone"
        )
    if init or init_sha256:
        state, source = read_file("timm", init, init_sha256, "set init to a state dict, or to '' for none")
        start_from(network, state, _last_layers(cfg.classifier), f"timm: {source} does not fit {backbone}")
    return network.train()


def _check_name(backbone: str, known: list[str]) -> None:
    if backbone in known:
        return
    shown, (name, _, tag) = one_line(backbone), backbone.partition(".")
    if not backbone:
        hint = f"set {FIELD}.backbone, to resnet34 for example"
    elif tag and name in known:
        hint = f"'.{one_line(tag)}' names weights, which are not downloaded: write {name}; {FIELD}.init takes a file"
    else:
        near = get_close_matches(backbone, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "name one of them"
    raise UsageError(f"timm: no backbone '{shown}'; {hint} (timm.list_models() gives all {len(known)})")


def _last_layers(classifier: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """What the names of the tensors of the last layer begin with."""
    names = (classifier,) if isinstance(classifier, str) else classifier or ()
    return tuple(f"{name}." for name in names)
