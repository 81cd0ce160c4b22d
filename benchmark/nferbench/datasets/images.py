"""Reading image files of any common kind as 8-bit RGB, and refusing what is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nferbench.contract.errors import DataError
from nferbench.datasets.levels import FULL, Range, Values

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image
    from PIL.ImageFile import ImageFile

SUFFIXES = frozenset({".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MIN_SIDE = 4  # pixels; smaller pictures stand in for something that is missing, such as 1 x 1
MAX_PIXELS = 1 << 26  # 67 million: more than any camera used for faces, less than what exhausts a small machine
# Above so many pixels a file must hold a byte for every hundred. A JPEG of one flat colour has one for 73, and a file
# that was made to fill the memory one for about 250 to 8,000.
PLAIN_PIXELS = 1 << 22
PIXELS_A_BYTE = 100

# A closed list: Pillow also knows formats that start other programs (EPS) or only point to other files.
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")
_ROWS = 256  # converted at a time, so that a large picture is in memory once and not five times
_STEP = 2  # every so many pixels are looked at for the range that values keep to

# Of colours of 16 bits Pillow keeps the upper bytes. Read in the wrong byte order, it keeps the lower ones.
_SWAPPED = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B"}
_SWAPPED["RGB;16N"] = "RGB;16B" if sys.byteorder == "little" else "RGB;16L"
_PNG, _TIFF, _GREY_MAP = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), (b"P2", b"P5")
_JPEG2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")


def read_image(path: Path, levels: Range = FULL) -> NDArray[np.uint8]:
    """Decode an image file upright, as 8-bit RGB.

    Grey is replicated; CMYK and palettes are converted; transparency is composited over black; the orientation of the
    EXIF data is applied; of an animation or a stack of pages the first is taken.

    Args:
        path: the file.
        levels: which values become 0 and 255 in a file of more than 8 bits; what lies outside is clipped.

    Returns:
        (h, w, 3), uint8, contiguous.

    Raises:
        DataError: the file is missing, not readable, empty, truncated, not an image, of fewer than `MIN_SIDE` pixels a
            side, of more than `MAX_PIXELS` in all, of more than `PLAIN_PIXELS` with fewer bytes than one for
            `PIXELS_A_BYTE` of them, or in floating point, which has no defined range.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        # At its full range a colour image is what Pillow makes of it.
        deep = _deep(image, path) if image.mode[0] in "IF" or levels != FULL else None
        return _rgb(image) if deep is None else _scaled(deep, levels)


def read_plain_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file that leaves nothing to choose, upright, as 8-bit RGB; grey is replicated.

    Returns:
        (h, w, 3), uint8, contiguous.

    Raises:
        DataError: as `read_image`; or it has more than 8 bits, a pixel that is not opaque, or several pages.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise DataError(f"{path}: {pages} pages; save the one that is meant by itself")
        if _is_deep(image, path):
            raise DataError(f"{path}: more than 8 bits; save it with 8, on the scale of the others")
        ImageOps.exif_transpose(image, in_place=True)
        if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            raise DataError(f"{path}: transparent pixels; save it without transparency")
        return _rgb(image)


