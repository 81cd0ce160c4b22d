"""Whether torch can compute on the GPUs that are there, asked in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nferbench.machine.asking import answer
from nferbench.machine.visible import VARIABLE

PATIENCE = 120.0  # seconds; loading torch from a slow disk takes many, a driver that hangs never ends
_MARK = "nferbench:"  # before the answer, for libraries print what they like

# Prints how many devices torch sees, once the first has computed something; else why not.
_QUESTION = f"""
import torch
try:
    if torch.version.cuda is None and torch.version.hip is None:
        raise RuntimeError(f"torch {{torch.__version__}} was built without CUDA")
    if torch.ones(2, device="cuda").sum().item() != 2:
        raise RuntimeError("1 + 1 is not 2 on it")
    print("{_MARK}", torch.cuda.device_count())
except Exception as error:
    print("{_MARK}", (str(error).strip() or type(error).__name__).splitlines()[0])
"""


@dataclass(frozen=True)
class Usable:
    """What torch can use."""

    names: tuple[str, ...]  # values of CUDA_VISIBLE_DEVICES, one a device
    reason: str = ""  # one line; why there is none


def usable(names: Sequence[str], python: str = sys.executable) -> Usable:
    """Those of the visible devices that torch sees, or why it can use none.

    A torch built without CUDA, a driver too old for it, a GPU too old or too new, one that another process has for
    itself or has filled: all show themselves only when something is computed. The first device stands for all.

    Args:
        names: of `visible`, at least one.
        python: the interpreter to ask.
    """
    environment = {**os.environ, VARIABLE: ",".join(names)}
    call = [python, "-P", "-c", _QUESTION]
    try:
        code, said = answer(call, PATIENCE, environment)
    except TimeoutError as error:
        return Usable((), str(error))
    except OSError as error:
        return Usable((), f"{python} cannot be started ({error.strerror})")
    found = next((line.removeprefix(_MARK).strip() for line in reversed(said.splitlines()) if line.startswith(_MARK)), "")
    if not found.isdecimal():
        return Usable((), found or f"the process that tried it ended with exit code {code}")
    # CUDA shows one part of a divided card at a time, so a count tells nothing of the others.
    divided = any(name.startswith("MIG-") for name in names)
    return Usable(tuple(names) if divided else tuple(names[: int(found)]), "" if int(found) else "torch sees none")
