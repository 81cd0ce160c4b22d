"""Oulu-CASIA: where a copy lies, what its names may look like, and how its files are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oulu_tree import NAMES, build, small, texts
from PIL import Image

from nferbench.contract.dataset import EXPRESSIONS, Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import replaced
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.manifest import ManifestDataset
from nferbench.datasets.oulu_casia import OuluCasia, nferbench_datasets
from nferbench.datasets.pairing import by_pair

OULU = OuluCasia()


# Where the copy lies


@pytest.mark.parametrize(
    ("place", "suffix"),
    [
        ("B_OriginalImg/B_OriginalImg/OriginalImg", ""),
        ("OriginalImg", ""),
        ("Oulu_CASIA_NIR_VIS", ""),
        ("", ""),
        ("PreProcessImg", "_Acropped"),
        ("PreProcess_Img", "_Acropped"),
        ("PreProcess", "_Acropped"),
        ("a/b/c/d", ""),
    ],
)
def test_every_layout_is_found_and_gives_the_same_faces(tmp_path: Path, place: str, suffix: str) -> None:
    takes = {f"P001/{name}": (4, 5) for name in NAMES}
    build(tmp_path / place, takes, suffix=suffix)
    (tmp_path / place / "change_log.txt").touch()
    faces = OULU.listing(tmp_path).faces
    assert OULU.base(tmp_path) == tmp_path / place
    assert [face.id for face in faces if face.subject == "P001" and face.expression == "anger"] == [
        f"{folder}{suffix}/Strong/P001/Anger/{number:03d}.jpeg"
        for folder, numbers in (("NI", (2, 3, 4)), ("VL", (1, 2, 3)))
        for number in numbers
    ]
    assert OULU.listing(OULU.base(tmp_path)).faces == faces


def test_how_deep_the_copy_lies_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    roots = [small(tmp_path / "one" / "B_OriginalImg" / "OriginalImg"), small(tmp_path / "two")]
    given = [tmp_path / "one", tmp_path / "one" / "B_OriginalImg", tmp_path / "two"]
    assert [OULU.base(root) for root in given] == [roots[0], roots[0], roots[1]]
    assert len({fingerprint(OULU.listing(root), OULU.base(root), None) for root in given}) == 1


def test_nothing_five_levels_down_or_without_the_folders_is_taken_for_a_copy(tmp_path: Path) -> None:
    small(tmp_path / "a/b/c/d/e")
    (tmp_path / "VL" / "Strong" / "P001" / "Anger").mkdir(parents=True)
    with pytest.raises(UsageError, match="within 4 levels below") as caught:
        OULU.listing(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="--data-root"):
        OULU.listing(None)
    assert OULU.base(None) is None and OULU.base(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_of_full_frames_and_crops_the_full_frames_are_read_unless_crops_are_asked_for(tmp_path: Path) -> None:
    small(tmp_path / "B_OriginalImg")
    build(tmp_path / "PreProcessImg", {"P001/Anger": (4, 4)}, suffix="_Acropped")
    assert not any("cropped" in face.id for face in OULU.listing(tmp_path).faces)
    crops = replace(OULU, images="cropped").listing(tmp_path).faces
    assert len(crops) == 6 and all("_Acropped/" in face.id for face in crops)
    with pytest.raises(UsageError, match="no VL_Acropped or NI_Acropped"):
        replace(OULU, images="cropped").listing(tmp_path / "B_OriginalImg")
    with pytest.raises(UsageError, match="no VL or NI/Strong"):
        replace(OULU, images="original").listing(tmp_path / "PreProcessImg")


def test_two_copies_are_refused_by_name(tmp_path: Path) -> None:
    small(tmp_path / "mine")
    small(tmp_path / "yours")
    with pytest.raises(UsageError, match=r"2 copies below .* \(mine, yours\)"):
        OULU.listing(tmp_path)


def test_a_light_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (3, 3)}, light="Weak")
    build(tmp_path, {"P001/Anger": (3, 3)}, light="Dark")
    with pytest.raises(UsageError, match=r"no light 'strong' in .*; there: weak, dark"):
        OULU.listing(tmp_path)


def test_links_out_of_the_copy_are_not_followed(tmp_path: Path) -> None:
    outside = small(tmp_path / "outside")
    root = build(tmp_path / "root", {"P001/Anger": (3, 3)})
    (root / "VL/Strong/P002").symlink_to(outside / "VL/Strong/P002")
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "copy").symlink_to(outside)
    listing = OULU.listing(root)
    assert {face.subject for face in listing.faces} == {"P001"}
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [("VL/Strong/P002", "a link out of the data root")]
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "VL").symlink_to(outside / "VL")
    with pytest.raises(UsageError, match="links that lead elsewhere are not followed"):
        OULU.listing(tmp_path / "links")


# Odd names


def numbers(listing: Listing, modality: str) -> list[str]:
    return [face.id.rpartition("/")[2] for face in listing.faces if face.modality == modality]


def test_upper_and_lower_case_and_other_endings_are_the_same(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "ni/STRONG/p001/ANGER").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Vl/strong/P001/anger").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"ni/STRONG/p001/ANGER/{number:03d}.JPEG").touch()
        (tmp_path / f"Vl/strong/P001/anger/{number:03d}.{('JPG', 'png', 'BMP')[number]}").touch()
    listing = OULU.listing(tmp_path)
    assert listing.dropped == () and len(by_pair(listing.faces)) == 3
    assert {(face.subject, face.expression) for face in listing.faces} == {("P001", "anger")}
    assert set(by_pair(listing.faces)) == {f"Strong/P001/Anger/{number:03d}" for number in range(3)}


def test_frames_that_do_not_start_at_zero_or_have_gaps_are_taken_in_numerical_order(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (0, 12)})
    for number in (3, 7, 9, 10, 100, 1000):
        (tmp_path / f"VL/Strong/P001/Anger/{number}.jpeg").touch()
    listing = OULU.listing(tmp_path)
    assert sorted(numbers(listing, "vis")) == ["10.jpeg", "100.jpeg", "1000.jpeg"]
    assert numbers(listing, "nir") == ["009.jpeg", "010.jpeg", "011.jpeg"]
    assert set(by_pair(listing.faces)) == {f"Strong/P001/Anger/{name}" for name in ("010", "100", "1000")}
    assert "VL/Strong: 1 sequences not numbered 0, 1, 2 …: P001/Anger" in texts(tmp_path, OULU)
    stem = replace(OULU, pairing="stem").listing(tmp_path)
    assert sorted(numbers(stem, "vis")) == ["10.jpeg", "7.jpeg", "9.jpeg"]
    assert numbers(stem, "nir") == ["007.jpeg", "009.jpeg", "010.jpeg"]


def test_what_is_no_frame_is_told_and_left_out(tmp_path: Path) -> None:
    small(tmp_path)
    odd = {
        "VL/Strong/P001/Anger/003 (1).jpeg": "not the name of a frame such as 000.jpeg",
        "VL/Strong/P001/Anger/notes.txt": "not the name of an image file",
        "VL/Strong/P001/Anger/3.png": "its sequence has a frame of this number already",
        "VL/Strong/P001/Neutral/000.jpeg": f"folder 'Neutral' is none of {', '.join(EXPRESSIONS)}",
        "VL/Strong/S1/Anger/000.jpeg": "folder 'S1' is no subject such as P001",
        "VL/Strong/P001/000.jpeg": "not at Pnnn/<Expression>/<frame>",
    }
    for name in (*odd, "VL/Strong/P001/Anger/.DS_Store", "VL/Strong/P001/Anger/._000.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = OULU.listing(tmp_path)
    # Of two files for one frame the first in natural order stays, here 3.png or 003.jpeg.
    told = {drop.what.replace("Anger/003.jpeg", "Anger/3.png"): drop.reason for drop in listing.dropped}
    assert told == odd
    assert len(listing.faces) == 2 * 3 * 12


def test_a_copy_without_a_single_frame_that_can_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VL/Strong/S1/Anger").mkdir(parents=True)
    (tmp_path / "VL/Strong/S1/Anger/000.jpeg").touch()
    with pytest.raises(DataError, match="1 left out: folder 'S1' is no subject"):
        OULU.listing(tmp_path)


# Reading


def draw(path: Path, level: int = 90, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), level if mode == "L" else (level, 40, 20)).save(path)
    return path


def test_files_of_no_bytes_are_listed_and_refused_when_they_are_read(tmp_path: Path) -> None:
    face = OULU.listing(small(tmp_path)).faces[0]
    with pytest.raises(DataError, match="the file is empty"):
        OULU.load(face, tmp_path, 64)


def test_nir_is_read_as_luminance_and_the_distributed_crops_count_as_faces(tmp_path: Path) -> None:
    for suffix, place in (("", "full"), ("_Acropped", "crops")):
        root = tmp_path / place
        draw(root / f"VL{suffix}/Strong/P001/Anger/000.jpeg")
        draw(root / f"NI{suffix}/Strong/P001/Anger/000.jpeg", mode="RGB")
        draw(root / f"NI{suffix}/Strong/P001/Fear/000.png", level=77, mode="L")
        draw(root / f"VL{suffix}/Strong/P001/Fear/000.png")
        fear, anger, *_ = (
            f for f in sorted(OULU.listing(root).faces, key=lambda f: (f.modality, f.expression != "fear"))
        )
        pictures = {face.id[:2] + face.expression: OULU.load(face, root, 64) for face in OULU.listing(root).faces}
        assert fear.modality == anger.modality == "nir"
        assert (pictures["NIfear"].pixels == 77).all() and pictures["NIfear"].pixels.shape == (6, 8, 3)
        assert np.ptp(pictures["NIanger"].pixels, axis=2).max() == 0 < np.ptp(pictures["VLanger"].pixels, axis=2).max()
        assert {picture.cropped for picture in pictures.values()} == {bool(suffix)}


def test_a_face_is_read_from_the_root_given_and_from_the_copy_alike(tmp_path: Path) -> None:
    base = tmp_path / "B_OriginalImg" / "OriginalImg"
    for folder in ("VL", "NI"):
        draw(base / folder / "Strong/P001/Anger/000.png")
    for face in OULU.listing(tmp_path).faces:
        assert (OULU.load(face, tmp_path, 8).pixels == OULU.load(face, base, 8).pixels).all()
    with pytest.raises(DataError, match=r"contains '\.\.'"):
        OULU.load(replace(face, files=("../secret.png",)), tmp_path, 8)


def test_it_is_registered_under_its_name_with_its_defaults() -> None:
    assert nferbench_datasets() == [OULU]
    assert (OULU.name, OULU.title, OULU.default_preset, OULU.default_extra) == (
        "oulu-casia",
        "Oulu-CASIA",
        "paper",
        "cfee",
    )
    with pytest.raises(UsageError, match="frames: 'last4' is not allowed"):
        replaced(OULU, {"frames": "last4"}, "datasets.oulu-casia")


# Mixed and rearranged copies


@pytest.mark.parametrize("places", [("B_OriginalImg/B_OriginalImg/OriginalImg", "PreProcessImg"), (".", ".")])
def test_full_frames_and_crops_may_lie_side_by_side_at_any_depth(tmp_path: Path, places: tuple[str, str]) -> None:
    build(tmp_path / places[0], {"P001/Anger": (4, 4)})
    build(tmp_path / places[1], {"P001/Fear": (4, 4)}, suffix="_Acropped")
    for images, expression in (("auto", "anger"), ("original", "anger"), ("cropped", "fear")):
        dataset = replaced(OULU, {"images": images}, "datasets.oulu-casia")
        assert {face.expression for face in dataset.listing(tmp_path).faces} == {expression}
        assert dataset.base(tmp_path) == tmp_path / places[expression == "fear"]


def test_the_folders_of_crops_may_have_any_case(tmp_path: Path) -> None:
    for folder in ("vl_acropped", "NI_ACROPPED"):
        draw(tmp_path / folder / "strong/p001/anger/000.jpg")
    faces = OULU.listing(tmp_path).faces
    assert len(by_pair(faces)) == 1
    assert all(OULU.load(face, tmp_path, 8).cropped for face in faces)


def test_any_lights_will_do_where_all_are_asked_for(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (3, 3)}, light="Weak")
    (tmp_path / "VL" / "Video").mkdir()
    dataset = replace(OULU, light="all")
    assert {face.id.split("/")[1] for face in dataset.listing(tmp_path).faces} == {"Weak"}
    assert any(line.startswith("NI/Dark: 0 subjects") for line in texts(tmp_path, dataset, serious=True))


def test_folders_that_differ_in_case_only_are_one(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (2, 2)})
    for name in ("VL/Strong/p001/anger/001.jpg", "VL/strong/P001/Anger/002.jpeg", "ni/Strong/P001/Anger/002.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = OULU.listing(tmp_path)
    assert set(by_pair(listing.faces)) == {f"Strong/P001/Anger/00{number}" for number in range(3)}
    assert [drop.reason for drop in listing.dropped] == ["its sequence has a frame of this number already"]
    first, last = tmp_path / "VL/Strong/P001/Anger", tmp_path / "VL/strong/P001/Anger"
    (first / "000.jpeg").rename(last / "000.jpeg")
    (last / "002.jpeg").rename(first / "002.jpeg")
    (peak,) = by_pair(replace(OULU, frames="peak1").listing(tmp_path).faces)
    assert peak == "Strong/P001/Anger/002", "the order is that of the numbers, not of the folders"


def test_folders_of_these_names_without_lights_or_frames_are_no_copy(tmp_path: Path) -> None:
    base = small(tmp_path / "faces" / "B_OriginalImg")
    for name in ("NI/holiday/P001/Anger/000.jpeg", "old/NI/Strong/P001/Anger/._000.jpeg", "old/NI/Strong/a/b/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert OULU.base(tmp_path) == base


def test_a_copy_that_was_sorted_anew_is_read_by_a_manifest_and_never_guessed(tmp_path: Path) -> None:
    rows = ["path,modality,subject,expression,pair,sequence,frame,light"]
    for folder, modality in (("NI", "nir"), ("VL", "vis")):
        for number in range(5):
            file = f"{folder}/Anger/P001_Anger_Strong_{number:03d}.jpeg"
            draw(tmp_path / file)
            rows.append(f"{file},{modality},P001,Anger,P001-{number},P001-Anger,{number:03d},Strong")
    with pytest.raises(UsageError, match="in a manifest") as caught:
        OULU.listing(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    faces = ManifestDataset(last=3, light="strong").listing(tmp_path).faces
    assert {(face.subject, face.expression) for face in faces} == {("P001", "anger")}
    assert sorted(by_pair(faces)) == ["P001-2", "P001-3", "P001-4"]
