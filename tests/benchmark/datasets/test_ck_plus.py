"""CK+: labels and images in two trees, only some sequences labelled, only their last frames used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.ck_plus import CkPlusDataset, nferbench_datasets

DATASET = CkPlusDataset()
IMAGES, LABELS = "cohn-kanade-images", "Emotion"
LABELLED = {"S005/001": 3, "S010/002": 5, "S138/007": 2}  # disgust, happiness, contempt


def draw(path: Path, colour: tuple[int, int, int] = (120, 60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)
    return path


def frames(root: Path, sequence: str, numbers: Iterable[int] = range(1, 6), images: str = IMAGES) -> None:
    for number in numbers:
        draw(root / images / sequence / f"{sequence.replace('/', '_')}_{number:08d}.png")


def label(root: Path, sequence: str, text: str, number: int = 5, labels: str = LABELS) -> None:
    path = root / labels / sequence / f"{sequence.replace('/', '_')}_{number:08d}_emotion.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write(root: Path, images: str = IMAGES, labels: str = LABELS) -> Path:
    """Three labelled sequences of five frames, one of them contempt, and one without a label."""
    for sequence, code in LABELLED.items():
        frames(root, sequence, images=images)
        label(root, sequence, f"   {code:.7e}\n", labels=labels)
    frames(root, "S005/002", images=images)
    (root / labels / "S005/002").mkdir(parents=True, exist_ok=True)  # the release has the folder, and nothing in it
    return root


def ids(listing: Listing) -> list[str]:
    return [face.id for face in listing.faces]


def reasons(listing: Listing) -> dict[str, str]:
    return {drop.what: drop.reason for drop in listing.dropped}


def test_the_last_three_frames_of_labelled_sequences_are_listed(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path))
    assert ids(listing) == [f"{s}_{n:08d}" for s in ("S005_001", "S010_002") for n in (3, 4, 5)]
    assert {(face.subject, face.expression) for face in listing.faces} == {("S005", "disgust"), ("S010", "happiness")}
    assert {(face.modality, face.pair, face.split) for face in listing.faces} == {("vis", "", "")}
    assert [face.sequence for face in listing.faces] == ["S005/001"] * 3 + ["S010/002"] * 3
    assert listing.faces[0].files == ("cohn-kanade-images/S005/001/S005_001_00000003.png",)


@pytest.mark.parametrize(("last", "count"), [(1, 2), (4, 8), (9, 10), (0, 10)])
def test_how_many_last_frames_is_a_field(tmp_path: Path, last: int, count: int) -> None:
    listing = replace(DATASET, last=last).listing(write(tmp_path))
    assert len(listing.faces) == count
    earlier = [drop for drop in listing.dropped if drop.reason.startswith("not among the last")]
    assert len(earlier) == 10 - count


def test_the_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames(tmp_path, "S005/001", (9, 10, 11, 100, 5140))
    label(tmp_path, "S005/001", "1.0", 5140)
    assert [face.id[-4:] for face in DATASET.listing(tmp_path).faces] == ["0011", "0100", "5140"]


@pytest.mark.parametrize(
    ("code", "expression"),
    [(0, "neutral"), (1, "anger"), (3, "disgust"), (4, "fear"), (5, "happiness"), (6, "sadness"), (7, "surprise")],
)
def test_the_codes_mean(tmp_path: Path, code: int, expression: str) -> None:
    frames(tmp_path, "S005/001")
    label(tmp_path, "S005/001", f"   {code}.0000000e+00\n")
    assert {face.expression for face in DATASET.listing(tmp_path).faces} == {expression}


def test_contempt_is_left_out_and_counted_by_sequence(tmp_path: Path) -> None:
    told = reasons(DATASET.listing(write(tmp_path)))
    assert told["S138/007"].startswith("label 'contempt' is none of anger")
    assert not any(what.startswith("S138_007") for what in told)


def test_sequences_without_a_label_are_told_once_each(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path))
    assert reasons(listing)["S005/002"] == "no emotion label"
    assert len([drop for drop in listing.dropped if "S005" in drop.what and "label" in drop.reason]) == 1


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("extended-cohn-kanade-images", "Emotion_labels"),
        ("data/CK+/extended-cohn-kanade-images(4)/cohn-kanade-images", "data/CK+/Emotion_labels(2)/Emotion"),
        ("merged", "merged"),
        (".", "."),
    ],
)
def test_the_folders_are_known_by_what_they_hold(tmp_path: Path, images: str, labels: str) -> None:
    listing = DATASET.listing(write(tmp_path, images, labels))
    assert len(listing.faces) == 6
    assert all((tmp_path / face.files[0]).is_file() for face in listing.faces)
    assert not any("emotion.txt" in what for what in reasons(listing))


def test_the_images_of_the_first_release_and_of_landmarks_do_not_count(tmp_path: Path) -> None:
    frames(tmp_path, "S010/002", images="cohn-kanade")  # comes before cohn-kanade-images, and has fewer sequences
    (tmp_path / "Landmarks/S005/001").mkdir(parents=True)
    (tmp_path / "Landmarks/S005/001/S005_001_00000001_landmarks.txt").write_text("1 2")
    (tmp_path / "FACS/S005/001").mkdir(parents=True)
    (tmp_path / "FACS/S005/001/S005_001_00000005_facs.txt").write_text("9.0 4.0")
    listing = DATASET.listing(write(tmp_path))
    assert {face.files[0].split("/")[0] for face in listing.faces} == {"cohn-kanade-images"}
    assert len(listing.faces) == 6
    assert not any("andmarks" in what or "facs" in what for what in reasons(listing))


@pytest.mark.parametrize("text", ["", "happy", "8.0", "-1", "3.5", "nan", "3 4", "\xff"])
def test_a_file_that_does_not_hold_one_code_is_told(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    label(tmp_path, "S010/002", text)
    listing = DATASET.listing(tmp_path)
    assert len(listing.faces) == 3
    told = reasons(listing)
    assert told["Emotion/S010/002/S010_002_00000005_emotion.txt"] == "does not hold one number from 0 to 7"
    assert told["S010/002"] == "no emotion label"


def test_odd_files_are_told_and_the_others_used(tmp_path: Path) -> None:
    write(tmp_path)
    label(tmp_path, "S005/001", "5", 9)
    label(tmp_path, "S005/003", "5")
    draw(tmp_path / IMAGES / "S005/001/S005_001_00000005.jpg")
    draw(tmp_path / IMAGES / "S005/001/S010_002_00000009.png")
    draw(tmp_path / IMAGES / "S005/001/copy of S005_001_00000005.png")
    for name in (".DS_Store", "._S005_001_00000005.png", "Thumbs.db"):
        (tmp_path / IMAGES / "S005/001" / name).write_bytes(b"x")
    (tmp_path / LABELS / "S005/001/._S005_001_00000005_emotion.txt").write_bytes(b"\0")
    listing = DATASET.listing(tmp_path)
    assert len(listing.faces) == 6
    told = reasons(listing)
    place = f"{IMAGES}/S005/001"
    misplaced = "not a frame in its place, such as S005/001/S005_001_00000011.png"
    assert told["Emotion/S005/001/S005_001_00000009_emotion.txt"] == "a second label of its sequence"
    assert told["S005_003_00000005"] == "labelled, but its sequence has no images"
    assert told[f"{place}/S010_002_00000009.png"] == told[f"{place}/copy of S005_001_00000005.png"] == misplaced
    assert "a second file of the same frame" in told.values()
    assert told[f"{place}/Thumbs.db"] == "left behind by a file manager"
    assert not any("._" in what for what in told)


def test_a_frame_loads_as_it_is_and_uncropped(tmp_path: Path) -> None:
    picture = DATASET.load(DATASET.listing(write(tmp_path)).faces[0], tmp_path, 32)
    assert picture.pixels.shape == (6, 8, 3) and tuple(picture.pixels[0, 0]) == (120, 60, 40)
    assert not picture.cropped


def test_without_labels_images_or_root_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --data-root"):
        DATASET.listing(None)
    frames(tmp_path, "S005/001")
    with pytest.raises(UsageError, match=r"_emotion\.txt at most 4 folders below .* unpack Emotion_labels\.zip"):
        DATASET.listing(tmp_path)
    with pytest.raises(UsageError, match="cannot take the last -1 frames"):
        replace(DATASET, last=-1).listing(tmp_path)
    label(tmp_path / "only", "S005/001", "5")
    with pytest.raises(DataError, match=r"no face can be used: 1 left out: labelled, but its sequence has no images"):
        DATASET.listing(tmp_path / "only")


def test_nothing_is_read_from_outside_the_data_root(tmp_path: Path) -> None:
    outside, root = write(tmp_path / "elsewhere"), write(tmp_path / "root")
    face = DATASET.listing(root).faces[0]
    (root / face.files[0]).unlink()
    (root / face.files[0]).symlink_to(outside / face.files[0])
    assert reasons(DATASET.listing(root))[face.files[0]] == "a link out of the data root"
    with pytest.raises(DataError, match="leaves the data root"):
        DATASET.load(face, root, 32)
    (root / IMAGES).rename(tmp_path / "away")
    (root / IMAGES).symlink_to(outside / IMAGES)
    with pytest.raises(DataError, match="leaves the data root by a symbolic link"):
        DATASET.listing(root)


def test_a_full_copy_agrees_with_the_published_counts_and_another_is_told(tmp_path: Path) -> None:
    codes = [1] * 45 + [2] * 18 + [3] * 59 + [4] * 25 + [5] * 69 + [6] * 28 + [7] * 83
    six = 0
    for code in codes:
        # The six expressions are spread over 106 people, contempt is shown by 12 others.
        sequence = f"S{500 + six % 12:03d}/{900 + six:03d}" if code == 2 else f"S{six % 106:03d}/{six:03d}"
        label(tmp_path, sequence, str(code), 3)
        for number in (1, 2, 3):
            path = tmp_path / IMAGES / sequence / f"{sequence.replace('/', '_')}_{number:08d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        six += code != 2
    listing = DATASET.listing(tmp_path)
    assert len(listing.faces) == 927
    assert DATASET.findings(listing, tmp_path) == ()
    (tmp_path / LABELS / "S000/000/S000_000_00000003_emotion.txt").unlink()
    texts = [finding.text for finding in DATASET.findings(DATASET.listing(tmp_path), tmp_path)]
    assert texts == ["308 usable sequences of the six expressions; 309 are published"]


def test_sequences_that_go_on_after_the_labelled_frame_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    frames(tmp_path, "S010/002", (6,))
    texts = [finding.text for finding in DATASET.findings(DATASET.listing(tmp_path), tmp_path)]
    assert "sequences that do not end with the labelled frame: 1, such as S010_002_00000005" in texts


def test_a_class_without_faces_is_serious(tmp_path: Path) -> None:
    found = DATASET.findings(DATASET.listing(write(tmp_path)), tmp_path)
    assert [finding.text for finding in found if finding.serious] == ["no face shows anger, fear, sadness, surprise"]


def test_it_is_registered_without_an_extra_set() -> None:
    (dataset,) = nferbench_datasets()
    assert (dataset.name, dataset.title, dataset.default_extra) == ("ck+", "CK+", None)


def test_names_in_lower_case_give_the_same_faces(tmp_path: Path) -> None:
    upper, lower = write(tmp_path / "upper"), write(tmp_path / "lower")
    for path in sorted(lower.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    faces, others = DATASET.listing(upper).faces, DATASET.listing(lower).faces
    assert [replace(face, files=()) for face in others] == [replace(face, files=()) for face in faces]
    assert all((lower / face.files[0]).is_file() for face in others)
    assert not any("do not end with" in each.text for each in DATASET.findings(DATASET.listing(lower), lower))
