"""Losses that can be computed piece by piece: what is random is drawn for the whole batch, the rest row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Generator, Tensor, nn

Drawn = tuple[Tensor | None, ...]  # a row an example each


@final
@dataclass(frozen=True)
class PiecewiseLoss:
    """A loss that is a mean over examples, whose network answers each example for itself, whatever its batch mates.

    Called with a batch, it is the loss of the whole.
    """

    draw: Callable[[Any, Generator], Drawn]  # batch and rng to what the loss is a function of, for all examples
    terms: Callable[..., Mapping[str, Tensor]]  # of it, or of some rows of it, to named means over these rows, 0-d

    def __call__(self, batch: Any, rng: Generator) -> Mapping[str, Tensor]:
        return self.terms(*self.draw(batch, rng))

    def backward(self, network: nn.Module, batch: Any, rng: Generator, pieces: int) -> Mapping[str, Tensor]:
        """Add the gradients of the whole batch to those of the network, one piece after the other.

        Args:
            network: the one in the loss, in train mode.
            batch: all examples.
            rng: as for the loss of the whole.
            pieces: how many; with fewer rows than pieces, each row is one.

        Returns:
            The terms of the whole batch, detached.
        """
        drawn = self.draw(batch, rng)
        rows = next(len(part) for part in drawn if part is not None)
        size = -(-rows // pieces)
        dropouts = [module for module in network.modules() if isinstance(module, BatchDropout)]
        devices = [part.device for part in drawn if part is not None and part.is_cuda][:1]
        totals: dict[str, Tensor] = {}
        for first in range(0, rows, size):
            piece = tuple(None if part is None else part[first : first + size] for part in drawn)
            share = min(size, rows - first) / rows
            for dropout in dropouts:
                dropout.piece = (first, rows)
            try:
                # Each piece draws what the whole batch would, and leaves the generators to the next as it found them.
                with torch.random.fork_rng(devices=devices, enabled=first + size < rows):
                    terms = self.terms(*piece)
                    torch.autograd.backward(share * torch.stack(list(terms.values())).sum())
            finally:
                for dropout in dropouts:
                    dropout.piece = None
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + share * term.detach()
        return totals


@final
class BatchDropout(nn.Dropout):
    """Dropout whose decisions for a piece of a batch are those that the rows of the piece have in the whole batch."""

    piece: tuple[int, int] | None = None  # first row of the piece in hand, and rows of the whole batch

    def forward(self, x: Tensor) -> Tensor:
        # On a CPU torch's own dropout draws like what is below; on a GPU it does not, so a whole batch goes here too.
        if not self.training or self.p in (0, 1) or (self.piece is None and x.device.type == "cpu"):
            return super().forward(x)
        first, rows = self.piece or (0, len(x))
        channels_last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format  # numbers are drawn as they lie
        kept = torch.empty((rows, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=layout)
        return x * kept.bernoulli_(1 - self.p).div_(1 - self.p)[first : first + len(x)]


_OF_THE_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_OF_A_PIECE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def answers_rows(network: nn.Module) -> bool:
    """Whether a row gets the same answer in train mode in a piece as in the whole batch, as far as modules tell.

    A batch norm sees the rows that it gets, and every dropout but `nn.Dropout` would decide for these alone.
    """
    return not any(isinstance(module, _OF_THE_BATCH + _OF_A_PIECE) for module in network.modules())


def share_dropout(network: nn.Module) -> None:
    """Put a `BatchDropout` in place of each dropout of a network; on a CPU a whole batch gets the same numbers."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, BatchDropout(child.p, child.inplace).train(child.training))
