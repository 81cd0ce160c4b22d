"""Random streams: one per image, so that a result depends neither on the batch nor on the order of the work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts; the same parts give the same seed on every machine and version."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class ImageNoise:
    """One generator per image of a batch; each draw advances every stream by the same amount."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(seeds)
        self.device = torch.device(device)
        drawing = torch.device("cpu") if self.device.type == "meta" else self.device  # `meta` has no generators
        self._generators = [torch.Generator(drawing).manual_seed(seed) for seed in self.seeds]

    def __len__(self) -> int:
        return len(self.seeds)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of shape (B, *shape), float32; row i comes from the stream of image i."""
        out = torch.empty(len(self), *shape, device=self.device)
        if self.device.type == "meta":
            return out
        for row, generator in zip(out, self._generators, strict=True):
            row.normal_(generator=generator)
        return out

    @contextmanager
    def seeded(self, i: int) -> Iterator[None]:
        """Run a block with torch's global generators seeded for image i (dropout at test time), then restore them."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seeds[i])
            yield
