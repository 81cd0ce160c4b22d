"""Images that others translated: which files of a folder hold some, and how one is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.images import MAX_PIXELS, MIN_SIDE, read_plain_image
from nferbench.datasets.npy import mapped
from nferbench.datasets.tree import visible

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
READ = "PNG, JPEG, TIFF and .npy are read"
ROUNDING = 1e-3  # by which values may leave [-1, 1]
DARK = -0.1  # a face in [-1, 1] has something below; one in [0, 1] has not, even where a network undershoots


def image_files(folder: Path) -> list[str]:
    """All files below a folder with an ending in `FORMATS`, relative to it, in POSIX form, sorted.

    What is not `visible` is passed over, and so are links to folders.

    Raises:
        UsageError: there is no such folder.
        DataError: a folder cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name one that holds images ({READ})")

    def stop(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror})") from None

    found = []
    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if visible(name)]
        paths = [Path(place, name) for name in names if visible(name) and Path(name).suffix.lower() in FORMATS]
        found += [path.relative_to(folder).as_posix() for path in paths]
    return sorted(found)


def read_given(path: Path) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Read an image, upright; grey is replicated.

    A .npy file holds (h, w), (h, w, 1) or (h, w, 3): uint8, or floating point in [-1, 1]. Floating point with nothing
    below `DARK` is refused, for it may be in [0, 1].

    Returns:
        (h, w, 3): uint8, or float32 in [-1, 1].

    Raises:
        DataError: as `read_plain_image`; an array of another form, type or range.
    """
    return _array(path) if path.suffix.lower() == ".npy" else read_plain_image(path)


def grey(image: NDArray[Any]) -> NDArray[Any]:
    """The mean of the three channels in each of three channels, as the output of a translator is made grey.

    Args:
        image: (h, w, 3), uint8 or float32.

    Returns:
        The same shape and type; of uint8 the mean is rounded to the nearest level.
    """
    if image.dtype == np.uint8:
        mean = ((image.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    else:
        mean = image.mean(axis=2, dtype=np.float32)
    return np.repeat(mean[:, :, None], 3, axis=2)


def eight_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image as it is stored: uint8 as it is, float32 in [-1, 1] rounded to the nearest level."""
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    levels: NDArray[np.uint8] = np.rint((image + np.float32(1)) * np.float32(127.5)).astype(np.uint8)
    return levels


def _array(path: Path) -> NDArray[np.uint8] | NDArray[np.float32]:
    stored = mapped(path)
    shape = "x".join(map(str, stored.shape))
    if stored.ndim not in (2, 3) or stored.shape[2:] not in ((), (1,), (3,)):
        raise DataError(f"{path}: an array of shape {shape}; height x width, with 1 or 3 channels at the end, is due")
    if min(stored.shape[:2]) < MIN_SIDE or stored.shape[0] * stored.shape[1] > MAX_PIXELS:
        raise DataError(f"{path}: {shape} pixels; at least {MIN_SIDE} a side and at most {MAX_PIXELS} are read")
    values = np.array(stored)
    if values.dtype != np.uint8:
        values = _in_range(values, path)
    if values.ndim == 2:
        values = values[:, :, None]
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _in_range(values: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if values.dtype.kind != "f":
        raise DataError(f"{path}: values of type {values.dtype}; uint8, or floating point in [-1, 1], is due")
    low, high = float(values.min()), float(values.max())
    if not -1 - ROUNDING <= low <= high <= 1 + ROUNDING:
        raise DataError(f"{path}: values in {low:.4g} to {high:.4g}; floating point in [-1, 1], or uint8, is due")
    if low > DARK:
        raise DataError(
            f"{path}: values in {low:.4g} to {high:.4g}, which may be meant in [0, 1] or in [-1, 1]; save it as uint8"
        )
    return values.astype(np.float32).clip(-1, 1)
