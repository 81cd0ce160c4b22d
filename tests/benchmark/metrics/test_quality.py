"""PSNR and SSIM against scikit-image and against arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from nferbench.contract.errors import DataError
from nferbench.metrics.quality import psnr, ssim

OFFSET = 10 * math.log10(255**2 / 4)  # dB between the two conventions


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def ramp(height: int, width: int) -> Tensor:
    grey = torch.linspace(-1, 1, height)[:, None] * torch.linspace(0.2, 1, width)
    return grey.expand(1, 3, -1, -1).clone()


def plain(value: float, height: int = 16, width: int = 16) -> Tensor:
    return torch.full((1, 3, height, width), value)


PAIRS = {
    "noise against noise": (noise(24, 24), noise(24, 24, seed=1)),
    "a face and its noisy copy": (ramp(24, 24), (ramp(24, 24) + 0.1 * noise(24, 24)).clamp(-1, 1)),
    "two single colours": (plain(-1.0), plain(0.4)),
    "one single colour": (plain(0.1), noise(16, 16)),
    "not square": (noise(20, 33), ramp(20, 33)),
    "grey against colour": (noise(16, 16).mean(1, keepdim=True).expand(-1, 3, -1, -1), noise(16, 16)),
    "nearly identical": (ramp(24, 24), ramp(24, 24) + 1e-4),
    "ten pixels": (noise(10, 10), noise(10, 10, seed=1)),
    "seven pixels": (noise(7, 7), noise(7, 7, seed=1)),
}


def reference(preds: Tensor, target: Tensor, convention: str) -> tuple[float, float]:
    x, y = preds[0].double().numpy(), target[0].double().numpy()
    peak = 255.0
    if convention == "standard":
        x, y, peak = (x + 1) / 2, (y + 1) / 2, 1.0
    similarity = structural_similarity(y, x, channel_axis=0, data_range=peak)
    return float(peak_signal_noise_ratio(y, x, data_range=peak)), float(similarity)


@pytest.mark.parametrize("convention", ["standard", "paper"])
@pytest.mark.parametrize("pair", PAIRS)
def test_psnr_and_ssim_equal_scikit_image(pair: str, convention: str) -> None:
    preds, target = PAIRS[pair]
    expected_psnr, expected_ssim = reference(preds, target, convention)
    assert psnr(preds, target, convention).item() == pytest.approx(expected_psnr, abs=1e-5)
    assert ssim(preds, target, convention).item() == pytest.approx(expected_ssim, abs=1e-5)


def test_standard_equals_scikit_image_on_the_8_bit_images() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, (3, 18, 21), dtype=np.uint8) for _ in range(2))
    preds, target = (torch.from_numpy(image)[None].float() / 127.5 - 1 for image in (x, y))
    assert psnr(preds, target, "standard").item() == pytest.approx(peak_signal_noise_ratio(y, x), abs=1e-5)
    assert ssim(preds, target, "standard").item() == pytest.approx(
        structural_similarity(y, x, channel_axis=0), abs=1e-5
    )


@pytest.mark.parametrize("side", [3, 4, 5, 6])
def test_tiny_faces_are_scored_with_the_largest_odd_window_that_fits(side: int) -> None:
    preds, target = noise(side, side + 2), noise(side, side + 2, seed=1)
    x, y = ((image[0].double().numpy() + 1) / 2 for image in (preds, target))
    window = {3: 3, 4: 3, 5: 5, 6: 5}[side]
    expected = structural_similarity(y, x, channel_axis=0, data_range=1.0, win_size=window)
    assert ssim(preds, target, "standard").item() == pytest.approx(expected, abs=1e-5)


def test_faces_too_small_for_any_window_are_refused() -> None:
    with pytest.raises(DataError, match="2x9"):
        ssim(noise(2, 9), noise(2, 9), "standard")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_paper_s_psnr_is_the_standard_one_plus_42_11_db(pair: str) -> None:
    preds, target = PAIRS[pair]
    difference = psnr(preds, target, "paper") - psnr(preds, target, "standard")
    assert difference.item() == pytest.approx(OFFSET, abs=1e-9)


def test_psnr_of_a_known_error_is_known() -> None:
    # An error of 0.2 on [-1, 1] is 0.1 on [0, 1]: 20 dB.
    assert psnr(plain(0.2), plain(0.0), "standard").item() == pytest.approx(20.0, abs=1e-5)


def test_the_paper_s_convention_pushes_ssim_towards_one() -> None:
    preds, target = PAIRS["noise against noise"]
    assert ssim(preds, target, "standard").item() < 0.1
    assert ssim(preds, target, "paper").item() > 0.95


def test_an_identical_pair_has_infinite_psnr_and_an_ssim_of_one() -> None:
    image = noise(16, 16)
    for convention in ("standard", "paper"):
        assert psnr(image, image, convention).item() == math.inf
        assert ssim(image, image, convention).item() == pytest.approx(1.0, abs=1e-12)


def test_a_mean_with_an_identical_pair_stays_infinite() -> None:
    target = torch.cat([noise(16, 16), noise(16, 16)])
    preds = torch.cat([noise(16, 16), noise(16, 16, seed=1)])
    values = psnr(preds, target, "standard")
    assert values.isinf().tolist() == [True, False]
    assert values.mean().item() == math.inf


def test_each_image_is_scored_by_itself() -> None:
    preds = torch.cat([noise(16, 16, seed=k) for k in range(4)])
    target = torch.cat([noise(16, 16, seed=k + 4) for k in range(4)])
    for metric in (psnr, ssim):
        alone = torch.cat([metric(preds[k : k + 1], target[k : k + 1], "standard") for k in range(4)])
        assert torch.allclose(metric(preds, target, "standard"), alone, rtol=0, atol=1e-12)
        assert len(set(alone.tolist())) == 4


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_images_of_different_or_wrong_shape_are_refused(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"\(1, 3, 16, 16\) and \(1, 3, 16, 17\)"):
        metric(noise(16, 16), noise(16, 17), "standard")
    with pytest.raises(DataError, match=r"\(B, 3, H, W\)"):
        metric(noise(16, 16)[:, :1], noise(16, 16)[:, :1], "standard")


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(DataError, match="standard, paper"):
        psnr(noise(16, 16), noise(16, 16), "legacy")  # type: ignore[arg-type]
