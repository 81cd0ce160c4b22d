"""Prepared faces: crops, landmarks, what is left out, and the files that hold them."""

from __future__ import annotations

import csv
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nferbench.contract.dataset import Dropped, Face, FaceDataset, Listing, Picture
from nferbench.contract.errors import DataError, PluginError, UsageError
from nferbench.datasets.manifest import dataset_from_path
from nferbench.faces.blocks import read_block, write_block
from nferbench.faces.crops import given
from nferbench.faces.prepare import BLOCKS, prepare
from nferbench.faces.prepared import PreparedFaces, pairs, read_prepared, rows_of


@dataclass(frozen=True)
class Drawn(FaceDataset):
    """Faces from a function, for whatever a test needs."""

    faces: tuple[Face, ...]
    draw: Callable[[Face, int], Picture]
    landmarks: int = 0
    dropped: tuple[Dropped, ...] = ()
    name: str = field(default="drawn", compare=False)
    title: str = field(default="drawn", compare=False)

    def listing(self, root: Path | None) -> Listing:
        return Listing(self.faces, self.landmarks, self.dropped)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        return self.draw(face, size)


def two_people() -> tuple[Face, ...]:
    return tuple(
        Face(f"{modality}/{subject}/{name}", modality, subject, name, f"{subject}/{name}", split="1")
        for modality in ("vis", "nir")
        for subject in ("P1", "P2")
        for name in ("fear", "anger")
    )


def noise(face: Face, size: int) -> Picture:
    rng = np.random.default_rng(list(face.id.encode()))
    return Picture(rng.integers(0, 256, (size, size, 3), dtype=np.uint8), cropped=True)


def silent(done: int, total: int) -> None:
    pass


def prepared(dataset: FaceDataset, out: Path, size: int = 8, crop: str = "given") -> PreparedFaces:
    prepare(dataset, None, size, crop, out, silent)
    return read_prepared(out)


def reasons(out: Path) -> dict[str, str]:
    with (out / "dropped.csv").open(newline="") as file:
        return {row["what"]: row["reason"] for row in csv.DictReader(file)}


def test_rows_are_aligned_and_sorted_by_id(tmp_path: Path) -> None:
    faces = two_people()
    result = prepared(Drawn(faces, noise), tmp_path)
    assert [face.id for face in result.faces] == sorted(face.id for face in faces)
    assert result.images.shape == (8, 8, 8, 3) and result.images.dtype == np.uint8
    assert isinstance(result.images, np.memmap) and not result.images.flags.writeable
    assert result.landmarks is None
    for image, face in zip(result.images, result.faces, strict=True):
        if face.modality == "vis":
            np.testing.assert_array_equal(image, noise(face, 8).pixels)
    assert set(result.faces) == set(faces)


