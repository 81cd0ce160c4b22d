"""What is replayed is what was captured; the rest of it needs a GPU, see `test_gpu`."""

from __future__ import annotations

import torch
from torch import Generator, nn

from nferbench import Batch, Captured, Parts
from nferbench.engine.recomputing import recompute
from nferbench_methods.diffusion.sr3_unet import SR3UNet


def test_an_update_whose_activations_are_computed_anew_is_done_as_it_is_written() -> None:
    """For that torch takes and sets the states of generators, which it refuses while a graph is captured."""
    network: nn.Module = SR3UNet(16, width=8, multipliers=(1, 2), res_blocks=1, attention=(), dropout=0.0)
    done: list[str] = []

    def update(batch: Batch, rng: Generator) -> Parts:
        yield lambda: done.append("step"), {"loss": batch.nir.mean()}

    assert recompute(network, True)
    faces = torch.ones(1, 3, 2, 2)
    losses = Captured([nn.Linear(1, 1), network], update)(Batch(faces, faces), Generator())
    assert done == ["step"] and losses == {"loss": torch.tensor(1.0)}
