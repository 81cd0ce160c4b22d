"""Reading image files: every common kind decodes as expected, everything else is refused in one line."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.errors import DataError
from nferbench.datasets import images
from nferbench.datasets.images import luminance, read_image, values_of


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.fixture
def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm", ".PNG"])
def test_lossless_files_decode_exactly(tmp_path: Path, photo: Image.Image, suffix: str) -> None:
    photo.save(tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}")
    assert read.dtype == np.uint8 and read.flags.c_contiguous and read.flags.writeable
    np.testing.assert_array_equal(read, np.asarray(photo))


def test_grey_and_bilevel_are_replicated(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=2))
    Image.fromarray(grey).convert("1", dither=Image.Dither.NONE).save(tmp_path / "bilevel.png")
    assert set(np.unique(read_image(tmp_path / "bilevel.png"))) == {0, 255}


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_sixteen_bits_are_scaled_by_their_full_range(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257], [32768, 65406, 65407, 65535]] * 2, dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    expected = np.round(values / 65535 * 255).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), np.stack([expected] * 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_levels_become_black_and_white_and_the_rest_is_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 999, 1000, 1008, 1009], [2000, 2999, 3000, 3001, 65535]] * 2, dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}", (1000, 3000))
    assert read[:2, :, 0].tolist() == [[0, 0, 0, 1, 1], [128, 255, 255, 255, 255]]


def test_levels_leave_eight_bits_alone(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", (0, 4095)), np.asarray(photo))
    assert values_of(tmp_path / "a.png") is None


def png(path: Path, values: np.ndarray, colour: int, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG file of 8 or 16 bits, made by hand: Pillow writes no colours of 16 bits, and no damaged chunks."""
    depth = 8 * values.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")):
        whole += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(whole)
    return path


def test_colours_of_sixteen_bits_keep_all_that_their_levels_show(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (6, 7, 3), dtype=np.uint16)
    file = png(tmp_path / "a.png", values, 2)
    np.testing.assert_array_equal(read_image(file, (0, 4095)), np.round(values / 4095 * 255))
    np.testing.assert_array_equal(read_image(file), values >> 8)  # at the full range, what Pillow makes of it
    found = values_of(file)
    assert found is not None and found.top == values.max()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tiff")
    assert tuple(read_image(tmp_path / "a.tiff")[0, 0]) == (255, 0, 0)


def test_transparency_is_composited_over_black(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (200, 100, 50, 128)).save(tmp_path / "rgba.png")
    np.testing.assert_allclose(read_image(tmp_path / "rgba.png")[0, 0], (100, 50, 25), atol=1)
    Image.new("LA", (8, 8), (200, 0)).save(tmp_path / "la.png")
    assert read_image(tmp_path / "la.png").max() == 0


def test_palettes_become_colours_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 250, 120, 10])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert tuple(read_image(tmp_path / "opaque.png")[0, 0]) == (250, 120, 10)
    assert tuple(read_image(tmp_path / "clear.png")[0, 0]) == (0, 0, 0)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20))
    image.paste((255, 255, 255), (0, 0, 15, 20))  # bright on the left as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left becomes top
    image.save(tmp_path / "a.jpg", exif=exif)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (30, 20, 3)
    assert read[:10].mean() > 240 and read[20:].mean() < 15


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tiff", ".webp"])
def test_the_first_frame_of_several_is_taken(tmp_path: Path, suffix: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 255, 255)), Image.new("RGB", (8, 8))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    assert read_image(tmp_path / f"a{suffix}").min() > 250


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.png")
    assert "no such file" in refusal(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "is empty" in refusal(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("this is no image")
    assert "not an image; JPEG, PNG" in refusal(tmp_path / "text.png")


def test_formats_that_start_other_programs_are_refused(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.eps")
    assert "not an image" in refusal(tmp_path / "a.eps")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, photo: Image.Image, kind: str, part: float) -> None:
    whole = io.BytesIO()
    photo.save(whole, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * part)])
    refusal(path)


def test_files_of_too_many_pixels_are_refused_before_decoding(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo.save(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 599)
    assert "30 x 20 pixels; at most 599" in refusal(tmp_path / "a.png")


def test_a_header_that_claims_a_huge_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.ppm").write_bytes(b"P6 60000 60000 255\n" + b"\0" * 64)
    assert "pixels; at most" in refusal(tmp_path / "bomb.ppm")


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_more_pixels_than_a_photograph_of_its_bytes_are_refused_before_decoding(
    tmp_path: Path, colour: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = png(tmp_path / "bomb.png", np.full((2100, 2100, channels), 128, np.uint8), colour)
    assert bomb.stat().st_size < 30_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    said = refusal(bomb)
    assert "2100 x 2100 pixels in" in said and "at most 4194304 are read of a file with fewer bytes than one" in said


def test_a_large_photograph_is_read(tmp_path: Path) -> None:
    photo = Image.effect_noise((2100, 2100), 40)
    photo.save(tmp_path / "a.jpg", quality=5)
    assert read_image(tmp_path / "a.jpg").shape == (2100, 2100, 3)


def test_a_profile_or_a_text_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    grey, much = np.full((8, 8), 90, np.uint8), zlib.compress(bytes(1 << 26))
    for number, chunk in enumerate([(b"iCCP", b"x\0\0" + much), (b"zTXt", b"x\0\0" + much)]):
        assert "cannot be decoded" in refusal(png(tmp_path / f"{number}.png", grey, 0, chunk))


def test_pictures_of_many_rows_are_converted_as_those_of_few(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (images._ROWS + 9, 5, 4), dtype=np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    whole = read_image(tmp_path / "a.png")
    for top in range(0, len(pixels), 4):
        rows = pixels[max(0, min(top, len(pixels) - 4)) :][:4]
        Image.fromarray(rows, "RGBA").save(tmp_path / "b.png")
        first = max(0, min(top, len(pixels) - 4))
        np.testing.assert_array_equal(whole[first : first + 4], read_image(tmp_path / "b.png")[:, :5])


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3)])
def test_pictures_too_small_to_show_anything_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 90, 90)).save(tmp_path / "a.png")
    assert f"{size[0]} x {size[1]} pixels; a face has at least 4" in refusal(tmp_path / "a.png")


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tiff")
    assert "floating-point" in refusal(tmp_path / "a.tiff")


def test_more_than_sixteen_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 1 << 20, np.int32)).save(tmp_path / "a.tiff")
    assert "more than 16 bits" in refusal(tmp_path / "a.tiff")


def test_luminance_keeps_grey_and_weighs_colours() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    np.testing.assert_array_equal(luminance(grey), grey)
    green = np.zeros((2, 2, 3), np.uint8)
    green[..., 1] = 200
    assert (luminance(green) == round(0.587 * 200)).all()
