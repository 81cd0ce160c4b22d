"""Fitted weights from a file, held to the network that they are for and stored as those of a training are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from nferbench.contract.errors import DataError
from nferbench.contract.initial import APART
from nferbench.contract.printable import one_line
from nferbench.engine.context import Context
from nferbench.engine.translating import build
from nferbench.workspace.files import sha256
from nferbench.workspace.stages import GivenNetwork, key, readable


def give(stage: GivenNetwork, context: Context) -> dict[str, Any]:
    """Write weights.safetensors from the file of a stage; networks that it was trained against are passed over.

    Raises:
        DataError: the file is gone, has changed, is damaged, or its tensors are not those of the network.
    """
    path = context.roots.get(key(stage))
    if path is None or not path.is_file():
        raise DataError(f"the weights of {readable(stage)} are gone; give them again with --weights")
    if sha256(path) != stage.sha256:
        raise DataError(f"weights {path} have changed since the command began; start it again")
    try:
        content = load(path.read_bytes())
    except SafetensorError as error:
        raise DataError(f"weights {path} are no safetensors file ({one_line(str(error))}); give one") from None
    given = {name: value for name, value in content.items() if APART not in name}
    wanted = build(stage.recipe, stage.spec()).state_dict()
    if fault := _fault(given, wanted):
        raise DataError(
            f"weights {path} do not fit {stage.role} at {stage.size} px: {fault}; "
            "--preset, --set and --size must be those that they were trained with"
        )
    fitted = {name: given[name].to(value.dtype).contiguous() for name, value in wanted.items()}
    save_file(fitted, context.store.partial(stage) / "weights.safetensors")
    return {"parameters": sum(value.numel() for value in fitted.values()), "units": 1}


def _fault(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Where the tensors of a file are not those of a network: all of them and no others, alike in form, and numbers."""
    for name in dict.fromkeys([*wanted, *given]):
        if name not in given:
            return f"'{one_line(name)}' is missing"
        if name not in wanted:
            return f"'{one_line(name)}' is left over"
        one, other = given[name], wanted[name]
        if one.shape != other.shape:
            return f"'{name}' has shape {tuple(one.shape)} where {tuple(other.shape)} is due"
        if one.is_floating_point() != other.is_floating_point():
            return f"'{name}' is {one.dtype} where {other.dtype} is due"
        if not bool(one.isfinite().all()):
            return f"'{name}' is not finite"
    return ""
