"""Weights as they lie on a disk: what tells them apart, their SHA-256, and the tensors in them.

Three forms are read, known by what a file holds and not by its name: a safetensors file, a state dict that torch saved
(zip or older), and a folder that diffusers saved. Nothing but tensors is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from nferbench.contract.errors import UsageError
from nferbench.contract.exhausted import out_of_memory
from nferbench.contract.printable import one_line

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["safetensors", "torch", "diffusers"]

CONFIG, SCHEDULER = "config.json", "scheduler/scheduler_config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")  # as diffusers calls them; first wins
PARALLEL = "module."  # before every name where a network was saved inside torch's DataParallel

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_ALONE = "save the tensors of the network alone, torch.save(network.state_dict(), FILE), where its code is at hand"
_AGAIN = "is the copy complete? get it again"
_KINDS = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


@final
@dataclass(frozen=True, eq=False)
class StoredWeights:
    """What was read."""

    form: Form
    tensors: dict[str, Tensor]  # on the CPU, by their names in the file
    config: Mapping[str, Any] = field(default_factory=dict)  # of a folder of diffusers; empty for a file
    scheduler: Mapping[str, Any] = field(default_factory=dict)  # of the pipeline that the folder is part of, if any


def parts(path: Path) -> tuple[Path, ...]:
    """The files that weights consist of: a file is its own only part, a folder of diffusers has config and weights.

    Raises:
        UsageError: there is nothing, or a folder without these two, also in `unet` below it.
    """
    if os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a path cannot be asked
        return (path,)
    shown = one_line(str(path))
    if not os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"initial weights: '{shown}' is not a file or folder; set init to where they lie")
    folder = path if (path / CONFIG).is_file() else path / "unet"
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None or not (folder / CONFIG).is_file():
        raise UsageError(
            f"initial weights {shown} are a folder without {CONFIG} and {' or '.join(WEIGHTS)}, here or in unet; give "
            "a folder that diffusers saved, or a file"
        )
    return (folder / CONFIG, weights)


def digest(path: Path) -> str:
    """SHA-256 of weights in hexadecimal digits.

    That of a folder is of what ``sha256sum config.json diffusion_pytorch_model.safetensors`` prints inside it.

    Raises:
        UsageError: as `parts`, or a file that cannot be read.
    """
    return _joint({part: _of_file(part) for part in parts(path)})


def read(path: str, sha256: str) -> StoredWeights:
    """The tensors of the weights with a SHA-256.

    Raises:
        UsageError: there are none, they are others, or they are damaged or hold something other than dense tensors.
    """
    if not path:
        raise UsageError(f"initial weights: '' is not a file; set init to where {sha256[:12]} lies")
    found = parts(Path(path))
    *beside, file = found
    with _opened(file) as stream:
        digests = {part: _of_file(part) for part in beside} | {file: _of_stream(stream)}
        if (came := _joint(digests)) != sha256:
            shown = one_line(path)
            raise UsageError(
                f"initial weights {shown} have SHA-256 {came}, not '{sha256}'; give those, or their SHA-256"
            )
        stream.seek(0)
        form, tensors = _tensors(one_line(str(file)), stream)
    if fault := _fault(tensors):
        raise UsageError(f"initial weights {one_line(str(file))}: {fault}")
    if not beside:
        return StoredWeights(form, tensors)
    scheduler = file.parent.parent / SCHEDULER
    return StoredWeights("diffusers", tensors, _object(beside[0]), _object(scheduler) if scheduler.is_file() else {})


def _tensors(shown: str, stream: BufferedReader) -> tuple[Form, dict[str, Tensor]]:
    """What a file holds; its first bytes say in which form."""
    first = stream.read(64)
    stream.seek(0)
    # A length of eight bytes, which may begin like anything else, and the JSON of a safetensors file.
    by_length = first[8:9] == b"{"
    if not by_length and first.startswith((_ZIP, _PICKLE)):
        return "torch", _state_dict(shown, stream)
    if not by_length and (other := _other(first)):
        raise UsageError(
            f"initial weights {shown} are no safetensors file and not a state dict that torch saved, but {other}"
        )
    from safetensors.torch import load

    data = stream.read()
    try:
        return "safetensors", dict(load(data))
    except Exception as error:  # its reader knows fewer kinds of numbers than the format
        if out_of_memory(error):
            raise
        raise UsageError(
            f"initial weights {shown} are no safetensors file ({one_line(str(error))}) and not a state dict that torch "
            "saved; give one of both, or get it again if the copy is not complete"
        ) from None


def _other(first: bytes) -> str:
    """What comes in the place of weights where a download or a copy went wrong, by its first bytes; "" if unknown."""
    if not first:
        return "an empty file; get it again"
    if first.startswith(b"version https://git-lfs"):
        return "what git has in the place of a large file; fetch the file itself with git lfs pull"
    if first.lstrip().startswith(b"<"):
        return "a web page or other markup; get the file itself"
    return ""


def _state_dict(shown: str, stream: BufferedReader) -> dict[str, Tensor]:
    import torch

    try:
        state = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle can fail in any way; whatever it was, these are not the weights
        if out_of_memory(error):
            raise
        raise UsageError(f"initial weights {shown} are not a state dict of tensors: {_unread(error, stream)}") from None
    if not isinstance(state, Mapping) or not state or not all(map(_named_tensor, state.items())):
        raise UsageError(f"initial weights {shown} are not a state dict of tensors: {_held(state)}")
    return unparalleled(state)


def _unread(error: Exception, stream: BufferedReader) -> str:
    """What a file is that torch does not read as tensors, and what to do."""
    if isinstance(error, pickle.UnpicklingError):
        return f"they hold other objects, such as a whole network, and only tensors are unpickled; {_ALONE}"
    stream.seek(0)
    if zipfile.is_zipfile(stream):
        return f"a zip file of something else, or a compiled network; {_ALONE}"
    return f"the file is damaged or cut off; {_AGAIN}"


def _held(state: object) -> str:
    """What torch saved that is no state dict, and what to do."""
    if not isinstance(state, Mapping):
        return f"they are {type(state).__name__}; {_ALONE}"
    if not state:
        return f"there is none in it; {_ALONE}"
    held = one_line(", ".join(repr(name) for name in list(state)[:3]))
    inner = [
        name
        for name, value in state.items()
        if isinstance(value, Mapping) and value and all(map(_named_tensor, value.items()))
    ]
    take = f"save what it has as {one_line(repr(inner[0]))} alone" if len(inner) == 1 else _ALONE
    return f"they hold {held}{', …' if len(state) > 3 else ''}; {take}"


def _named_tensor(item: tuple[object, object]) -> bool:
    from torch import Tensor

    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def unparalleled(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have outside torch's DataParallel, which puts `PARALLEL` before each."""
    start = len(PARALLEL) if all(name.startswith(PARALLEL) for name in tensors) else 0
    return {name[start:]: value for name, value in tensors.items()}


