"""KMU-FED: everything is in the file name, six files come twice, and there are only NIR faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.kmu_fed import KmuFedDataset, nferbench_datasets

DATASET = KmuFedDataset()


def write(root: Path, *names: str) -> Path:
    """Files of equal size, each with a content of its own."""
    root.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"%08d" % number)
    return root


def ids(listing: Listing) -> list[str]:
    return [face.id for face in listing.faces]


def reasons(listing: Listing) -> dict[str, str]:
    return {drop.what: drop.reason for drop in listing.dropped}


def test_names_say_driver_expression_person_and_frame(tmp_path: Path) -> None:
    codes = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "SA": "sadness", "SU": "surprise"}
    listing = DATASET.listing(write(tmp_path, *(f"03_{code}_s02_036.jpg" for code in codes)))
    assert {face.id: face.expression for face in listing.faces} == {f"03_{c}_s02_036": n for c, n in codes.items()}
    assert {(face.subject, face.modality, face.pair, face.split) for face in listing.faces} == {("03", "nir", "", "")}
    assert listing.faces[0].files == ("03_AN_s02_036.jpg",)


def test_copies_with_a_bare_1_are_left_out_by_their_content(tmp_path: Path) -> None:
    write(tmp_path, "01_AN_mr_001.jpg", "01_AN_mr_002.jpg", "02_AN_kk_001.jpg")
    for number in (1, 2):
        content = (tmp_path / f"01_AN_mr_00{number}.jpg").read_bytes()
        (tmp_path / f"1_AN_mr_00{number}.jpg").write_bytes(content)
    listing = DATASET.listing(tmp_path)
    assert ids(listing) == ["01_AN_mr_001", "01_AN_mr_002", "02_AN_kk_001"]
    assert [face.files[0][:3] for face in listing.faces] == ["01_", "01_", "02_"]
    same = "the same content as another file"
    assert reasons(listing) == {"1_AN_mr_001.jpg": same, "1_AN_mr_002.jpg": same}


def test_equal_content_is_found_under_any_name_and_equal_size_is_not_enough(tmp_path: Path) -> None:
    write(tmp_path, "01_AN_mr_001.jpg", "02_HA_kk_001.jpg", "02_HA_kk_002.jpg")
    (tmp_path / "02_HA_kk_003.jpg").write_bytes((tmp_path / "02_HA_kk_001.jpg").read_bytes())
    listing = DATASET.listing(tmp_path)
    assert ids(listing) == ["01_AN_mr_001", "02_HA_kk_001", "02_HA_kk_002"]
    assert list(reasons(listing)) == ["02_HA_kk_003.jpg"]


def test_a_bare_1_is_driver_01_where_the_content_differs(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, "1_AN_mr_001.jpg", "1_AN_mr_002.jpg", "01_AN_mr_001.jpg"))
    assert ids(listing) == ["01_AN_mr_001", "01_AN_mr_002"]
    assert {face.subject for face in listing.faces} == {"01"}
    assert listing.faces[0].files == ("01_AN_mr_001.jpg",)
    assert reasons(listing) == {"1_AN_mr_001.jpg": "a second file of the same frame"}


def test_the_case_of_letters_does_not_matter(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, "05_fe_UJ_097.JPEG"))
    assert [(face.id, face.expression) for face in listing.faces] == [("05_FE_uj_097", "fear")]


def test_the_folder_is_found_below_the_data_root(tmp_path: Path) -> None:
    write(tmp_path / "data/nir/KMU/KMU-FED", "01_AN_mr_001.jpg")
    (tmp_path / "data/other").mkdir()
    assert DATASET.listing(tmp_path).faces[0].files == ("data/nir/KMU/KMU-FED/01_AN_mr_001.jpg",)
    with pytest.raises(UsageError, match=r"no file like 01_AN_mr_005\.jpg at most 4 folders below"):
        DATASET.listing(write(tmp_path / "deep", "1/2/3/4/5/01_AN_mr_001.jpg"))


def test_a_copy_sorted_into_folders_is_read_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, "frames/01_AN_mr/01_AN_mr_001.jpg", "frames/01_HA_mr/01_HA_mr_001.jpg")
    assert ids(DATASET.listing(tmp_path)) == ["01_AN_mr_001", "01_HA_mr_001"]


def test_odd_files_are_told_and_the_others_used(tmp_path: Path) -> None:
    write(tmp_path, "01_AN_mr_001.jpg", "01_XX_mr_001.jpg", "01_NE_mr_001.jpg", "face.jpg", "001_AN_mr_1.jpg")
    for name, content in {
        "Thumbs.db": b"x",
        "notes.txt": b"x",
        "._01_AN_mr_001.jpg": b"x",
        "01_AN_mr_002.jpg": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "01_AN_mr_003.jpg").symlink_to(tmp_path / "nothing.jpg")
    listing = DATASET.listing(tmp_path)
    assert ids(listing) == ["01_AN_mr_001"]
    assert reasons(listing) == {
        "01_XX_mr_001.jpg": "code 'XX' is none of AN, DI, FE, HA, SA, SU",
        "01_NE_mr_001.jpg": "code 'NE' is none of AN, DI, FE, HA, SA, SU",
        "face.jpg": "not a name like 01_AN_mr_005.jpg",
        "001_AN_mr_1.jpg": "not a name like 01_AN_mr_005.jpg",
        "Thumbs.db": "left behind by a file manager",
        "notes.txt": "not the name of an image file",
        "01_AN_mr_002.jpg": "the file is empty",
        "01_AN_mr_003.jpg": "not a file, or a link to nothing",
    }


def test_listing_twice_gives_the_same(tmp_path: Path) -> None:
    names = [f"{n:02d}_HA_aa_{k:03d}.jpg" for n in range(1, 4) for k in range(4)]
    write(tmp_path / "a", *names, "1_HA_aa_000.jpg", "odd.jpg")
    write(tmp_path / "b", "odd.jpg", "1_HA_aa_000.jpg", *reversed(names))  # another order on disk
    first, second = DATASET.listing(tmp_path / "a"), DATASET.listing(tmp_path / "b")
    assert (first.faces, first.dropped) == (second.faces, second.dropped)
    assert DATASET.listing(tmp_path / "a") == first


def test_a_face_loads_as_luminance_in_three_channels(tmp_path: Path) -> None:
    Image.new("RGB", (16, 12), (200, 100, 50)).save(tmp_path / "01_AN_mr_001.png")
    picture = DATASET.load(DATASET.listing(tmp_path).faces[0], tmp_path, 32)
    assert picture.pixels.shape == (12, 16, 3) and not picture.cropped
    assert np.ptp(picture.pixels, axis=2).max() == 0


def test_without_files_or_root_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --data-root"):
        DATASET.listing(None)
    with pytest.raises(UsageError, match="give --data-root"):
        DATASET.listing(tmp_path)
    with pytest.raises(DataError, match=r"no face can be used: 1 left out: code 'ZZ'"):
        DATASET.listing(write(tmp_path, "01_ZZ_mr_001.jpg"))


def test_nothing_is_read_from_outside_the_data_root(tmp_path: Path) -> None:
    outside, root = write(tmp_path / "elsewhere", "01_AN_mr_001.jpg"), write(tmp_path / "root", "02_AN_kk_001.jpg")
    (root / "01_AN_mr_001.jpg").symlink_to(outside / "01_AN_mr_001.jpg")
    listing = DATASET.listing(root)
    assert ids(listing) == ["02_AN_kk_001"]
    assert reasons(listing) == {"01_AN_mr_001.jpg": "a link out of the data root"}
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/KMU-FED").symlink_to(outside)
    with pytest.raises(DataError, match="leaves the data root by a symbolic link"):
        DATASET.listing(tmp_path / "linked")


def test_a_full_copy_agrees_with_the_published_counts_and_another_is_told(tmp_path: Path) -> None:
    codes = ["AN", "DI", "FE", "HA", "SA", "SU"]
    # 12 drivers with five sequences of 18 or 19 frames each: 1,100 files, and six more with a bare 1.
    names = [f"{n % 12 + 1:02d}_{codes[n // 12 % 6]}_aa_{n // 72:03d}.jpg" for n in range(1_100)]
    write(tmp_path, *names)
    for name in [name for name in names if name.startswith("01_AN")][:6]:
        (tmp_path / name[1:]).write_bytes((tmp_path / name).read_bytes())
    assert len(list(tmp_path.iterdir())) == 1_106
    listing = DATASET.listing(tmp_path)
    assert len(listing.faces) == 1_100 and len(listing.dropped) == 6
    nir_only = "NIR only: there are no pairs, so nothing can be translated or scored on it"
    assert [finding.text for finding in DATASET.findings(listing, tmp_path)] == [nir_only]
    for name in names:
        if name.startswith("12_"):
            (tmp_path / name).unlink()
    texts = [finding.text for finding in DATASET.findings(DATASET.listing(tmp_path), tmp_path)]
    assert texts == [nir_only, "11 subjects; 12 are published", "1009 different images; 1100 are published"]


def test_a_class_without_faces_is_serious(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, *(f"01_{code}_mr_001.jpg" for code in ("AN", "FE", "HA", "SA", "SU"))))
    found = DATASET.findings(listing, tmp_path)
    assert [finding.text for finding in found if finding.serious] == ["no face shows disgust"]


def test_it_is_registered_without_an_extra_set() -> None:
    (dataset,) = nferbench_datasets()
    assert (dataset.name, dataset.title, dataset.default_extra) == ("kmu-fed", "KMU-FED", None)