def values_of(path: Path) -> Values | None:
    """What values a file holds that has more than 8 bits; None for any other, which is not decoded.

    Raises:
        DataError: as `read_image`.
    """
    from PIL import ImageOps

    try:
        with path.open("rb") as file:
            start = file.read(26)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not ((start.startswith(_PNG) and start[24:25] == b"\x10") or start.startswith((*_TIFF, *_GREY_MAP, *_JPEG2000))):
        return None
    with _opened(path) as image:
        white = _named_white(image)
        ImageOps.exif_transpose(image, in_place=True)
        deep = _deep(image, path)
        if deep is None:
            return None
        low, high = np.percentile(deep[::_STEP, ::_STEP], (1, 99))
        return Values(int(low), int(high), white or int(deep.max()))


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance (ITU-R 601) in three equal channels, (h, w, 3) uint8 in and out; equal channels stay as they are."""
    from PIL import Image

    return _replicated(np.asarray(Image.fromarray(pixels).convert("L")))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """An image whose pixels are yet to be decoded; whatever is wrong with it, then or now, is a `DataError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        size = path.stat().st_size
        if size == 0:
            raise DataError(f"{path}: the file is empty")
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if min(width, height) < MIN_SIDE:
                raise DataError(f"{path}: {width} x {height} pixels; a face has at least {MIN_SIDE} a side")
            if width * height > MAX_PIXELS:
                raise DataError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS} are read, scale it down")
            if width * height > max(PLAIN_PIXELS, size * PIXELS_A_BYTE):
                raise DataError(
                    f"{path}: {width} x {height} pixels in {size} bytes, which no photograph is; at most "
                    f"{PLAIN_PIXELS} are read of a file with fewer bytes than one for {PIXELS_A_BYTE} pixels"
                )
            yield image
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


def _named_white(image: ImageFile) -> int | None:
    """The white that a file itself names, before it is decoded; None where only its values tell."""
    if image.format == "JPEG2000" or (image.format == "PPM" and image.tile[0][0] != "raw"):
        return 65535  # Pillow has stretched what was named
    bits = getattr(image, "tag_v2", {}).get(258, ())  # BitsPerSample
    return 4095 if bits == (12,) else None


def _is_deep(image: ImageFile, path: Path) -> bool:
    """Whether an image has more than 8 bits, told by its header; Pillow may have shortened its pixels to 8."""
    if image.mode[0] in "IF":
        return True
    if image.format == "PNG":
        with path.open("rb") as file:
            return bool(file.read(25)[24:] == b"\x10")
    bits = getattr(image, "tag_v2", {}).get(258, (8,))  # BitsPerSample
    return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)


def _deep(image: Image.Image, path: Path) -> NDArray[Any] | None:
    """The values of an image of more than 8 bits, (h, w) or (h, w, 3); None for any other.

    With transparency the upper 8 bits are all there is: nobody saves faces so, and Pillow has no more.
    """
    if image.mode == "F":
        raise DataError(f"{path}: floating-point pixels have no defined range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{path}: pixels of more than 16 bits; save it with 8 or 16 bits")
        return values
    low = _lower_bytes(path)
    return None if low is None else np.asarray(image).astype(np.uint16) << 8 | low


def _lower_bytes(path: Path) -> NDArray[np.uint8] | None:
    """The lower bytes of a colour image of 16 bits, (h, w, 3); None for any other."""
    from PIL import Image, ImageOps

    with Image.open(path, formats=_FORMATS) as image:
        tiles = []
        for codec, box, offset, args in image.tile:
            mode, *rest = (args,) if isinstance(args, str) else args or ("",)
            if mode not in _SWAPPED:
                return None
            swapped = (_SWAPPED[mode], *rest) if rest else _SWAPPED[mode]
            tiles.append(type(image.tile[0])(codec, box, offset, swapped))
        if not tiles:
            return None
        image.tile = tiles
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)


def _scaled(values: NDArray[Any], levels: Range) -> NDArray[np.uint8]:
    """Values (h, w) or (h, w, 3) as 8-bit RGB: `levels` become 0 and 255, what is between is rounded to nearest."""
    black, white = levels
    out = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), _ROWS):
        span = white - black
        part = np.clip(values[top : top + _ROWS].astype(np.int64) - black, 0, span)
        part = (part * 510 + span) // (2 * span)
        out[top : top + _ROWS] = part if part.ndim == 3 else part[:, :, None]
    return out


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    from PIL import Image

    width, height = image.size
    clear = image.has_transparency_data
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        part = image.crop((0, top, width, min(top + _ROWS, height)))
        if clear:
            part = part.convert("RGBA")
            part = Image.alpha_composite(Image.new("RGBA", part.size, (0, 0, 0, 255)), part)
        out[top : top + _ROWS] = np.asarray(part.convert("RGB"))
    return out


def _replicated(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, None], 3, axis=2)
