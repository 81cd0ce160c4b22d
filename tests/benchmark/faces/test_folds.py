"""Folds by person."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from nferbench.contract.dataset import EXPRESSIONS, Face
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.manifest import dataset_from_path
from nferbench.faces.folds import Fold, check_folds, classes_of, folds_of, split, splits_fingerprint, subjects_of


def people(count: int, expressions: tuple[str, ...] = EXPRESSIONS) -> list[Face]:
    return [
        Face(f"{modality}/{i}/{name}", modality, f"P{i:03}", name, f"{i}/{name}")
        for i in range(count)
        for name in expressions
        for modality in ("vis", "nir")
    ]


def refusal(faces: list[Face], folds: tuple[Fold, ...]) -> str:
    with pytest.raises(DataError) as caught:
        check_folds(faces, folds)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("count", [5, 7, 12, 80])
def test_every_subject_is_tested_once_and_never_trained_with_then(count: int) -> None:
    faces = people(count)
    tested: list[str] = []
    for fold in folds_of(faces):
        parts = split(faces, fold)
        assert not set(parts.train) & set(parts.test)
        assert sorted(parts.train + parts.test) == list(subjects_of(faces))
        tested += parts.test
    assert sorted(tested) == list(subjects_of(faces))


@pytest.mark.parametrize("count", [5, 7, 12, 83])
def test_sizes_differ_by_at_most_one(count: int) -> None:
    sizes = [len(split(people(count), Fold(i)).test) for i in range(5)]
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_faces_does_not_matter() -> None:
    faces = people(12)
    shuffled = random.Random(0).sample(faces, len(faces))
    assert [split(shuffled, fold) for fold in folds_of(faces)] == [split(faces, fold) for fold in folds_of(faces)]


def test_the_seed_decides_the_split() -> None:
    faces = people(20)
    assert split(faces, Fold(0, seed=1)) == split(faces, Fold(0, seed=1))
    assert split(faces, Fold(0, seed=1)) != split(faces, Fold(0, seed=2))
    assert split(faces, Fold(0)).test != ("P000", "P005", "P010", "P015")  # shuffled


def test_a_pinned_split_stays_as_it_is() -> None:
    assert split(people(10), Fold(0, 5, seed=0)).test == ("P004", "P005")


def test_fold_numbers_of_the_manifest_decide_alone() -> None:
    faces = [replace(face, split=str(int(face.subject[1:]) % 3 + 1)) for face in people(9)]
    folds = folds_of(faces, count=5, seed=7)
    assert len(folds) == 3
    assert split(faces, folds[0]).test == ("P000", "P003", "P006")
    assert split(faces, replace(folds[0], seed=3)).test == ("P000", "P003", "P006")
    assert len(split(faces, folds[0]).train) == 6
    with pytest.raises(UsageError, match="3 fixed folds; use folds 0 to 2"):
        split(faces, Fold(3))


def test_fixed_fold_numbers_are_ordered_as_numbers() -> None:
    faces = [replace(face, split=str(int(face.subject[1:]))) for face in people(11)]
    assert split(faces, folds_of(faces)[2]).test == ("P002",)


def test_train_and_test_of_the_manifest_make_one_fold() -> None:
    faces = [replace(face, split="test" if face.subject < "P002" else "train") for face in people(6)]
    assert folds_of(faces) == (Fold(0, 1, 0),)
    assert split(faces, Fold(0)).test == ("P000", "P001")
    assert check_folds(faces, folds_of(faces)) == []
    with pytest.raises(UsageError, match="one fixed split"):
        split(faces, Fold(1))


def test_a_person_in_two_splits_is_refused() -> None:
    faces = [replace(face, split="test" if face.modality == "nir" else "train") for face in people(6)]
    assert "subject 'P000' has the splits 'test' and 'train'" in refusal(faces, (Fold(0),))


@pytest.mark.parametrize("values", [("train",), ("train", ""), ("1",), ("1", "test"), ("1", "")])
def test_half_a_fixed_split_is_refused(values: tuple[str, ...]) -> None:
    faces = [replace(face, split=values[int(face.subject[1:]) % len(values)]) for face in people(6)]
    assert "the split column holds" in refusal(faces, (Fold(0),))


def test_unknown_people_always_train() -> None:
    faces = [*people(5), Face("x", "vis", "?", "fear")]
    assert "?" not in subjects_of(faces)
    for fold in folds_of(faces):
        assert "?" in split(faces, fold).train
        assert "?" not in split(faces, fold).test
    assert "?" not in split(people(5), Fold(0)).train


def test_unknown_people_may_not_be_put_into_a_test_part() -> None:
    faces = [replace(face, split="test" if face.subject < "P002" else "train") for face in people(6)]
    assert "may only train" in refusal([*faces, Face("x", "nir", "?", "fear", split="test")], (Fold(0),))


def test_too_few_subjects_are_refused() -> None:
    assert "one subject cannot make 5 folds" in refusal(people(1), (Fold(0),))
    assert "4 subjects cannot make 5 folds" in refusal(people(4), (Fold(0),))


def test_classes_stand_in_canonical_order() -> None:
    faces = people(1, ("neutral", "surprise", "anger"))
    assert classes_of(faces) == ("anger", "surprise", "neutral")


def test_fewer_than_two_classes_are_refused() -> None:
    assert "only 'fear' occurs; a recogniser needs at least two" in refusal(people(5, ("fear",)), (Fold(0),))


def test_a_class_that_cannot_be_trained_is_refused() -> None:
    rare = [Face("nir/x", "nir", "P003", "neutral", "x"), Face("vis/x", "vis", "P003", "neutral", "x")]
    faces = [*people(5), *rare]
    index = next(fold.index for fold in folds_of(faces) if "P003" in split(faces, fold).test)
    assert f"fold {index}: no training face shows neutral" in refusal(faces, folds_of(faces))


def test_a_class_without_nir_faces_cannot_be_trained() -> None:
    faces = [*people(5), *(Face(f"v{i}", "vis", f"P00{i}", "neutral") for i in range(5))]
    assert "fold 0: no training face shows neutral" in refusal(faces, folds_of(faces))


def test_a_class_that_is_never_tested_is_a_note() -> None:
    two = [Face(f"n{i}", "nir", f"P00{i}", "neutral") for i in (1, 3)]
    faces = [*people(5), *two]
    notes = check_folds(faces, folds_of(faces))
    assert len(notes) == 3
    assert all(note.endswith("no test face shows neutral") for note in notes)
    assert check_folds(people(5), folds_of(people(5))) == []


def test_a_test_part_without_any_nir_face_is_refused() -> None:
    faces = [face for face in people(5) if face.modality == "vis" or face.subject != "P004"]
    assert "there is no face to test on" in refusal(faces, folds_of(faces))


@pytest.mark.parametrize("fold", [(5, 5, 0), (-1, 5, 0), (0, 0, 0), (0, 5, -1)])
def test_a_fold_that_does_not_exist_is_refused(fold: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Fold(*fold)


def test_one_fold_needs_a_split_column() -> None:
    with pytest.raises(UsageError, match="use 2 or more"):
        split(people(5), Fold(0, 1))


def test_the_fingerprint_of_splits_follows_the_subjects_alone() -> None:
    faces = people(10)
    before = splits_fingerprint(faces, folds_of(faces))
    assert splits_fingerprint([face for face in faces if face.expression == "fear"], folds_of(faces)) == before
    assert splits_fingerprint(faces, folds_of(faces, seed=1)) != before
    assert splits_fingerprint(people(11), folds_of(faces)) != before


def test_eighty_people_make_folds_of_sixteen(shared: Path) -> None:
    faces = dataset_from_path(shared / "faces-london").listing(None).faces
    assert check_folds(faces, folds_of(faces)) == []
    assert [len(split(faces, fold).test) for fold in folds_of(faces)] == [16] * 5
    assert classes_of(faces) == ("happiness", "neutral")
