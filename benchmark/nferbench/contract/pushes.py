"""How strong each push of a guided sampler is, step by step: noted by samplers, heard by whoever listens.

A push is the displacement of x in one reverse step that is due to one term, in units of x (images span -1 to 1): so
the score, energies and the noise of a step can be compared with each other. The term "score" is what the others are
compared with. Of "noise" the standard deviation is noted, the size that is to be expected of it.

Where nobody listens, noting measures nothing and keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from nferbench.contract.errors import PluginError
from nferbench.contract.printable import one_line

SCORE, NOISE = "score", "noise"

_TERM = re.compile(r"[^\W\d_][\w.+-]{0,31}")


@final
@dataclass(frozen=True, eq=False)
class Push:
    """What was noted of one term in one step. Its tensors are on the sampler's device, on the CPU once the block ended.

    The cosine says whether a term works with the score (1) or against it (-1). It is NaN where one of both is zero, and
    None for the score itself, for the noise, and for terms that were noted without the score.
    """

    step: int  # of the schedule in use; 0 is the last one taken
    t: int | Tensor  # index in the training schedule; a number once the block ended
    term: str
    rms: Tensor  # (B,) float32: root mean square over channels and pixels of each image
    cosine: Tensor | None  # (B,) float32 in [-1, 1]


_heard: ContextVar[list[Push] | None] = ContextVar("heard", default=None)


def note_pushes(step: int, t: int | Tensor, measure: Callable[[], Mapping[str, Tensor]]) -> None:
    """Note the pushes of one step, if somebody listens.

    Args:
        step: of the schedule in use; 0 is the last one taken.
        t: index in the training schedule, a number or a tensor of one.
        measure: called only if somebody listens; the push of each term, (B, C, H, W) floating point in units of x.

    Raises:
        PluginError: a term whose name is not a letter and up to 31 letters, digits and "_.+-", or a push of another
            form.
    """
    heard = _heard.get()
    if heard is None:
        return
    with torch.no_grad():
        pushes = {term: _flat(term, push) for term, push in measure().items()}
        norms = {term: torch.linalg.vector_norm(push, dim=1) for term, push in pushes.items()}
        for term, push in pushes.items():
            cosine = None
            if SCORE in pushes and term not in (SCORE, NOISE):
                # Where one of both is zero, 0 / 0 is NaN, as is due.
                cosine = ((push * pushes[SCORE]).sum(1) / (norms[term] * norms[SCORE])).float()
            heard.append(Push(step, t, term, (norms[term] / push.shape[1] ** 0.5).float(), cosine))


@contextmanager
def hear_pushes() -> Iterator[list[Push]]:
    """Listen to what samplers note inside the block, in this thread: ``with hear_pushes() as heard``.

    Nothing waits for the device before the block ends. An inner block hears what is noted in it, an outer one does not.
    """
    heard: list[Push] = []
    before = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(before)
    heard[:] = [
        replace(push, t=int(push.t), rms=push.rms.cpu(), cosine=None if push.cosine is None else push.cosine.cpu())
        for push in heard
    ]


def _flat(term: str, push: Tensor) -> Tensor:
    """A push as (B, N) float64, in which sums of squares lose nothing that float32 could hold."""
    if not isinstance(term, str) or not _TERM.fullmatch(term):
        raise PluginError(
            f"a push is called {one_line(repr(term)):.60}; a letter and up to 31 letters, digits and '_.+-' are due"
        )
    if not isinstance(push, Tensor) or push.ndim != 4 or not push.is_floating_point():
        came = f"{push.dtype} of shape {tuple(push.shape)}" if isinstance(push, Tensor) else type(push).__name__
        raise PluginError(f"the push of {term} is {came}; floating point of shape (B, C, H, W) is due")
    return push.double().flatten(1)
