"""The pixel conventions."""

from __future__ import annotations

import pytest
import torch

from nferbench.contract.pixels import grey, luma, to_float, to_uint8


@pytest.fixture
def every_level() -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, 3)


def test_eight_bits_survive_the_way_there_and_back(every_level: torch.Tensor) -> None:
    back = to_uint8(to_float(every_level))
    assert back.dtype == torch.uint8 and back.is_contiguous()
    assert torch.equal(back, every_level)


def test_the_range_is_minus_one_to_one_with_channels_first(every_level: torch.Tensor) -> None:
    images = to_float(every_level)
    assert images.shape == (2, 3, 16, 16) and images.dtype == torch.float32 and images.is_contiguous()
    assert images[0, 0, 0, 0] == -1 and images[0, 2, 15, 15] == 1
    assert images[0, 0, 0, 1] == pytest.approx(2 / 255 - 1)


def test_channels_and_places_are_kept() -> None:
    image = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    image[0, 0, 1, 2] = 255
    assert (to_float(image) == 1).nonzero().tolist() == [[0, 2, 0, 1]]


def test_values_are_rounded_and_clamped() -> None:
    values = torch.tensor([-3.0, -1.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1, 1.0, 7.0])
    images = values.reshape(1, 1, 1, 6).repeat(1, 3, 1, 1)
    assert to_uint8(images)[0, 0, :, 0].tolist() == [0, 0, 1, 0, 255, 255]


def test_half_precision_is_rounded_in_full_precision(every_level: torch.Tensor) -> None:
    images = to_float(every_level).to(torch.bfloat16)
    assert torch.equal(to_uint8(images), to_uint8(images.float()))


def test_grey_is_the_mean_of_the_channels() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    result = grey(images)
    assert result.shape == images.shape
    assert torch.equal(result[:, 0], result[:, 1]) and torch.equal(result[:, 0], result[:, 2])
    torch.testing.assert_close(result[:, 0], (images[:, 0] + images[:, 1] + images[:, 2]) / 3)


def test_grey_leaves_grey_images_at_their_levels(every_level: torch.Tensor) -> None:
    assert torch.equal(to_uint8(grey(to_float(every_level))), every_level)


def test_luma_weighs_channels_and_keeps_greys() -> None:
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    weighted = torch.einsum("bchw,c->bhw", images, torch.tensor([0.299, 0.587, 0.114]))
    assert torch.allclose(luma(images), weighted[:, None].expand(2, 3, 4, 5), atol=1e-6)
    assert torch.allclose(luma(images[:, :1].repeat(1, 3, 1, 1)), images[:, :1].repeat(1, 3, 1, 1), atol=1e-6)
