"""Images by others are read where nothing is ambiguous, and refused with the reason elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nferbench.contract import pixels
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.given import eight_bits, grey, image_files, read_given

GREY = np.random.default_rng(0).integers(0, 256, (9, 8), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (9, 8, 3), np.uint8)
CLEAR = np.dstack([COLOUR, np.full((9, 8, 1), 255, np.uint8)])


def saved(path: Path, image: np.ndarray, **more: object) -> Path:
    Image.fromarray(image).save(path, **more)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.tiff"])
def test_files_of_8_bits_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    assert (read_given(saved(tmp_path / name, COLOUR)) == COLOUR).all()
    assert (read_given(saved(tmp_path / name, GREY)) == GREY[..., None]).all()
    assert (read_given(saved(tmp_path / "opaque.png", CLEAR)) == COLOUR).all()


@pytest.mark.parametrize(
    ("array", "levels"),
    [
        (GREY, GREY[..., None]),
        (GREY[..., None], GREY[..., None]),
        (COLOUR, COLOUR),
        ((COLOUR / 127.5 - 1).astype(np.float32), COLOUR),
        (COLOUR / 127.5 - 1, COLOUR),
        (np.asfortranarray(GREY / 127.5 - 1), GREY[..., None]),
    ],
)
def test_arrays_are_read_in_8_bits_or_in_minus_one_to_one(
    tmp_path: Path, array: np.ndarray, levels: np.ndarray
) -> None:
    np.save(tmp_path / "a.npy", array)
    image = read_given(tmp_path / "a.npy")
    assert image.shape == (9, 8, 3) and image.flags.c_contiguous
    assert (eight_bits(image) == levels).all()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (COLOUR / 255, r"values in 0 to 1, which may be meant in \[0, 1\] or in \[-1, 1\]; save it as uint8"),
        (COLOUR / 265 - 0.05, "may be meant"),  # a network that undershoots
        (COLOUR.astype(float), r"values in 0 to 255; floating point in \[-1, 1\], or uint8, is due"),
        (np.full((9, 8), np.nan), "values in nan to nan"),
        (COLOUR.astype(np.int64), "values of type int64; uint8, or floating point"),
        (GREY.astype(np.uint16), "values of type uint16"),
        (GREY > 3, "values of type bool"),
        (np.moveaxis(COLOUR, 2, 0), "an array of shape 3x9x8; height x width"),
        (CLEAR, "an array of shape 9x8x4"),
        (GREY[0], "an array of shape 8"),
        (GREY[:2], "2x8 pixels; at least 4 a side"),
        (np.array([None]), "not an .npy file"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, told: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=told):
        read_given(tmp_path / "a.npy")


def deep(path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)


def deep_colours(path: Path) -> None:
    from skimage.io import imsave

    imsave(path, COLOUR.astype(np.uint16) * 257, check_contrast=False)


def transparent(path: Path) -> None:
    saved(path, np.dstack([COLOUR, GREY[..., None]]))


def one_colour_clear(path: Path) -> None:
    Image.fromarray(GREY).convert("P").save(path, transparency=int(GREY[0, 0]))


def pages(path: Path) -> None:
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(GREY)])


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("a.png", deep, "more than 8 bits"),
        ("a.tif", deep, "more than 8 bits"),
        ("a.tif", deep_colours, "more than 8 bits"),
        ("a.png", transparent, "transparent pixels; save it without transparency"),
        ("a.tif", transparent, "transparent pixels"),
        ("a.png", one_colour_clear, "transparent pixels"),
        ("a.tif", pages, "2 pages; save the one that is meant by itself"),
        ("a.tif", lambda path: Image.fromarray(GREY / np.float32(255)).save(path), "more than 8 bits"),
        ("a.png", lambda path: path.write_bytes(b""), "the file is empty"),
        ("a.png", lambda path: path.write_text("<html>"), "not an image"),
        ("a.npy", lambda path: path.write_text("<html>"), "not an .npy file"),
        ("a.npy", lambda path: path.write_bytes(b""), "not an .npy file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, write: Callable[[Path], object], told: str) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=told):
        read_given(tmp_path / name)


@pytest.mark.parametrize("image", [COLOUR, (COLOUR / np.float32(127.5) - 1).astype(np.float32)])
def test_colours_become_grey_as_the_output_of_a_translator_does(image: np.ndarray) -> None:
    floating = torch.from_numpy(COLOUR / np.float32(127.5) - 1).permute(2, 0, 1)[None].float()
    expected = pixels.to_uint8(pixels.grey(floating))[0].numpy()
    assert (eight_bits(grey(image)) == expected).all()


def test_folders_are_searched_for_what_is_read(tmp_path: Path) -> None:
    for name in ("b.png", "a/x.JPEG", "a/y.npy", "a/faces.csv", ".hidden.png", "__MACOSX/z.png", "a/w.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert image_files(tmp_path) == ["a/x.JPEG", "a/y.npy", "b.png"]
    with pytest.raises(UsageError, match="is no folder; name one that holds images"):
        image_files(tmp_path / "b.png")
