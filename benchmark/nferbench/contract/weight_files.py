"""Weights as they lie on a disk: what tells them apart, their SHA-256, and the tensors in them.

Three forms are read, known by what a file holds and not by its name: a safetensors file, a state dict that torch saved
(zip or older), and a folder that diffusers saved. Nothing but tensors is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
    if path.is_file():
        return (path,)
    shown = one_line(str(path))
    if not path.is_dir():
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
        UsageError: there are none, they are others, or they are damaged or hold something other than tensors.
    """
    if not path:
        raise UsageError(f"initial weights: '' is not a file; set init to where {sha256[:12]} lies")
    found = parts(Path(path))
    *beside, file = found
    with file.open("rb") as stream:
        digests = {part: _of_file(part) for part in beside} | {file: _of_stream(stream)}
        if (came := _joint(digests)) != sha256:
            shown = one_line(path)
            raise UsageError(
                f"initial weights {shown} have SHA-256 {came}, not '{sha256}'; give those, or their SHA-256"
            )
        stream.seek(0)
        form, tensors = _tensors(one_line(str(file)), stream)
    if not beside:
        return StoredWeights(form, tensors)
    scheduler = file.parent.parent / SCHEDULER
    return StoredWeights("diffusers", tensors, _object(beside[0]), _object(scheduler) if scheduler.is_file() else {})


def _tensors(shown: str, stream: BufferedReader) -> tuple[Form, dict[str, Tensor]]:
    """What a file holds; its first bytes say in which form."""
    first = stream.read(9)
    stream.seek(0)
    # A length of eight bytes, which may begin like a pickle, and the JSON of a safetensors file.
    if first[8:] != b"{" and first.startswith((_ZIP, _PICKLE)):
        return "torch", _state_dict(shown, stream)
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return "safetensors", dict(load(stream.read()))
    except SafetensorError as error:
        raise UsageError(
            f"initial weights {shown} are no safetensors file ({one_line(str(error))}), and not a state dict that "
            "torch saved; give one of both"
        ) from None


def _state_dict(shown: str, stream: BufferedReader) -> dict[str, Tensor]:
    import torch

    try:
        state = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle can fail in any way; whatever it was, these are not the weights
        if out_of_memory(error):
            raise
        state = None
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        inner = f" (it holds {', '.join(map(repr, list(state)[:3]))})" if isinstance(state, dict) and state else ""
        raise UsageError(
            f"initial weights {shown} are not a state dict of tensors{one_line(inner)}; give the file of the network "
            "alone, as its authors save it"
        )
    names = [str(name) for name in state]
    start = len(PARALLEL) if all(name.startswith(PARALLEL) for name in names) else 0
    return {name[start:]: value for name, value in zip(names, state.values(), strict=True)}


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
    try:
        with path.open("rb") as stream:
            return _of_stream(stream)
    except OSError as error:
        raise UsageError(
            f"initial weights {one_line(str(path))} cannot be read ({error.strerror}); give others"
        ) from None


def _of_stream(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
