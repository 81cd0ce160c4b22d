"""Random streams: one per image, so that a result depends neither on the batch nor on the order of the work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor

# Draws of an image that are made at once, by kind of device; elsewhere one by one. A GPU starts one kernel an image and
# draw, and in a step of a sampler that would take longer than the drawing.
AHEAD: Mapping[str, int] = {"cuda": 16, "meta": 16}  # `meta` stands for a GPU


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
        self._drawn = torch.empty(len(self.seeds), 0, device=self.device)  # not handed out yet

    def __len__(self) -> int:
        return len(self.seeds)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of shape (B, *shape), float32; row i comes from the stream of image i."""
        count = prod(shape)
        if self._drawn.shape[1] < count:
            # How many are drawn follows from the shape alone, so that a stream is the same in every batch.
            self._drawn = self._streams(AHEAD.get(self.device.type, 1) * count)
        taken, self._drawn = self._drawn[:, :count], self._drawn[:, count:]
        return taken.contiguous().view(len(self), *shape)

    def _streams(self, count: int) -> Tensor:
        """The next numbers of every stream, (B, count); what the last draw left over is skipped."""
        with torch.inference_mode(False):  # some may be handed out where gradients are taken
            out = torch.empty(len(self), count, device=self.device)
            if self.device.type != "meta":
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
