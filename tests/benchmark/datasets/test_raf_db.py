"""RAF-DB: a list of labels with a misspelt name, images in one of two forms, and nobody identified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.raf_db import RafDbDataset, nferbench_datasets

DATASET = RafDbDataset()
NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
LINES = (*(f"train_{code:05d}.jpg {code}" for code in range(1, 8)), "test_0001.jpg 4")


def draw(path: Path, width: int = 8, height: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (120, 60, 40)).save(path)
    return path


def write(root: Path, *lines: str, emolabel: str = "EmoLabel/", image: str = "Image/") -> Path:
    """A copy with the aligned and the original image of every line."""
    listed = root / f"{emolabel}list_patition_label.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for line in lines:
        stem = line.split(".")[0]
        draw(root / f"{image}aligned/{stem}_aligned.jpg")
        draw(root / f"{image}original/{stem}.jpg", 30, 20)
    return root


def ids(listing: Listing) -> list[str]:
    return [face.id for face in listing.faces]


def reasons(listing: Listing) -> dict[str, str]:
    return {drop.what: drop.reason for drop in listing.dropped}


def test_codes_become_expressions_and_neutral_is_left_out_with_a_count(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, *LINES))
    assert {face.id: face.expression for face in listing.faces} == {
        "test_0001": "happiness",
        **{f"train_{code:05d}": NAMES[code - 1] for code in range(1, 7)},
    }
    assert ids(listing) == sorted(ids(listing))
    assert reasons(listing) == {"train_00007": "neutral faces are not wanted"}


def test_neutral_faces_can_be_had(tmp_path: Path) -> None:
    listing = replace(DATASET, neutral=True).listing(write(tmp_path, *LINES))
    assert {face.expression for face in listing.faces} == set(NAMES)
    assert not listing.dropped


def test_nobody_is_identified_and_no_split_is_fixed(tmp_path: Path) -> None:
    faces = DATASET.listing(write(tmp_path, *LINES)).faces
    assert {(face.subject, face.split, face.modality, face.pair) for face in faces} == {("?", "", "vis", "")}


def test_aligned_images_are_faces_already(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    face = DATASET.listing(tmp_path).faces[1]
    assert face.files == ("Image/aligned/train_00001_aligned.jpg",)
    picture = DATASET.load(face, tmp_path, 32)
    assert picture.cropped and picture.pixels.shape == (8, 8, 3)


def test_original_images_are_photographs_with_a_box(tmp_path: Path) -> None:
    write(tmp_path, "train_00001.jpg 4", "train_00002.jpg 4", "train_00003.jpg 4", "train_00004.jpg 4")
    boxes = tmp_path / "Annotation/boundingbox"
    boxes.mkdir(parents=True)
    (boxes / "train_00001_boundingbox.txt").write_text("5.5 2 25.5 18.25 \n")
    (boxes / "train_00002_boundingbox.txt").write_text("25 2 5 18")
    (boxes / "train_00003_boundingbox.txt").write_text("nan 2 5 18")
    dataset = replace(DATASET, images="original")
    listing = dataset.listing(tmp_path)
    assert ids(listing) == ["train_00001"]
    assert set(reasons(listing).values()) == {"its bounding box is missing or is no box"}
    assert len(listing.dropped) == 3
    face = listing.faces[0]
    assert face.files == ("Image/original/train_00001.jpg",)
    picture = dataset.load(face, tmp_path, 32)
    assert (picture.box, picture.cropped, picture.pixels.shape) == ((5.5, 2.0, 25.5, 18.25), False, (20, 30, 3))


def test_original_images_without_any_boxes_are_listed_with_a_finding(tmp_path: Path) -> None:
    dataset = replace(DATASET, images="original")
    listing = dataset.listing(write(tmp_path, *LINES))
    assert len(listing.faces) == 7 and {face.box for face in listing.faces} == {None}
    assert any("no folder boundingbox" in finding.text for finding in dataset.findings(listing, tmp_path))


def test_the_root_is_found_below_the_data_root(tmp_path: Path) -> None:
    write(tmp_path / "data/raf/RAF-DB/basic", *LINES)
    (face, *_) = DATASET.listing(tmp_path).faces
    assert face.id == "test_0001"
    assert face.files == ("data/raf/RAF-DB/basic/Image/aligned/test_0001_aligned.jpg",)


def test_the_list_may_lie_beside_the_images(tmp_path: Path) -> None:
    assert len(DATASET.listing(write(tmp_path, *LINES, emolabel="", image="")).faces) == 7


def test_the_folder_emolabel_may_be_given_twice_as_some_archives_unpack(tmp_path: Path) -> None:
    assert len(DATASET.listing(write(tmp_path, *LINES, emolabel="EmoLabel/EmoLabel/")).faces) == 7


def test_the_list_of_compound_expressions_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "compound", *(f"train_{code:05d}.jpg {code}" for code in range(1, 12)))
    with pytest.raises(UsageError, match="lists compound expressions; give the basic ones"):
        DATASET.listing(tmp_path)
    write(tmp_path / "zbasic", *LINES)  # a name that comes after "compound"
    assert {face.files[0].split("/")[0] for face in DATASET.listing(tmp_path).faces} == {"zbasic"}


def test_missing_images_are_listed(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    (tmp_path / "Image/aligned/train_00003_aligned.jpg").unlink()
    listing = DATASET.listing(tmp_path)
    assert reasons(listing)["train_00003"] == "listed, but there is no such aligned image"
    assert "train_00003" not in ids(listing)


def test_images_that_the_list_does_not_name_are_told(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    draw(tmp_path / "Image/aligned/train_99999_aligned.jpg")
    (tmp_path / "Image/aligned/Thumbs.db").write_bytes(b"x")
    listing = DATASET.listing(tmp_path)
    assert reasons(listing)["Image/aligned/train_99999_aligned.jpg"] == "not in list_patition_label.txt"
    assert reasons(listing)["Image/aligned/Thumbs.db"] == "left behind by a file manager"
    assert len(listing.faces) == 7


def test_odd_lines_are_told_and_the_others_used(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    odd = ("", "train_00008.jpg", "../../etc/passwd 3", "train_00001.jpg 2", "train_00009.jpg 12")
    text = "\ufeff" + "\r\n".join([*LINES, *odd]) + "\r\n"
    (tmp_path / "EmoLabel/list_patition_label.txt").write_bytes(text.encode())
    draw(tmp_path / "Image/aligned/train_00009_aligned.jpg")
    listing = DATASET.listing(tmp_path)
    assert len(listing.faces) == 7
    told = reasons(listing)
    file = "EmoLabel/list_patition_label.txt"
    assert told[f"{file}, line 10"] == told[f"{file}, line 11"] == "not of the form 'train_00001.jpg 5'"
    assert told[f"{file}, line 12"] == "names an image that is already listed"
    assert told["train_00009"] == "code '12' is none of 1 to 7"
    assert next(face for face in listing.faces if face.id == "train_00001").expression == "surprise"


def test_other_endings_and_lists_that_name_the_aligned_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "train_00001_aligned.jpg 4", "train_00002.jpg 5")
    (tmp_path / "Image/aligned/train_00001_aligned_aligned.jpg").unlink()
    (tmp_path / "Image/aligned/train_00002_aligned.jpg").unlink()
    draw(tmp_path / "Image/aligned/train_00001_aligned.JPG")
    draw(tmp_path / "Image/aligned/train_00002_aligned.png")
    draw(tmp_path / "Image/aligned/train_00002.png")
    listing = DATASET.listing(tmp_path)
    assert ids(listing) == ["train_00001", "train_00002"]
    assert list(reasons(listing).values()) == ["a second file of the same name"]


def test_without_list_images_or_root_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --data-root"):
        DATASET.listing(None)
    with pytest.raises(UsageError, match=r"no list_patition_label\.txt at most 4 folders below"):
        DATASET.listing(tmp_path)
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("")
    with pytest.raises(UsageError, match="has no folder aligned; unpack the images there"):
        DATASET.listing(tmp_path)
    (tmp_path / "Image/aligned").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no face can be used: list_patition_label\.txt is empty"):
        DATASET.listing(tmp_path)


def test_nothing_is_read_from_outside_the_data_root(tmp_path: Path) -> None:
    outside, root = write(tmp_path / "elsewhere", *LINES), tmp_path / "root"
    (root / "Image").mkdir(parents=True)
    (root / "EmoLabel").symlink_to(outside / "EmoLabel")
    with pytest.raises(DataError, match="leaves the data root by a symbolic link"):
        DATASET.listing(root)
    (root / "EmoLabel").unlink()
    write(root, *LINES)
    (root / "Image/aligned").rename(root / "Image/kept")
    (root / "Image/aligned").symlink_to(outside / "Image/aligned")
    with pytest.raises(DataError, match="leaves the data root by a symbolic link"):
        DATASET.listing(root)
    (root / "Image/aligned").unlink()
    (root / "Image/kept").rename(root / "Image/aligned")
    face = DATASET.listing(root).faces[0]
    (root / face.files[0]).unlink()
    (root / face.files[0]).symlink_to(outside / face.files[0])
    assert reasons(DATASET.listing(root))[face.files[0]] == "a link out of the data root"
    with pytest.raises(DataError, match="leaves the data root"):
        DATASET.load(face, root, 32)


def test_a_full_copy_agrees_with_the_published_counts(tmp_path: Path) -> None:
    counts = {"train": (12_271, 5), "test": (3_068, 4)}
    names = [f"{part}_{n:0{digits}d}" for part, (count, digits) in counts.items() for n in range(1, count + 1)]
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "Image/aligned").mkdir(parents=True)
    lines = [f"{name}.jpg {n % 7 + 1}" for n, name in enumerate(names)]
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines))
    for name in names:
        (tmp_path / f"Image/aligned/{name}_aligned.jpg").touch()
    dataset = replace(DATASET, neutral=True)
    texts = [finding.text for finding in dataset.findings(dataset.listing(tmp_path), tmp_path)]
    assert texts == ["no identities: the faces may train, and are never split or tested"]


def test_other_counts_are_told_and_neutral_faces_count_even_where_they_are_not_wanted(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    (tmp_path / "Image/aligned/test_0001_aligned.jpg").unlink()
    found = DATASET.findings(DATASET.listing(tmp_path), tmp_path)
    assert [finding.text for finding in found[1:]] == [
        "7 usable train images of the seven expressions; 12271 are published",
        "0 usable test images of the seven expressions; 3068 are published",
    ]
    assert not any(finding.serious for finding in found)


def test_a_class_without_faces_is_serious(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, *(line for line in LINES if not line.endswith(" 3"))))
    serious = [finding.text for finding in DATASET.findings(listing, tmp_path) if finding.serious]
    assert serious == ["no face shows disgust"]


def test_it_is_registered_without_an_extra_set() -> None:
    (dataset,) = nferbench_datasets()
    assert (dataset.name, dataset.title, dataset.default_extra) == ("raf-db", "RAF-DB", None)


def test_an_aligned_image_comes_back_as_it_is_stored(tmp_path: Path) -> None:
    write(tmp_path, "train_00001.jpg 4")
    file = tmp_path / "Image/aligned/train_00001_aligned.jpg"
    pixels = DATASET.load(DATASET.listing(tmp_path).faces[0], tmp_path, 32).pixels
    assert np.array_equal(pixels, np.asarray(Image.open(file)))


def test_what_zip_files_of_macos_add_is_not_taken_for_the_images_or_the_list(tmp_path: Path) -> None:
    write(tmp_path, *LINES, image="image/")
    (tmp_path / "__MACOSX/aligned").mkdir(parents=True)
    (tmp_path / "__MACOSX/aligned/._train_00001_aligned.jpg").write_bytes(b"x")
    (tmp_path / "__MACOSX/list_patition_label.txt").write_text("train_00001.jpg 1")
    (tmp_path / "EmoLabel").rename(tmp_path / "emolabel")
    assert {face.files[0].split("/")[0] for face in DATASET.listing(tmp_path).faces} == {"image"}
    assert len(DATASET.listing(tmp_path).faces) == 7
