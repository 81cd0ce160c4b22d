"""The leak guard: planted leaks are found, honest data pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.dataset import Face
from nferbench.faces.leaks import ALIKE, _alike, _distinct, _seen, find_leaks
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import PreparedFaces, read_prepared
from nferbench.planning.plugins import load_plugins

TESTS = (("a", "b"), ("c", "d"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> PreparedFaces:
    folder = tmp_path_factory.mktemp("faces")
    dataset = load_plugins(installed=False).datasets["synthetic-vis"]
    prepare(dataset, None, 64, "given", folder, lambda done, total: None)
    return read_prepared(folder)


def faces(images: np.ndarray, subjects: str, name: str = "face") -> PreparedFaces:
    listed = tuple(Face(f"{name}{i}", "vis", subject, "anger") for i, subject in enumerate(subjects))
    return PreparedFaces(images, None, listed)


@pytest.fixture
def four(drawn: PreparedFaces) -> np.ndarray:
    """Faces of four people."""
    rows = {face.subject: row for row, face in enumerate(drawn.faces)}
    return np.stack([drawn.images[row] for row in list(rows.values())[:4]])


def spoiled(image: np.ndarray, quality: int, tmp_path: Path) -> np.ndarray:
    """Shrunk to three quarters, saved as JPEG, enlarged, and brightened a little."""
    side = image.shape[0]
    file = tmp_path / "copy.jpg"
    Image.fromarray(image).resize((side * 3 // 4,) * 2).save(file, quality=quality)
    copy = np.asarray(Image.open(file).resize((side, side))).astype(float)
    return np.clip(copy * 1.1 + 4, 0, 255).astype(np.uint8)


def test_honest_faces_pass(drawn: PreparedFaces) -> None:
    subjects = sorted({face.subject for face in drawn.faces})
    tests = [subjects[i::5] for i in range(5)]
    assert find_leaks(drawn, tests, None, same_people=False) == ()


def test_honest_faces_in_one_frame_pass(drawn: PreparedFaces) -> None:
    """Most of such pictures is the same: the dark frame round the face."""
    framed = np.full((len(drawn.faces), 64, 64, 3), 20, np.uint8)
    for row, image in enumerate(drawn.images):
        grey = Image.fromarray(np.asarray(image)).convert("L").point(lambda level: 170 + level // 4).resize((30, 30))
        framed[row, 17:47, 17:47] = np.asarray(grey)[..., None]
    rough = framed[..., 0].reshape(len(framed), -1).astype(float)
    subjects = np.array([face.subject for face in drawn.faces])
    apart = subjects[:, None] != subjects
    assert np.corrcoef(rough)[apart].max() > 0.985
    pretended = PreparedFaces(framed, None, drawn.faces)
    tests = [sorted(set(subjects))[i::5] for i in range(5)]
    assert find_leaks(pretended, tests, None, same_people=False) == ()
    framed[7] = framed[60]
    assert {leak.kind for leak in find_leaks(pretended, tests, None, same_people=False)} == {"identical"}


def test_one_picture_is_found_in_sets_of_one(four: np.ndarray) -> None:
    """There the mean of all is the picture itself."""
    (leak,) = find_leaks(faces(four[:1], "a"), [("a",)], faces(four[:1], "x", "extra"), same_people=False)
    assert leak.kind == "identical"


def test_one_picture_under_two_people_is_named(four: np.ndarray) -> None:
    four[2] = four[0]
    (one, other) = find_leaks(faces(four, "abcd"), TESTS, None, same_people=False)
    assert (one.kind, one.test, one.other, one.subjects) == ("identical", "face0", "face2", ("a", "c"))
    assert other.test == "face2"  # each of the two is tested in a fold
    assert str(one) == "face0 and face2 of the training part are identical pictures (subjects a and c)"


def test_a_spoiled_or_mirrored_copy_is_named(four: np.ndarray, tmp_path: Path) -> None:
    for copy in (spoiled(four[1], 60, tmp_path), four[1][:, ::-1]):
        planted = four.copy()
        planted[3] = copy
        found = find_leaks(faces(planted, "abcd"), TESTS, None, same_people=False)
        assert {(leak.kind, leak.test, leak.other) for leak in found} == {
            ("near-identical", "face1", "face3"),
            ("near-identical", "face3", "face1"),
        }


def test_people_who_are_never_apart_may_be_alike(four: np.ndarray) -> None:
    four[1] = four[0]
    assert find_leaks(faces(four, "abcd"), TESTS, None, same_people=False) == ()  # both in the first test part
    four[1] = four[2]
    assert find_leaks(faces(four, "abbd"), TESTS, None, same_people=False) == ()  # one person


def test_with_a_fixed_split_only_tested_people_matter(four: np.ndarray) -> None:
    four[3] = four[2]
    assert find_leaks(faces(four, "abcd"), [("a", "b")], None, same_people=False) == ()
    assert len(find_leaks(faces(four, "abcd"), [("a", "c")], None, same_people=False)) == 1


def test_a_test_face_in_the_extra_set_is_named(four: np.ndarray) -> None:
    extra = faces(four[[1, 2]].copy(), "xy", "extra")
    found = find_leaks(faces(four[:2], "ab"), [("a",), ("b",)], extra, same_people=False)
    assert [str(leak) for leak in found] == [
        "face1 and extra0 of the extra set are identical pictures (subjects b and x)"
    ]


def test_a_person_of_both_sets_is_named_only_where_names_mean_people(four: np.ndarray) -> None:
    target, extra = faces(four[:2], "ab"), faces(four[2:], "bz", "extra")
    assert find_leaks(target, [("a",), ("b",)], extra, same_people=False) == ()
    (leak,) = find_leaks(target, [("a",), ("b",)], extra, same_people=True)
    assert str(leak) == "subject b is tested and is also in the extra set (extra0)"


def test_the_threshold_lies_between_people_and_copies(drawn: PreparedFaces, tmp_path: Path) -> None:
    copies = np.stack([spoiled(drawn.images[row], 40, tmp_path) for row in range(0, 40, 5)])
    whole, other = _distinct(_seen(drawn), _seen(faces(copies, "x" * len(copies))))
    thumbnails = whole.reshape(len(drawn.faces), -1)
    correlation = thumbnails @ thumbnails.T / thumbnails.shape[1]
    subjects = np.array([face.subject for face in drawn.faces])
    assert correlation[subjects[:, None] != subjects].max() < ALIKE - 0.02
    assert (thumbnails[:40:5] * other.reshape(len(copies), -1)).mean(axis=1).min() > ALIKE


def test_pairs_are_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.faces.leaks.CHUNK", 3)
    thumbnails = np.random.default_rng(0).normal(size=(8, 32, 32)).astype(np.float32)
    thumbnails[7] = thumbnails[1]
    assert {(i, j) for i, j in _alike(thumbnails, thumbnails) if i != j} == {(1, 7), (7, 1)}


def test_real_photographs_pass(shared: Path, tmp_path: Path) -> None:
    from nferbench.datasets.manifest import dataset_from_path

    dataset = dataset_from_path(shared / "faces-london" / "manifest.csv")
    prepare(dataset, None, 64, "given", tmp_path, lambda done, total: None)
    found = read_prepared(tmp_path)
    subjects = sorted({face.subject for face in found.faces})
    assert find_leaks(found, [subjects[i::5] for i in range(5)], None, same_people=False) == ()


def test_a_person_of_both_sets_is_found_under_every_spelling(four: np.ndarray) -> None:
    extra = PreparedFaces(four[2:3], None, (Face("x", "vis", "Jose\u0301 1", "anger"),))
    target = PreparedFaces(four[:1], None, (Face("y", "vis", "Jos\u00e9\u00a01", "anger"),))
    (leak,) = find_leaks(target, [("Jos\u00e9\u00a01",)], extra, same_people=True)
    assert leak.kind == "same subject" and leak.other == "x"
