"""On `meta` noise has a shape, and drawing it costs nothing."""

from __future__ import annotations

import torch

from nferbench.contract.noise import ImageNoise


def test_noise_has_its_shape_there_and_the_global_stream_is_left_alone() -> None:
    noise = ImageNoise((1, 2), "meta")
    before = torch.get_rng_state()
    drawn = noise.normal(3, 4, 4)
    assert drawn.is_meta and drawn.shape == (2, 3, 4, 4) and drawn.dtype == torch.float32
    with noise.seeded(1):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
