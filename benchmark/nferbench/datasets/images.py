"""Reading image files of any common kind as 8-bit RGB, and refusing what is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nferbench.contract.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MIN_SIDE = 4  # pixels; smaller pictures stand in for something that is missing, such as 1 x 1
MAX_PIXELS = 1 << 26  # 67 million: more than any camera used for faces, less than what exhausts a small machine

# A closed list: Pillow also knows formats that start other programs (EPS) or only point to other files.
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file upright, as 8-bit RGB.

    Grey is replicated; 16 bits are scaled by their full range (65535 becomes 255), so 10- or 12-bit values stored in
    16 bits come out dark; CMYK and palettes are converted; transparency is composited over black; the orientation of
    the EXIF data is applied; of an animation or a stack of pages the first is taken.

    Args:
        path: the file.

    Returns:
        (h, w, 3), uint8, contiguous.

    Raises:
        DataError: the file is missing, not readable, empty, truncated, not an image, of fewer than `MIN_SIDE` pixels a
            side, of more than `MAX_PIXELS` in all, or in floating point, which has no defined range.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if min(width, height) < MIN_SIDE:
                raise DataError(f"{path}: {width} x {height} pixels; a face has at least {MIN_SIDE} a side")
            if width * height > MAX_PIXELS:
                raise DataError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS} are read, scale it down")
            return _rgb(ImageOps.exif_transpose(image), path)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path}: not an image; {', '.join(_FORMATS)} are read") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path}: too many pixels; at most {MAX_PIXELS} are read, scale it down") from None
    except PermissionError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # Pillow's decoders raise whatever they stumble over in a damaged file
        raise DataError(f"{path}: cannot be decoded ({' '.join(str(error).split())}); is the copy complete?") from None


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance (ITU-R 601) in three equal channels, (h, w, 3) uint8 in and out; equal channels stay as they are."""
    from PIL import Image

    return _replicated(np.asarray(Image.fromarray(pixels).convert("L")))


def _rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode == "F":
        raise DataError(f"{path}: floating-point pixels have no defined range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{path}: pixels of more than 16 bits; save it with 8 or 16 bits")
        return _replicated(((values + 128) // 257).astype(np.uint8))  # 65535 = 255 * 257; rounds to nearest
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))


def _replicated(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, None], 3, axis=2)
