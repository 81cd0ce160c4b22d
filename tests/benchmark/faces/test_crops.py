"""Crop recipes, and cutting squares out of pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from nferbench.contract.dataset import Picture
from nferbench.contract.errors import DataError
from nferbench.faces.crops import CROPS, box68, given
from nferbench.faces.geometry import Square, cut, moved
from nferbench.faces.mean_face import MEAN_FACE

SIDE, CENTRE = 120.0, np.array([150.0, 140.0])


def picture(angle: float = 0.0, landmarks: int = 68, seed: int = 0) -> Picture:
    """A smooth picture whose landmarks are the mean face, turned clockwise by `angle` degrees about `CENTRE`."""
    y, x = np.mgrid[:280, :300]
    pixels = np.stack([128 + 100 * np.sin(x / 25 + i) * np.cos(y / 30) for i in range(3)], -1).astype(np.uint8)
    points = (MEAN_FACE - 0.5) * SIDE
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    points = points @ np.array([[c, s], [-s, c]]) + CENTRE - 0.5
    return Picture(pixels, points[:landmarks].astype(np.float32), (100, 80, 200, 210))


def gradient(height: int, width: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row, blue is constant."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 77)], axis=2).astype(np.uint8)


def test_without_box_and_landmarks_the_middle_square_is_taken() -> None:
    wide = Picture(gradient(10, 20))
    crop = cut(wide.pixels, given(wide), 10)
    np.testing.assert_array_equal(crop, wide.pixels[:, 5:15])


def test_a_given_box_is_cut_exactly_and_made_square_by_its_longer_side() -> None:
    pixels = gradient(40, 60)
    square = given(Picture(pixels, box=(10, 5, 26, 21)))
    np.testing.assert_array_equal(cut(pixels, square, 16), pixels[5:21, 10:26])
    assert given(Picture(pixels, box=(10, 5, 30, 15))) == Square(10, 0, 20)


def test_the_square_of_landmarks_has_its_margin_and_lies_higher() -> None:
    points = np.array([[10, 20], [49, 20], [30, 39], [np.nan, np.nan]], np.float32)
    square = box68(points)
    assert square.side == pytest.approx(39 * 1.3)
    assert square.left + square.side / 2 == pytest.approx(30)  # edges: the mean of 10 and 49, plus half a pixel
    assert square.top + square.side / 2 == pytest.approx(30 - 0.08 * 39 * 1.3)


def test_a_crop_beyond_the_picture_repeats_its_edge() -> None:
    pixels = gradient(20, 20)
    crop = cut(pixels, Square(-5, -5, 20), 20)
    np.testing.assert_array_equal(crop[5:, 5:], pixels[:15, :15])
    np.testing.assert_array_equal(crop[:5, 5:, 0], np.broadcast_to(pixels[0, :15, 0], (5, 15)))
    assert crop[:6, :6, :2].max() == 0


def test_scaling_keeps_constants_and_does_not_alias() -> None:
    flat = np.full((37, 37, 3), 93, np.uint8)
    for size in (8, 37, 64):
        assert (cut(flat, Square(0, 0, 37), size) == 93).all()
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = cut(np.stack([checks] * 3, axis=2), Square(0, 0, 64), 16)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 3


@pytest.mark.parametrize("size", [13, 40, 80])
def test_landmarks_move_with_the_pixels(size: int) -> None:
    square = Square(10, 5, 40)
    y, x = np.mgrid[:60, :60]
    point = np.array([[27.0, 31.0]], np.float32)
    blob = 255 * np.exp(-((x - point[0, 0]) ** 2 + (y - point[0, 1]) ** 2) / (2 * 4.0**2))
    pixels = np.repeat(blob.astype(np.uint8)[:, :, None], 3, axis=2)
    crop = cut(pixels, square, size)[:, :, 0].astype(float)
    rows, columns = np.indices(crop.shape)
    centroid = [(crop * columns).sum() / crop.sum(), (crop * rows).sum() / crop.sum()]
    np.testing.assert_allclose(moved(point, square, size)[0], centroid, atol=0.05 * size / 40 + 0.02)


@pytest.mark.parametrize("crop", ["eyes", "template"])
@pytest.mark.parametrize("angle", [-25.0, 0.0, 10.0])
def test_a_tilted_face_comes_out_upright_and_its_landmarks_with_it(crop: str, angle: float) -> None:
    tilted = picture(angle)
    square = CROPS[crop](tilted)
    assert tilted.landmarks is not None
    assert math.degrees(square.angle) == pytest.approx(angle, abs=0.05)
    points = moved(tilted.landmarks, square, 100)
    assert abs(points[36:42, 1].mean() - points[42:48, 1].mean()) < 0.05  # level eyes
    straight = picture()
    assert straight.landmarks is not None
    assert np.allclose(points, moved(straight.landmarks, CROPS[crop](straight), 100), atol=0.05)


def test_the_template_puts_the_mean_face_on_itself() -> None:
    tilted = picture(17)
    assert tilted.landmarks is not None
    points = moved(tilted.landmarks, CROPS["template"](tilted), 256)
    assert np.allclose((points + 0.5) / 256, MEAN_FACE, atol=1e-3)


def test_the_template_registers_two_pictures_of_one_face() -> None:
    rng = np.random.default_rng(0)
    one, other = picture(5), picture(-12)
    for each in (one, other):
        assert each.landmarks is not None
        each.landmarks[:] += rng.normal(0, 0.3, each.landmarks.shape)
    a, b = (moved(each.landmarks, CROPS["template"](each), 100) for each in (one, other))  # type: ignore[arg-type]
    assert np.abs(a - b).mean() < 0.5
    assert np.abs(one.landmarks - other.landmarks).mean() > 5  # type: ignore[operator]


def test_pixels_turn_as_landmarks_do() -> None:
    """A bright dot at a landmark is found where `moved` says it goes."""
    tilted = picture(20)
    pixels = np.zeros_like(tilted.pixels)
    assert tilted.landmarks is not None
    x, y = np.round(tilted.landmarks[30]).astype(int)
    pixels[y - 1 : y + 2, x - 1 : x + 2] = 255
    square = CROPS["template"](tilted)
    crop = cut(pixels, square, 120).astype(float)[..., 0]
    rows, columns = np.mgrid[:120, :120]
    found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    assert np.allclose(found, moved(np.array([[x, y]], np.float32), square, 120)[0], atol=0.3)


@pytest.mark.parametrize(("side", "size"), [(60.0, 150), (61.3, 200), (120.0, 40), (120.0, 120)])
def test_a_turn_by_next_to_nothing_changes_nothing(side: float, size: int) -> None:
    pixels = picture().pixels
    straight, turned = (cut(pixels, Square(40.25, 30.5, side, angle), size).astype(int) for angle in (0.0, 1e-7))
    assert np.abs(straight - turned).max() <= 2  # Pillow rounds down while turning


def test_a_turned_crop_that_shrinks_does_not_alias() -> None:
    pixels = np.where((np.indices((240, 240)).sum(axis=0) % 2)[..., None], 255, 0).astype(np.uint8).repeat(3, -1)
    crop = cut(pixels, Square(40, 40, 150, 0.4), 30)
    assert 120 < crop.mean() < 135 and crop.std() < 12  # a fine chessboard is grey from afar


def test_a_turned_square_keeps_constants_beyond_the_picture() -> None:
    pixels = np.full((50, 50, 3), 77, np.uint8)
    assert (cut(pixels, Square(-15, 5, 55, 0.6), 32) == 77).all()


def test_missing_landmarks_do_not_count() -> None:
    whole, holed = picture(8), picture(8)
    assert holed.landmarks is not None
    holed.landmarks[[3, 40, 60]] = np.nan
    for crop in ("eyes", "template"):
        assert CROPS[crop](holed).side == pytest.approx(CROPS[crop](whole).side, rel=0.02)
    holed.landmarks[36:42] = np.nan
    with pytest.raises(DataError, match="landmarks of both eyes"):
        CROPS["eyes"](holed)
    holed.landmarks[1:] = np.nan
    with pytest.raises(DataError, match="at least two landmarks"):
        CROPS["template"](holed)


def test_the_loose_square_has_the_geometry_of_its_package() -> None:
    # A box of 100 x 130 at (100, 80): scale 230/195, side 200 times that, centre raised by 12 % of the height.
    square = CROPS["fan"](picture())
    assert square.side == pytest.approx(200 * 230 / 195)
    assert square.centre == pytest.approx((150, 145 - 0.12 * 130))


@pytest.mark.parametrize("crop", ["eyes", "template"])
def test_other_landmarks_are_refused(crop: str) -> None:
    with pytest.raises(DataError, match=f"crop '{crop}' needs 68 landmarks, and this picture has 5"):
        CROPS[crop](picture(landmarks=5))


def test_a_crop_that_needs_what_is_not_there_says_so() -> None:
    bare = Picture(picture().pixels)
    with pytest.raises(DataError, match="'fan' needs a box"):
        CROPS["fan"](bare)
    with pytest.raises(DataError, match="'box68' needs landmarks"):
        CROPS["box68"](bare)
