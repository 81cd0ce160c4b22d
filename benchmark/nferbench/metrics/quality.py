"""PSNR and SSIM of translated faces, those of scikit-image, in one of two named conventions.

``standard`` scores at the true data range. ``paper`` scores the [-1, 1] arrays as if their peak were 255, which is what
published columns near 50-66 dB fit (NFER-SDE, AAAI 2024; the SR3 and T2V-DDPM line of code): every PSNR rises by
10 log10(255² / 4) = 42.11 dB and SSIM is pushed towards 1. Ranks of PSNR are the same in both; values of the two must
never stand in one table.

Nothing is quantised here: whoever wants the score of a stored 8-bit file passes the file's pixels.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nferbench.contract.errors import DataError

Convention = Literal["standard", "paper"]

_WINDOW = 7  # side of scikit-image's default window, uniform weights


def psnr(pred: NDArray[Any], target: NDArray[Any], convention: Convention) -> float:
    """Peak signal-to-noise ratio in dB; higher is better.

    An identical pair scores inf, as in scikit-image, and so does any mean that contains it. That is meant: only a
    translator that hands back the real NIR face reaches it, which should be seen and not averaged away.

    Args:
        pred: (3, H, W) in [-1, 1]; NIR as three equal channels.
        target: the real face, likewise.
        convention: ``standard`` or ``paper`` (see the module).

    Raises:
        DataError: the shapes differ or are not (3, H, W).
    """
    from skimage.metrics import peak_signal_noise_ratio

    pred, target, peak = _scaled(pred, target, convention)
    with np.errstate(divide="ignore"):  # an identical pair
        return float(peak_signal_noise_ratio(target, pred, data_range=peak))


def ssim(pred: NDArray[Any], target: NDArray[Any], convention: Convention) -> float:
    """Structural similarity in [-1, 1]; higher is better (Wang et al. 2004).

    With scikit-image's defaults: a 7x7 window with uniform weights (not the 11x11 Gaussian), sample covariance,
    K1 = 0.01, K2 = 0.03, the mean over all whole windows and the channels. Faces of fewer than 7 pixels a side are
    scored with the largest odd window that fits.

    Args:
        pred: (3, H, W) in [-1, 1]; NIR as three equal channels.
        target: the real face, likewise.
        convention: ``standard`` or ``paper`` (see the module).

    Raises:
        DataError: the shapes differ, are not (3, H, W), or a side has fewer than 3 pixels.
    """
    from skimage.metrics import structural_similarity

    # Deviation: the public code behind the published columns weights an 11x11 window by a Gaussian; with a peak of 255
    # the constants outweigh the image statistics so far that the window hardly counts, so both conventions share one.
    pred, target, peak = _scaled(pred, target, convention)
    side = min(pred.shape[1:])
    if side < 3:
        raise DataError(f"SSIM of a face of {pred.shape[1]}x{pred.shape[2]} pixels; it needs at least 3x3")
    window = min(_WINDOW, side - (side + 1) % 2)
    return float(structural_similarity(target, pred, data_range=peak, channel_axis=0, win_size=window))


def _scaled(
    pred: NDArray[Any], target: NDArray[Any], convention: Convention
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Both images in float64 as the convention reads them, and the peak it assumes."""
    if pred.shape != target.shape or pred.ndim != 3 or pred.shape[0] != 3:
        raise DataError(f"images of shapes {pred.shape} and {target.shape} cannot be compared; both must be (3, H, W)")
    if all((image[:1] == image[1:]).all() for image in (pred, target)):  # grey: one channel scores the same
        pred, target = pred[:1], target[:1]
    pred, target = pred.astype(np.float64), target.astype(np.float64)
    if convention == "standard":  # SSIM is not invariant under a shift, so [0, 1] it must be
        return (pred + 1) / 2, (target + 1) / 2, 1.0
    if convention == "paper":
        return pred, target, 255.0
    raise DataError(f"unknown convention '{convention}'; allowed: standard, paper")
