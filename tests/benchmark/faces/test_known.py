"""Who is known of images: by the file, by the pixels once prepared, by the name, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.datasets.manifest import dataset_from_path
from nferbench.datasets.photographs import Photographs
from nferbench.faces.known import Known, known_people
from nferbench.faces.prepare import prepare
from nferbench.faces.sources import read_sources


def photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def manifest(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    lines = [f"{file},vis,{subject},happy,{box}" for file, subject, box in rows]
    (folder / "manifest.csv").write_text("\n".join(["path,modality,subject,expression,box", *lines]) + "\n")
    return folder


def prepared(path: Path, out: Path) -> Path:
    dataset = dataset_from_path(path) if (path / "manifest.csv").is_file() else Photographs(path=str(path))
    prepare(dataset, dataset.base(None), 8, "given", out, lambda done, total: None)
    return out


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for number in range(3):
        photo(tmp_path / "set" / f"{number}.png", number)
    rows = [("0.png", "P0", ""), ("1.png", "P 1", "2 3 12 13"), ("2.png", "?", "")]
    return prepared(manifest(tmp_path / "set", rows), tmp_path / "set-faces")


def test_a_copy_is_known_by_its_file_however_it_is_cropped(dataset: Path, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "x.png", 0)
    photo(tmp_path / "in" / "sub" / "y.png", 1)  # cut by a box in the data set
    photo(tmp_path / "in" / "z.png", 2)
    photo(tmp_path / "in" / "0.png", 7)  # the name of a file, not the file
    known = known_people(prepared(tmp_path / "in", tmp_path / "out"), dataset)
    assert known == {
        "x.png": (Known("P0", "file"), Known("P0", "picture")),
        "sub/y.png": (Known("P 1", "file"),),
        "z.png": (Known("?", "file"), Known("?", "picture")),
    }


def test_the_same_pixels_in_another_file_are_the_same_picture(dataset: Path, tmp_path: Path) -> None:
    Image.open(photo(tmp_path / "a.png", 0)).save(tmp_path / "one.bmp")
    (tmp_path / "in").mkdir()
    (tmp_path / "one.bmp").rename(tmp_path / "in" / "one.bmp")
    known = known_people(prepared(tmp_path / "in", tmp_path / "out"), dataset)
    assert known == {"one.bmp": (Known("P0", "picture"),)}


def test_names_are_known_by_how_they_look_and_question_marks_are_nobody(dataset: Path, tmp_path: Path) -> None:
    for number in range(4):
        photo(tmp_path / "in" / f"{number}.png", 10 + number)
    names = ("P\u00a01", "?", "P00", "P0")
    manifest(tmp_path / "in", [(f"{number}.png", name, "") for number, name in enumerate(names)])
    known = known_people(prepared(tmp_path / "in", tmp_path / "out"), dataset)
    assert known == {"0.png": (Known("P 1", "name"),), "3.png": (Known("P0", "name"),)}


def test_faces_of_earlier_versions_are_known_by_their_pixels(dataset: Path, tmp_path: Path) -> None:
    (dataset / "sources.csv").unlink()
    assert read_sources(dataset) == {}
    photo(tmp_path / "in" / "x.png", 0)
    known = known_people(prepared(tmp_path / "in", tmp_path / "out"), dataset)
    assert known == {"x.png": (Known("P0", "picture"),)}


def test_the_square_of_each_face_is_kept(dataset: Path) -> None:
    squares = {name: source.square for name, source in read_sources(dataset).items()}
    assert (squares["1.png"].left, squares["1.png"].top, squares["1.png"].side) == (2, 3, 10)
    assert (squares["0.png"].left, squares["0.png"].top, squares["0.png"].side) == (0, 2, 20)
