"""Which device a command computes on."""

from __future__ import annotations

import os

from nferbench.cli.output import say
from nferbench.contract.errors import UsageError
from nferbench.machine.gpus import listed
from nferbench.machine.usable import Usable, usable
from nferbench.machine.visible import VARIABLE, visible


def found() -> Usable:
    """The GPUs that commands can use, or why there is none; no reason where none is there or wanted.

    Where the first are left out, this process and those that it starts see the others alone from now on.
    """
    value = os.environ.get(VARIABLE)
    if value is not None and value.strip() in ("", "-1"):
        return Usable(())
    cards = listed()
    names = visible(value, cards)
    if names:
        gpus = usable(names)
        if not gpus.names:
            return Usable((), f"torch cannot use the GPU: {gpus.reason}")
        if gpus.reason:
            os.environ[VARIABLE] = ",".join(gpus.names)
            left = ",".join(names[: names.index(gpus.names[0])])
            return Usable(gpus.names, f"torch cannot use {VARIABLE}={left}: {gpus.reason}")
        return gpus
    return Usable((), f"{VARIABLE}={value} shows none of {len(cards)} GPUs" if value and cards else "")


def device_for(wanted: str) -> tuple[str, tuple[str, ...]]:
    """What --device means here: "cpu" or "cuda", and the names of the GPUs; says why some are passed over.

    Raises:
        UsageError: cuda, and there is none that torch can use.
    """
    if wanted == "cpu":
        return "cpu", ()
    gpus = found()
    if gpus.names:
        if gpus.reason:
            say(f"note: computing on {VARIABLE}={','.join(gpus.names)}: {gpus.reason}")
        return "cuda", gpus.names
    if wanted == "cuda":
        raise UsageError(
            f"--device cuda: {gpus.reason or 'no CUDA device was found'}; see nferbench doctor, or use --device cpu"
        )
    if gpus.reason:
        say(f"note: computing on the CPU: {gpus.reason}")
    return "cpu", ()
