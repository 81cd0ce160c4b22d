"""Weights that a training starts from: of ours or of others, known by their SHA-256.

Ours are safetensors files, in which the tensors of the network that is fitted have plain names, as in what a training
stores. A file may also hold those of networks that it is trained against, as NETWORK/TENSOR; without them these start
from nothing. What others released has their names, which the recipe of the network knows how to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line
from nferbench.contract.weight_files import StoredWeights, read

if TYPE_CHECKING:
    from torch import Tensor, nn

APART = "/"  # between the name of a network and that of a tensor

# What others released to tensors of the fitted network by its names; those that it leaves out stay as they are. Raises
# UsageError where what was released does not fit.
Reading = Callable[[StoredWeights], Mapping[str, "Tensor"]]

_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


def load_initial(
    path: str,
    sha256: str,
    fitted: nn.Module,
    others: Mapping[str, nn.Module] | None = None,
    released: Mapping[str, Reading] = MappingProxyType({}),
) -> None:
    """Overwrite the weights of networks that are to be trained with given ones; without any, do nothing.

    Args:
        path: of a file or folder; "" where there is none.
        sha256: of what lies there, in hexadecimal digits; "" where there is none.
        fitted: the network that the training returns.
        others: those that it is trained against, by name.
        released: how weights that others released for `fitted` are read, by the form in which they lie.

    Raises:
        UsageError: the weights are missing, are others, are damaged, or do not fit the networks.
    """
    if not path and not sha256:
        return
    import torch

    shown = one_line(path)
    stored = read(path, sha256)
    if stored.form in released:
        try:
            content = released[stored.form](stored)
        except UsageError as error:
            raise UsageError(f"initial weights {shown} do not fit: {one_line(str(error))}") from None
    elif stored.form == "safetensors":
        content = stored.tensors
    else:
        allowed = " or ".join(["a safetensors file of nferbench,", *released]).removesuffix(",")
        raise UsageError(f"initial weights {shown} are in the form of {stored.form}; allowed here: {allowed}")
    parts = {"": fitted}
    if any(APART in name for name in content):
        parts |= {f"{name}{APART}": network for name, network in (others or {}).items()}
    elif others:
        note_initial(f"not in {shown}, and started from nothing: {', '.join(others)}")
    expected = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.state_dict().items()}
    if stored.form in released:
        expected = {name: expected[name] for name in content}
    if fault := misfit(content, expected):
        raise UsageError(f"initial weights {shown} do not fit: {fault}; the recipe must be that of the weights")
    with torch.no_grad():
        for name, value in expected.items():
            value.copy_(content[name])


def note_initial(line: str) -> None:
    """Note what of given weights is not used, or what they leave as it was, if somebody listens."""
    heard = _heard.get()
    if heard is not None:
        heard.append(one_line(line))


@contextmanager
def hear_initial() -> Iterator[list[str]]:
    """Listen to what is noted inside the block, in this thread: ``with hear_initial() as heard``."""
    heard: list[str] = []
    before = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(before)


def misfit(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Where given tensors are not those of networks: all of them and no others, alike in form, and finite there.

    Args:
        given: by name, of any shape and kind.
        wanted: by name, as the networks have them.

    Returns:
        The first fault in words; "" where there is none.
    """
    for name in dict.fromkeys([*wanted, *given]):
        if name not in given:
            return f"'{one_line(name)}' is missing"
        if name not in wanted:
            return f"'{one_line(name)}' is left over"
        one, other = given[name], wanted[name]
        if one.shape != other.shape:
            return f"'{name}' has shape {tuple(one.shape)}, the network's {tuple(other.shape)}"
        if one.is_floating_point() != other.is_floating_point():
            return f"'{name}' is {one.dtype}, the network's {other.dtype}"
        if not bool(one.to(other.dtype).isfinite().all()):
            return f"'{name}' is not finite as {other.dtype}"
    return ""
