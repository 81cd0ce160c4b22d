"""Whether torch can compute on the GPUs that are there, asked in a process of its own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nferbench.machine.asking import answer
from nferbench.machine.visible import VARIABLE

PATIENCE = 120.0  # seconds; loading torch from a slow disk takes many, a driver that hangs never ends
_MARK = "nferbench:"  # before the answer, for libraries print what they like

# Prints the place of the first device that computes something, how many torch sees, and what ails the first of all if
# it is not that one; else why there is none.
_QUESTION = f"""
import torch
ails = []
def computes(place):
    try:
        if torch.ones(2, device=f"cuda:{{place}}").sum().item() != 2:
            raise RuntimeError("1 + 1 is not 2 on it")
    except Exception as error:
        ails.append(error)
        return False
    return True
try:
    if torch.version.cuda is None and torch.version.hip is None:
        raise RuntimeError(f"torch {{torch.__version__}} was built without CUDA")
    count = torch.cuda.device_count()
    first = next(filter(computes, range(max(count, 1))), None)
    if first is None:
        raise ails[0]
    print("{_MARK}", first, count, *(str(error).splitlines()[0] for error in ails[:1]))
except Exception as error:
    print("{_MARK}", (str(error).strip() or type(error).__name__).splitlines()[0])
"""
_FOUND = re.compile(r"(?P<first>\d+) (?P<count>\d+)(?: (?P<ails>.*))?")


@dataclass(frozen=True)
class Usable:
    """What torch can use."""

    names: tuple[str, ...]  # values of CUDA_VISIBLE_DEVICES, one a device
    reason: str = ""  # one line; why there is none, or why the first of them are left out


def usable(names: Sequence[str], python: str = sys.executable) -> Usable:
    """Those of the visible devices that torch sees, or why it can use none.

    A torch built without CUDA, a driver too old for it, a GPU too old or too new, one that another process has for
    itself or has filled: all show themselves only when something is computed. Devices before the first that computes
    are left out; that one stands for those after it.

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
    lines = [line.removeprefix(_MARK).strip() for line in said.splitlines() if line.startswith(_MARK)]
    told = lines[-1] if lines else f"the process that tried it ended with exit code {code}"
    found = _FOUND.fullmatch(told)
    if found is None:
        return Usable((), told)
    # CUDA shows one part of a divided card at a time, so a count tells nothing of the others.
    divided = any(name.startswith("MIG-") for name in names)
    seen = names if divided else names[int(found["first"]) : int(found["count"])]
    return Usable(tuple(seen), (found["ails"] or "") if seen else "torch sees none")