def test_counts_and_progress_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.faces.prepare.BLOCK", 3)
    seen: list[tuple[int, int]] = []
    dataset = Drawn(two_people(), noise, dropped=(Dropped("x", "why"),))
    counts = prepare(dataset, None, 8, "given", tmp_path, lambda done, total: seen.append((done, total)))
    assert counts == {
        "faces": 8,
        "vis": 4,
        "nir": 4,
        "pairs": 4,
        "subjects": 2,
        "expressions": {"anger": 4, "fear": 4},
        "listed": 8,
        "left_out": {},
        "dropped": 1,
        "apart": None,
    }
    assert seen == [(4, 8), (8, 8)]  # a pair is never torn
    assert reasons(tmp_path) == {"x": "why"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropped.csv", "faces.csv", "images.npy", "sources.csv"]


def test_nir_is_luminance_in_three_equal_channels_and_vis_keeps_its_colour(tmp_path: Path) -> None:
    def red(face: Face, size: int) -> Picture:
        return Picture(np.full((size, size, 3), (200, 0, 0), np.uint8), cropped=True)

    result = prepared(Drawn(two_people(), red), tmp_path)
    for image, face in zip(result.images, result.faces, strict=True):
        assert tuple(image[0, 0]) == ((200, 0, 0) if face.modality == "vis" else (round(0.299 * 200),) * 3)


def test_unreadable_black_and_partnerless_faces_are_left_out_with_a_reason(tmp_path: Path) -> None:
    def draw(face: Face, size: int) -> Picture:
        if face.id == "vis/P1/fear":
            raise DataError("cannot be decoded")
        if face.id == "nir/P2/anger":
            return Picture(np.full((size, size, 3), 9, np.uint8), cropped=True)
        return noise(face, size)

    counts = prepare(Drawn(two_people(), draw), None, 8, "given", tmp_path, silent)
    assert (counts["faces"], counts["pairs"], counts["dropped"]) == (4, 2, 4)
    assert reasons(tmp_path) == {
        "vis/P1/fear": "cannot be decoded",
        "nir/P1/fear": "no vis partner",
        "nir/P2/anger": "black (mean level below 10 of 255)",
        "vis/P2/anger": "no nir partner",
    }
    unusable = [name for name, reason in reasons(tmp_path).items() if "partner" not in reason]
    assert unusable == ["nir/P2/anger", "vis/P1/fear"]  # sorted, whatever block they were in
    result = read_prepared(tmp_path)
    assert [face.id for face in result.faces] == ["nir/P1/anger", "nir/P2/fear", "vis/P1/anger", "vis/P2/fear"]
    for image, face in zip(result.images[2:], result.faces[2:], strict=True):  # the arrays closed the gaps
        np.testing.assert_array_equal(image, noise(face, 8).pixels)


def test_a_level_of_ten_is_not_black(tmp_path: Path) -> None:
    def dark(face: Face, size: int) -> Picture:
        return Picture(np.full((size, size, 3), 10, np.uint8), cropped=True)

    assert len(prepared(Drawn(two_people(), dark), tmp_path).faces) == 8


def test_faces_of_one_modality_need_no_partner(tmp_path: Path) -> None:
    faces = tuple(face for face in two_people() if face.modality == "vis")
    assert len(prepared(Drawn(faces, noise), tmp_path).faces) == 4


def test_nothing_usable_is_an_error_that_counts_the_reasons(tmp_path: Path) -> None:
    def fail(face: Face, size: int) -> Picture:
        raise DataError("file is empty")

    with pytest.raises(DataError, match="no face can be used: 8 left out: file is empty") as caught:
        prepare(Drawn(two_people(), fail), None, 8, "given", tmp_path, silent)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="none is listed"):
        prepare(Drawn((), noise), None, 8, "given", tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "picture",
    [
        Picture(np.zeros((4, 4), np.uint8)),
        Picture(np.zeros((4, 4, 3), np.float32)),  # type: ignore[arg-type]
        Picture(np.zeros((0, 4, 3), np.uint8)),
        Picture(np.full((4, 4, 3), 99, np.uint8), landmarks=np.zeros((5, 2), np.float32)),
        Picture(np.full((4, 4, 3), 99, np.uint8), landmarks=np.zeros((68, 2), np.int64)),  # type: ignore[arg-type]
        Picture(np.full((4, 4, 3), 99, np.uint8), landmarks=[(0, 0)] * 68),  # type: ignore[arg-type]
        Picture(np.full((4, 4, 3), 99, np.uint8), box=(0, 0, float("nan"), 4)),
        Picture(np.full((4, 4, 3), 99, np.uint8), box=(0, 0, 4)),  # type: ignore[arg-type]
        Picture([[[99] * 3] * 4] * 4),  # type: ignore[arg-type]
        Picture(None),  # type: ignore[arg-type]
        np.full((4, 4, 3), 99, np.uint8),
    ],
)
def test_a_data_set_that_breaks_its_contract_is_named(tmp_path: Path, picture: Picture) -> None:
    with pytest.raises(PluginError, match="drawn: vis/P1/anger"):
        prepare(Drawn(two_people(), lambda face, size: picture, 68), None, 8, "given", tmp_path, silent)


