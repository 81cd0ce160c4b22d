"""Images of whom nothing is known, and the VIS faces of a set alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.photographs import Photographs
from nferbench.datasets.visible import VisibleFaces


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (120, 60, 40)).save(path)
    return path


def test_all_images_below_a_folder_are_faces_of_nobody(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", "a/deep/er/d.tif"):
        image(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("x")
    listing = Photographs(path=str(tmp_path)).listing(None)
    assert [face.id for face in listing.faces] == ["a/c.png", "a/deep/er/d.tif", "b.JPG"]
    assert {(face.subject, face.modality, face.pair) for face in listing.faces} == {("?", "vis", "")}
    assert [drop.what for drop in listing.dropped] == ["a/notes.txt"]


def test_one_file_is_one_face_whatever_lies_beside_it(tmp_path: Path) -> None:
    image(tmp_path / "other.png")
    photographs = Photographs(path=str(image(tmp_path / "one.png")))
    (face,) = photographs.listing(None).faces
    assert face.id == "one.png"
    np.testing.assert_array_equal(photographs.load(face, None, 4).pixels[0, 0], (120, 60, 40))


def test_nothing_there_or_no_image_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist; name an image, a folder of images or a manifest"):
        Photographs(path=str(tmp_path / "nowhere")).listing(None)
    with pytest.raises(DataError, match="holds no image: it is empty"):
        Photographs(path=str(tmp_path)).listing(None)


def test_a_vis_face_stays_without_its_partner(tmp_path: Path) -> None:
    for name in ("vis/P1/Happy/0.png", "nir/P1/Happy/0.png"):
        image(tmp_path / name)
    faces = VisibleFaces(FolderDataset(path=str(tmp_path))).listing(None).faces
    assert [(face.id, face.pair, face.subject) for face in faces] == [("vis/P1/Happy/0.png", "", "P1")]
    (tmp_path / "only").mkdir()
    image(tmp_path / "only" / "nir/P1/Happy/0.png")
    with pytest.raises(DataError, match="has no VIS face"):
        VisibleFaces(FolderDataset(path=str(tmp_path / "only"))).listing(None)