def _fault(tensors: Mapping[str, Tensor]) -> str:
    """Why a tensor cannot be taken as the dense numbers that networks compute with; "" where all can."""
    import torch

    for name, value in tensors.items():
        kind = str(value.dtype).removeprefix("torch.")
        if value.device.type != "cpu":
            what = f"has no numbers (device {value.device})"
        elif value.is_nested or value.layout != torch.strided:
            what = f"is not dense ({'nested' if value.is_nested else str(value.layout).removeprefix('torch.')})"
        elif kind not in _KINDS:
            what = f"is {kind}"
        else:
            continue
        return f"'{one_line(name)}' {what}; save it dense and as one of {', '.join(_KINDS)}"
    return ""


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UsageError(f"{one_line(str(path))} holds no JSON object; give the folder as diffusers saved it")
    return content


def _joint(digests: Mapping[Path, str]) -> str:
    """The SHA-256 of a file itself; that of several, of the lines that `sha256sum` prints of them."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(f"{each}  {part.name}\n" for part, each in digests.items()).encode()).hexdigest()


def _of_file(path: Path) -> str:
    with _opened(path) as stream:
        return _of_stream(stream)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A file to be read; that it cannot be, at first or later, is a `UsageError`."""
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise UsageError(
            f"initial weights {one_line(str(path))} cannot be read ({error.strerror or error}); give others"
        ) from None


def _of_stream(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
