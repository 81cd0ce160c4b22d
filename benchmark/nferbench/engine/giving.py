"""Fitted weights from a file, held to the network that they are for and stored as those of a training are."""

from __future__ import annotations

from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file

from nferbench.contract.errors import DataError
from nferbench.contract.initial import APART, misfit
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
    if fault := misfit(given, wanted):
        raise DataError(
            f"weights {path} do not fit {stage.role} at {stage.size} px: {fault}; "
            "--preset, --set and --size must be those that they were trained with"
        )
    fitted = {name: given[name].to(value.dtype).contiguous() for name, value in wanted.items()}
    save_file(fitted, context.store.partial(stage) / "weights.safetensors")
    return {"parameters": sum(value.numel() for value in fitted.values()), "units": 1}
