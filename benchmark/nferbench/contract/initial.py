"""Weights that a training starts from: a safetensors file, known by its SHA-256.

The tensors of the network that is fitted have plain names, as in what a training stores. A file may also hold those of
networks that it is trained against, as NETWORK/TENSOR; without them these start from nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

APART = "/"  # between the name of a network and that of a tensor


def load_initial(path: str, sha256: str, fitted: nn.Module, others: Mapping[str, nn.Module] | None = None) -> None:
    """Overwrite the weights of networks that are to be trained with those of a file; without a file, do nothing.

    Args:
        path: of the file; "" where there is none.
        sha256: of the file, in hexadecimal digits; "" where there is none.
        fitted: the network that the training returns.
        others: those that it is trained against, by name.

    Raises:
        UsageError: the file is missing, is another one, is damaged, or does not fit the networks.
    """
    if not path and not sha256:
        return
    import torch

    content = _read(path, sha256)
    parts = {"": fitted}
    if any(APART in name for name in content):
        parts |= {f"{name}{APART}": network for name, network in (others or {}).items()}
    expected = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.state_dict().items()}
    _check(path, content, expected)
    with torch.no_grad():
        for name, value in expected.items():
            value.copy_(content[name])


def _read(path: str, sha256: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = Path(path)
    if not path or not file.is_file():
        raise UsageError(f"initial weights '{path}' are not a file; set init to where {sha256[:12] or 'they'} lies")
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise UsageError(
            f"initial weights {path} have SHA-256 {digest}, not '{sha256}'; give that file, or its SHA-256"
        )
    try:
        content: dict[str, Tensor] = load(data)
    except SafetensorError as error:
        raise UsageError(f"initial weights {path} are no safetensors file ({error}); give one") from None
    return content


def _check(path: str, content: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Hold the tensors of a file to those of the networks: all of them and no others, alike in form, and numbers."""
    hint = "the recipe must be that of the weights"
    for name in dict.fromkeys([*expected, *content]):
        if name not in content:
            raise UsageError(f"initial weights {path} do not fit: '{name}' is missing; {hint}")
        if name not in expected:
            raise UsageError(f"initial weights {path} do not fit: '{name}' is left over; {hint}")
        given, wanted = content[name], expected[name]
        if given.shape != wanted.shape:
            shapes = f"{tuple(given.shape)}, the network's {tuple(wanted.shape)}"
            raise UsageError(f"initial weights {path} do not fit: '{name}' has shape {shapes}; {hint}")
        if given.is_floating_point() != wanted.is_floating_point():
            raise UsageError(f"initial weights {path} do not fit: '{name}' is {given.dtype}; {hint}")
        if not bool(given.isfinite().all()):
            raise UsageError(f"initial weights {path}: '{name}' is not finite; give another file")