def test_repeated_ids_and_contradictory_pairs_are_refused(tmp_path: Path) -> None:
    first = two_people()[0]
    with pytest.raises(PluginError, match="ids more than once, such as 'a'"):
        prepare(Drawn((Face("a", "vis", "P1", "fear"),) * 2, noise), None, 8, "given", tmp_path, silent)
    second = Face("nir/x", "nir", "P9", first.expression, first.pair)
    with pytest.raises(DataError, match="contradict themselves"):
        prepare(Drawn((first, second), noise), None, 8, "given", tmp_path, silent)


def test_an_unknown_crop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown crop 'tight'; known: given, none, box68"):
        prepare(Drawn(two_people(), noise), None, 8, "tight", tmp_path, silent)


def gradient(height: int, width: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row, blue is constant."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 77)], axis=2).astype(np.uint8)


def test_crop_none_ignores_box_and_landmarks(tmp_path: Path) -> None:
    pixels = gradient(16, 16) * 8

    def boxed(face: Face, size: int) -> Picture:
        return Picture(pixels, box=(0, 0, 4, 4))

    faces = (Face("a", "vis", "P1", "fear"),)
    np.testing.assert_array_equal(prepared(Drawn(faces, boxed), tmp_path / "n", 16, "none").images[0], pixels)
    assert not np.array_equal(prepared(Drawn(faces, boxed), tmp_path / "g", 16, "given").images[0], pixels)


def test_a_picture_that_is_the_face_is_not_cropped_again(tmp_path: Path) -> None:
    pixels = gradient(16, 16) * 8

    def boxed(face: Face, size: int) -> Picture:
        return Picture(pixels, box=(0, 0, 4, 4), cropped=True)

    result = prepared(Drawn((Face("a", "vis", "P1", "fear"),), boxed), tmp_path, 16)
    np.testing.assert_array_equal(result.images[0], pixels)


@pytest.mark.parametrize("box", [(100, 100, 120, 120), (-1e9, -1e9, 1e9, 1e9), (-16, 0, 4, 20), (0, 0, 4, 1e9)])
def test_a_face_whose_box_is_elsewhere_is_left_out(tmp_path: Path, box: tuple[float, float, float, float]) -> None:
    def draw(face: Face, size: int) -> Picture:
        return Picture(gradient(20, 20) * 10, box=box if face.subject == "P1" else None)

    assert {face.subject for face in prepared(Drawn(two_people(), draw), tmp_path).faces} == {"P2"}
    assert all("mostly outside" in reason for reason in reasons(tmp_path).values())


def test_a_face_whose_landmarks_are_all_missing_is_left_out(tmp_path: Path) -> None:
    def draw(face: Face, size: int) -> Picture:
        points = np.array([[2, 2], [12, 12]], np.float32)
        return Picture(gradient(16, 16) * 9, points * np.nan if face.subject == "P1" else points)

    assert {face.subject for face in prepared(Drawn(two_people(), draw, 2), tmp_path).faces} == {"P2"}
    assert set(reasons(tmp_path).values()) == {"its 2 landmarks are missing or all in one place"}


def test_landmarks_are_stored_beside_the_images_and_missing_ones_are_nan(tmp_path: Path) -> None:
    def draw(face: Face, size: int) -> Picture:
        points = np.array([[1, 2], [np.nan, np.nan], [5, 6]], np.float32)
        return Picture(noise(face, size).pixels, points if face.modality == "vis" else None, cropped=True)

    result = prepared(Drawn(two_people(), draw, 3), tmp_path)
    assert result.landmarks is not None and result.landmarks.dtype == np.float32
    assert np.isnan(result.landmarks[:4]).all()
    np.testing.assert_array_equal(result.landmarks[4], [[1, 2], [np.nan, np.nan], [5, 6]])


def test_stored_landmarks_are_in_pixels_of_the_crop(tmp_path: Path) -> None:
    def draw(face: Face, size: int) -> Picture:
        return Picture(gradient(40, 60), np.array([[10.5, 6.5], [25.5, 20.5]], np.float32), (10, 5, 26, 21))

    faces = (Face("a", "vis", "P1", "fear"),)
    result = prepared(Drawn(faces, draw, 2), tmp_path, 32)  # a box of 16 pixels becomes 32: twice as fine
    assert result.landmarks is not None
    np.testing.assert_allclose(result.landmarks[0], [[1.5, 3.5], [31.5, 31.5]])


def test_pairs_are_found_for_the_subjects_asked_for(tmp_path: Path) -> None:
    unpaired = (Face("vis/z", "vis", "P1", "fear"), Face("nir/z", "nir", "P1", "fear"))
    result = prepared(Drawn(two_people() + unpaired, noise), tmp_path)
    vis, nir = pairs(result, ("P1",))
    assert vis.dtype == nir.dtype == np.int64
    assert [result.faces[row].id for row in vis] == ["vis/P1/anger", "vis/P1/fear"]
    assert [result.faces[row].pair for row in vis] == [result.faces[row].pair for row in nir]
    assert {result.faces[row].modality for row in nir} == {"nir"}
    assert len(pairs(result, ("P1", "P2"))[0]) == 4
    assert len(pairs(result, ())[0]) == 0
    assert [result.faces[row].id for row in rows_of(result, "nir", ("P1",))] == ["nir/P1/anger", "nir/P1/fear", "nir/z"]


def test_odd_names_survive_in_the_table(tmp_path: Path) -> None:
    face = Face('a "b",\nc é', "vis", "Ren,é", "fear", "p;1", split="test")
    assert prepared(Drawn((face,), noise), tmp_path).faces == (face,)


def test_preparing_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    for out in ("a", "b"):
        prepare(Drawn(two_people(), noise), None, 8, "given", tmp_path / out, silent)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_preparation_that_was_cut_off_goes_on_after_its_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nferbench.faces.prepare.BLOCK", 2)
    monkeypatch.setattr("nferbench.machine.cores.cores", lambda: 1)
    drawn: list[str] = []

    def drawing(face: Face, size: int) -> Picture:
        drawn.append(face.id)
        if len(drawn) == 6:
            raise KeyboardInterrupt
        if face.id == "vis/P1/fear":
            raise DataError("cannot be read")
        return noise(face, size)

    with pytest.raises(KeyboardInterrupt):
        prepare(Drawn(two_people(), drawing), None, 8, "given", tmp_path / "cut", silent)
    stored = {path.stem for path in (tmp_path / "cut" / BLOCKS).glob("*.npz")}
    assert {"000000", "000001"} <= stored and "000002" not in stored
    before = len(drawn)
    prepare(Drawn(two_people(), drawing), None, 8, "given", tmp_path / "cut", silent)
    pairs_of = sorted((face.id for face in two_people()), key=lambda name: (name.split("/", 1)[1], name))
    assert not set(pairs_of[:4]) & set(drawn[before:]) and set(pairs_of[4:6]) <= set(drawn[before:])
    drawn[:] = [""] * 10
    prepare(Drawn(two_people(), drawing), None, 8, "given", tmp_path / "whole", silent)
    for file in ("images.npy", "faces.csv", "dropped.csv"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not (tmp_path / "cut" / BLOCKS).exists()


def test_a_damaged_block_or_one_of_other_faces_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.faces.prepare.BLOCK", 4)
    prepare(Drawn(two_people(), noise), None, 8, "given", tmp_path / "whole", silent)
    blocks = tmp_path / "next" / BLOCKS
    blocks.mkdir(parents=True)
    (blocks / "000000.npz").write_bytes(b"half a block")
    others = [Face(f"other{i}", "vis", "P9", "fear") for i in range(4)]
    write_block(
        blocks / "000001.npz",
        others,
        Drawn(tuple(others), noise),
        None,
        8,
        given,
        0,
        key="",
        register=False,
        smooth=False,
    )
    prepare(Drawn(two_people(), noise), None, 8, "given", tmp_path / "next", silent)
    assert (tmp_path / "next" / "images.npy").read_bytes() == (tmp_path / "whole" / "images.npy").read_bytes()


def test_a_block_of_other_work_or_with_a_flipped_bit_is_not_used(tmp_path: Path) -> None:
    faces = sorted(two_people(), key=lambda face: face.id)
    path = tmp_path / "000000.npz"

    def write() -> None:
        write_block(path, faces, Drawn(two_people(), noise), None, 8, given, 0, key="a", register=False, smooth=False)

    write()
    assert read_block(path, faces, "a") is not None
    assert read_block(path, faces, "b") is None
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        places = [
            each.header_offset + 200 for each in archive.infolist() if each.filename in ("images.npy", "note.npy")
        ]
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        assert read_block(path, faces, "a") is None


def test_the_number_of_threads_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.faces.prepare.BLOCK", 1)
    for threads in (1, 4):
        monkeypatch.setattr("nferbench.machine.cores.cores", lambda threads=threads: threads)
        prepare(Drawn(two_people(), noise), None, 8, "given", tmp_path / str(threads), silent)
    one, four = ((tmp_path / name / "images.npy").read_bytes() for name in ("1", "4"))
    assert one == four


def test_memory_does_not_grow_with_the_number_of_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.machine.cores.cores", lambda: 1)

    def peak(count: int) -> int:
        faces = tuple(Face(f"{i:04}", "vis", "P1", "fear") for i in range(count))
        tracemalloc.start()
        prepare(Drawn(faces, noise), None, 64, "given", tmp_path / str(count), silent)
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(2)  # imports
    assert peak(1000) - peak(300) < 700 * 64 * 64 * 3 / 10


@pytest.mark.parametrize("damage", ["cut images", "no faces", "other faces"])
def test_damaged_prepared_faces_are_refused(tmp_path: Path, damage: str) -> None:
    prepare(Drawn(two_people(), noise), None, 8, "given", tmp_path, silent)
    if damage == "cut images":
        (tmp_path / "images.npy").write_bytes((tmp_path / "images.npy").read_bytes()[:-10])
    elif damage == "no faces":
        (tmp_path / "faces.csv").unlink()
    else:
        lines = (tmp_path / "faces.csv").read_text().splitlines()
        (tmp_path / "faces.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match="delete the folder to prepare again") as caught:
        read_prepared(tmp_path)
    assert "\n" not in str(caught.value)


def test_real_photographs_are_prepared_in_pairs(shared: Path, tmp_path: Path) -> None:
    result = prepared(dataset_from_path(shared / "faces-london"), tmp_path, 32)
    assert result.images.shape == (320, 32, 32, 3)
    vis, nir = pairs(result, {face.subject for face in result.faces})
    assert len(vis) == 160
    images = result.images[nir]
    assert (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all()
    assert (result.images[vis][..., 0] != result.images[vis][..., 2]).any(axis=(1, 2)).all()


@pytest.mark.parametrize("what", ["box", "landmarks"])
@pytest.mark.parametrize("crop", ["given", "none"])
def test_boxes_and_landmarks_in_shares_of_the_image_are_left_out_whoever_read_them(
    tmp_path: Path, what: str, crop: str
) -> None:
    def draw(face: Face, size: int) -> Picture:
        scale = 1 if face.subject == "P1" else 20
        points = np.linspace((0.2, 0.3), (0.8, 0.9), 68, dtype=np.float32) * scale
        where = {"box": (0.1 * scale, 0.1 * scale, 0.9 * scale, 0.9 * scale)} if what == "box" else {}
        return Picture(gradient(20, 20) * 10, landmarks=points if what == "landmarks" else None, **where)

    dataset = Drawn(two_people(), draw, 68 if what == "landmarks" else 0)
    assert {face.subject for face in prepared(dataset, tmp_path, crop=crop).faces} == {"P2"}
    assert all(
        "fewer than 4 pixels; pixels of the upright image are due" in told for told in reasons(tmp_path).values()
    )


def test_what_was_left_out_of_the_listed_faces_is_counted_by_kind(tmp_path: Path) -> None:
    def draw(face: Face, size: int) -> Picture:
        if face.id == "vis/P1/fear":
            raise DataError("cannot be decoded (broken data stream); is the copy complete?")
        return noise(face, size)

    counts = prepare(Drawn(two_people(), draw, dropped=(Dropped("x", "why"),)), None, 8, "given", tmp_path, silent)
    assert (counts["listed"], counts["faces"], counts["dropped"]) == (8, 6, 3)
    assert counts["left_out"] == {"cannot be decoded": 1, "no vis partner": 1}
