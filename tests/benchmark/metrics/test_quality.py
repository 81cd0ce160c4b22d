"""PSNR and SSIM against their formulas, written out, and against arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nferbench.contract.errors import DataError
from nferbench.metrics.quality import psnr, ssim

OFFSET = 10 * math.log10(255**2 / 4)  # dB between the two conventions


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (3, *shape)).astype(np.float32)


def ramp(height: int, width: int) -> NDArray[np.float32]:
    return grey(np.linspace(-1, 1, height)[:, None] * np.linspace(0.2, 1, width))


def plain(value: float, height: int = 16, width: int = 16) -> NDArray[np.float32]:
    return np.full((3, height, width), value, np.float32)


def grey(plane: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.repeat(plane[None], 3, axis=0).astype(np.float32)


PAIRS = {
    "noise against noise": (noise(24, 24), noise(24, 24, seed=1)),
    "a face and its noisy copy": (ramp(24, 24), (ramp(24, 24) + 0.1 * noise(24, 24)).clip(-1, 1)),
    "two single colours": (plain(-1.0), plain(0.4)),
    "one single colour": (plain(0.1), noise(16, 16)),
    "not square": (noise(20, 33), ramp(20, 33)),
    "grey against colour": (grey(noise(16, 16)[0]), noise(16, 16)),
    "grey against grey": (grey(noise(16, 16)[0]), grey(noise(16, 16)[1])),
    "nearly identical": (ramp(24, 24), ramp(24, 24) + 1e-4),
    "ten pixels": (noise(10, 10), noise(10, 10, seed=1)),
    "seven pixels": (noise(7, 7), noise(7, 7, seed=1)),
}


def formulas(pred: NDArray[np.float32], target: NDArray[np.float32], convention: str) -> tuple[float, float]:
    """Mean squared error in dB below the peak, and the mean of Eq. 13 of Wang et al. 2004 over all 7x7 windows."""
    x, y, peak = pred.astype(np.float64), target.astype(np.float64), 255.0
    if convention == "standard":
        x, y, peak = (x + 1) / 2, (y + 1) / 2, 1.0
    side = min(7, min(x.shape[1:]) - (min(x.shape[1:]) + 1) % 2)
    similarities = []
    for a, b in zip(x, y, strict=True):
        u, v = (sliding_window_view(plane, (side, side)).reshape(-1, side * side) for plane in (a, b))
        mu, nu = u.mean(1), v.mean(1)
        cov = ((u - mu[:, None]) * (v - nu[:, None])).sum(1) / (side * side - 1)
        c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
        luminance = (2 * mu * nu + c1) / (mu**2 + nu**2 + c1)
        structure = (2 * cov + c2) / (u.var(1, ddof=1) + v.var(1, ddof=1) + c2)
        similarities.append((luminance * structure).mean())
    return 10 * math.log10(peak**2 / np.square(x - y).mean()), float(np.mean(similarities))


@pytest.mark.parametrize("convention", ["standard", "paper"])
@pytest.mark.parametrize("pair", PAIRS)
def test_psnr_and_ssim_equal_their_formulas(pair: str, convention: str) -> None:
    expected_psnr, expected_ssim = formulas(*PAIRS[pair], convention)
    assert psnr(*PAIRS[pair], convention) == pytest.approx(expected_psnr, abs=1e-9)  # type: ignore[arg-type]
    assert ssim(*PAIRS[pair], convention) == pytest.approx(expected_ssim, abs=1e-9)  # type: ignore[arg-type]


# What stored results hold: those of earlier versions, which had code of their own.
EARLIER = {
    "standard": (7.670241628482782, -0.019856791593285305),
    "paper": (49.78044532388226, 0.9869978471806803),
}


@pytest.mark.parametrize("convention", ["standard", "paper"])
def test_values_are_those_of_earlier_versions(convention: str) -> None:
    levels = np.arange(3 * 24 * 20).reshape(3, 24, 20)
    pred, target = ((levels * step % 256).astype(np.float32) / np.float32(127.5) - 1 for step in (7, 11))
    expected_psnr, expected_ssim = EARLIER[convention]
    assert psnr(pred, target, convention) == pytest.approx(expected_psnr, abs=1e-9)  # type: ignore[arg-type]
    assert ssim(pred, target, convention) == pytest.approx(expected_ssim, abs=1e-9)  # type: ignore[arg-type]


def test_standard_equals_scikit_image_on_the_8_bit_images() -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, (3, 18, 21), dtype=np.uint8) for _ in range(2))
    pred, target = (image.astype(np.float32) / np.float32(127.5) - 1 for image in (x, y))
    assert psnr(pred, target, "standard") == pytest.approx(peak_signal_noise_ratio(y, x), abs=1e-5)
    assert ssim(pred, target, "standard") == pytest.approx(structural_similarity(y, x, channel_axis=0), abs=1e-5)


@pytest.mark.parametrize("side", [3, 4, 5, 6])
def test_tiny_faces_are_scored_with_the_largest_odd_window_that_fits(side: int) -> None:
    pred, target = noise(side, side + 2), noise(side, side + 2, seed=1)
    assert ssim(pred, target, "standard") == pytest.approx(formulas(pred, target, "standard")[1], abs=1e-9)


def test_faces_too_small_for_any_window_are_refused() -> None:
    with pytest.raises(DataError, match="2x9"):
        ssim(noise(2, 9), noise(2, 9), "standard")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_paper_s_psnr_is_the_standard_one_plus_42_11_db(pair: str) -> None:
    difference = psnr(*PAIRS[pair], "paper") - psnr(*PAIRS[pair], "standard")
    assert difference == pytest.approx(OFFSET, abs=1e-9)


def test_psnr_of_a_known_error_is_known() -> None:
    # An error of 0.2 on [-1, 1] is 0.1 on [0, 1]: 20 dB.
    assert psnr(plain(0.2), plain(0.0), "standard") == pytest.approx(20.0, abs=1e-5)


def test_the_paper_s_convention_pushes_ssim_towards_one() -> None:
    assert ssim(*PAIRS["noise against noise"], "standard") < 0.1
    assert ssim(*PAIRS["noise against noise"], "paper") > 0.95


@pytest.mark.filterwarnings("error")
def test_an_identical_pair_has_infinite_psnr_and_an_ssim_of_one() -> None:
    for image in (noise(16, 16), ramp(16, 16)):
        for convention in ("standard", "paper"):
            assert psnr(image, image, convention) == math.inf  # type: ignore[arg-type]
            assert ssim(image, image, convention) == pytest.approx(1.0, abs=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_one_channel_of_grey_faces_scores_as_three_do(metric) -> None:  # type: ignore[no-untyped-def]
    pred, target = PAIRS["grey against grey"]
    hint = np.zeros_like(pred)
    hint[2, 0, 0] = 1e-7  # no longer grey, and hardly another image
    assert metric(pred + hint, target, "standard") == pytest.approx(metric(pred, target, "standard"), abs=1e-7)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_images_of_different_or_wrong_shape_are_refused(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"\(3, 16, 16\) and \(3, 16, 17\)"):
        metric(noise(16, 16), noise(16, 17), "standard")
    with pytest.raises(DataError, match=r"\(3, H, W\)"):
        metric(noise(16, 16)[:1], noise(16, 16)[:1], "standard")


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(DataError, match="standard, paper"):
        psnr(noise(16, 16), noise(16, 16), "legacy")  # type: ignore[arg-type]
