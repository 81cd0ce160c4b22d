"""A folder of pictures: pixel-true, written once, never over anything else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.errors import UsageError
from nferbench.engine.pictures import Picture, write_pictures

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
PICTURES = [Picture(name, IMAGES, row) for row, name in enumerate(("a.png", "b/c.png", "b/d.png"))]
TABLE = [{"file": each.file, "id": "=1+1"} for each in PICTURES]


def test_pictures_are_pixel_true_and_found_again(tmp_path: Path) -> None:
    assert write_pictures(tmp_path / "out", PICTURES, TABLE) == 3
    for each in PICTURES:
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / each.file)), IMAGES[each.row])
    with (tmp_path / "out" / "faces.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["'=1+1"] * 3  # no formula
    (tmp_path / "out" / "b" / "d.png").unlink()
    assert write_pictures(tmp_path / "out", PICTURES, TABLE) == 1
    assert write_pictures(tmp_path / "out", PICTURES, TABLE) == 0


def test_the_same_pixels_in_another_encoding_are_there_already(tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png", compress_level=1)
    before = (tmp_path / "a.png").read_bytes()
    assert write_pictures(tmp_path, PICTURES, TABLE) == 2
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("name", ["a.png", "b/d.png", "faces.csv"])
@pytest.mark.parametrize("content", [b"", b"mine", None])
def test_nothing_is_written_where_a_file_has_other_content(tmp_path: Path, name: str, content: bytes | None) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    if content is None:
        Image.fromarray(255 - IMAGES[0]).save(place, "PNG")
    else:
        place.write_bytes(content)
    before = place.read_bytes()
    with pytest.raises(UsageError, match="is there with other content; move it away, or choose another folder"):
        write_pictures(tmp_path, PICTURES, TABLE)
    assert place.read_bytes() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place]


def test_a_file_where_a_folder_is_due_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written"):
        write_pictures(tmp_path / "out", PICTURES, TABLE)
    assert (tmp_path / "out").read_text() == "mine"
