"""PSNR and SSIM of translated faces, one value an image, in one of two named conventions.

``standard`` scores at the true data range and equals scikit-image. ``paper`` scores the [-1, 1] arrays as if their peak
were 255, which is what published columns near 50-66 dB fit (NFER-SDE, AAAI 2024; the SR3 and T2V-DDPM line of code):
every PSNR rises by 10 log10(255² / 4) = 42.11 dB and SSIM is pushed towards 1. Ranks of PSNR are the same in both;
values of the two must never stand in one table.

Nothing is quantised here: whoever wants the score of a stored 8-bit file passes the file's pixels.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import avg_pool2d

from nferbench.contract.errors import DataError

Convention = Literal["standard", "paper"]

_WINDOW = 7  # side of scikit-image's default window, uniform weights
_K1, _K2 = 0.01, 0.03  # SSIM's stabilising constants (Wang et al. 2004)


def psnr(preds: Tensor, target: Tensor, convention: Convention) -> Tensor:
    """Peak signal-to-noise ratio in dB; higher is better.

    An identical pair scores inf, as in scikit-image, and so does any mean that contains it. That is meant: only a
    translator that hands back the real NIR face reaches it, which should be seen and not averaged away.

    Args:
        preds: (B, 3, H, W) in [-1, 1]; NIR as three equal channels.
        target: the real faces, likewise.
        convention: ``standard`` or ``paper`` (see the module).

    Returns:
        (B,) float64 on the device of `preds`.

    Raises:
        DataError: the shapes differ or are not (B, 3, H, W).
    """
    preds, target, peak = _scaled(preds, target, convention)
    error = (preds - target).square().mean(dim=(1, 2, 3))
    return 10 * (peak**2 / error).log10()


def ssim(preds: Tensor, target: Tensor, convention: Convention) -> Tensor:
    """Structural similarity in [-1, 1]; higher is better (Wang et al. 2004).

    Equal to ``skimage.metrics.structural_similarity(..., channel_axis=0)`` on float64 images with scikit-image's
    defaults: a 7x7 window with uniform weights (not the 11x11 Gaussian), sample covariance, K1 = 0.01, K2 = 0.03, the
    mean over all whole windows and the three channels. Faces of fewer than 7 pixels a side are scored with the largest
    odd window that fits.

    Args:
        preds: (B, 3, H, W) in [-1, 1]; NIR as three equal channels.
        target: the real faces, likewise.
        convention: ``standard`` or ``paper`` (see the module).

    Returns:
        (B,) float64 on the device of `preds`.

    Raises:
        DataError: the shapes differ, are not (B, 3, H, W), or a side has fewer than 3 pixels.
    """
    # Deviation: the public code behind the published columns weights an 11x11 window by a Gaussian; with a peak of 255
    # the constants outweigh the image statistics so far that the window hardly counts, so both conventions share one.
    x, y, peak = _scaled(preds, target, convention)
    side = min(x.shape[-2:])
    if side < 3:
        raise DataError(f"SSIM of faces of {x.shape[-2]}x{x.shape[-1]} pixels; it needs at least 3x3")
    window = min(_WINDOW, side - (side + 1) % 2)

    def local_mean(image: Tensor) -> Tensor:
        return avg_pool2d(image, window, stride=1)

    mu_x, mu_y = local_mean(x), local_mean(y)
    unbiased = window**2 / (window**2 - 1)
    var_x = unbiased * (local_mean(x * x) - mu_x * mu_x)
    var_y = unbiased * (local_mean(y * y) - mu_y * mu_y)
    cov = unbiased * (local_mean(x * y) - mu_x * mu_y)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    similarity = ((2 * mu_x * mu_y + c1) * (2 * cov + c2)) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return similarity.mean(dim=(1, 2, 3))


def _scaled(preds: Tensor, target: Tensor, convention: Convention) -> tuple[Tensor, Tensor, float]:
    """Both images in float64 as the convention reads them, and the peak it assumes."""
    if preds.shape != target.shape or preds.ndim != 4 or preds.shape[1] != 3:
        came = f"{tuple(preds.shape)} and {tuple(target.shape)}"
        raise DataError(f"images of shapes {came} cannot be compared; both must be the same (B, 3, H, W)")
    preds, target = preds.double(), target.double()
    if convention == "standard":  # SSIM is not invariant under a shift, so [0, 1] it must be
        return (preds + 1) / 2, (target + 1) / 2, 1.0
    if convention == "paper":
        return preds, target, 255.0
    raise DataError(f"unknown convention '{convention}'; allowed: standard, paper")
