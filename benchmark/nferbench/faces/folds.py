"""Folds by person: who trains and who is tested. No person is ever on both sides."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.people import UNKNOWN
from nferbench.datasets.labels import CLASSES

Division = Literal["folds", "repeats"]


@dataclass(frozen=True)
class Fold:
    """One of `count` divisions of the subjects into a training and a test part.

    Raises:
        UsageError: there is no such fold.
    """

    index: int  # from 0
    count: int = 5  # folds in all; 5 trains on 80 % and tests on 20 %
    seed: int = 0  # of the shuffle
    draw: bool = False  # a random draw of its own, so that a person may be tested in several or in none

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UsageError(f"fold {self.index} of {self.count} does not exist; the first is 0")
        if self.seed < 0:
            raise UsageError(f"the seed of the folds is {self.seed}; it must be 0 or more")


@dataclass(frozen=True)
class Split:
    """The subjects of a fold, each part sorted."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def subjects_of(faces: Iterable[Face]) -> tuple[str, ...]:
    """The known subjects, sorted."""
    return tuple(sorted({face.subject for face in faces} - {UNKNOWN}))


def classes_of(faces: Iterable[Face]) -> tuple[str, ...]:
    """The expressions that occur, in canonical order; the label of a face is its place in this tuple."""
    present = {face.expression for face in faces}
    return tuple(name for name in CLASSES if name in present)


def folds_of(faces: Sequence[Face], count: int = 5, seed: int = 0, division: Division = "folds") -> tuple[Fold, ...]:
    """All folds of a data set: `count` shuffled ones, or those that the split column of its manifest fixes.

    With division "repeats" each is an independent draw of one part in `count` of the subjects.
    """
    fixed = _fixed_tests(faces)
    if fixed:
        return tuple(Fold(index, len(fixed), 0) for index in range(len(fixed)))
    return tuple(Fold(index, count, seed, draw=division == "repeats") for index in range(count))


def is_fixed(faces: Iterable[Face]) -> bool:
    """Whether the split column of a manifest divides the subjects, so that nobody else has a say in it."""
    return bool(_fixed_tests(faces))


def split(faces: Iterable[Face], fold: Fold) -> Split:
    """Divide the subjects of `faces` for one fold.

    A split column in the manifest decides alone: fold numbers give as many folds as there are numbers, in their
    order, and train/test gives fold 0 only. Otherwise the subjects, sorted and then shuffled with the fold's seed, are
    dealt into `count` test parts whose sizes differ by at most one; or, for a draw, one part in `count` of them is
    drawn with the fold's seed and index. Faces of unknown subject always train.

    Args:
        faces: all faces of the data set, in any order.
        fold: which division.

    Raises:
        UsageError: the data fix fewer folds than this one.
        DataError: too few subjects, or a split column that contradicts itself.
    """
    faces = tuple(faces)
    subjects = subjects_of(faces)
    fixed = _fixed_tests(faces)
    if fixed:
        if fold.index >= len(fixed):
            few = "one fixed split" if len(fixed) == 1 else f"{len(fixed)} fixed folds"
            raise UsageError(f"fold {fold.index}: the split column gives {few}; use folds 0 to {len(fixed) - 1}")
        test = fixed[fold.index]
    else:
        if fold.count < 2:
            raise UsageError(f"{fold.count} fold without a split column leaves nothing to train on; use 2 or more")
        if len(subjects) < fold.count:
            raise DataError(
                f"{_people(len(subjects))} cannot make {fold.count} folds; use fewer folds or more subjects"
            )
        if fold.draw:
            order = np.random.default_rng([fold.seed, fold.index]).permutation(len(subjects))
            test = {subjects[i] for i in order[: max(1, round(len(subjects) / fold.count))]}
        else:
            order = np.random.default_rng(fold.seed).permutation(len(subjects))
            test = {subjects[i] for i in order[fold.index :: fold.count]}
    unknown = {face.subject for face in faces} & {UNKNOWN}
    return Split(tuple(sorted((set(subjects) | unknown) - test)), tuple(sorted(test)))


def check_folds(faces: Sequence[Face], folds: Sequence[Fold]) -> list[str]:
    """Find out before any training whether every fold can be trained and tested.

    Classes are looked for among the NIR faces, which the recogniser trains on and is tested with, or among all faces
    where there are no NIR ones.

    Returns:
        What deserves a note, one line each: a class that a fold never tests.

    Raises:
        UsageError, DataError: as `split`; also fewer than two classes, or a class that a fold cannot train.
    """
    classes = classes_of(faces)
    if len(classes) < 2:
        found = f"only '{classes[0]}' occurs" if classes else "no expression occurs"
        raise DataError(f"{found}; a recogniser needs at least two classes, check the expression labels")
    seen = [face for face in faces if face.modality == "nir"] or faces
    notes = []
    for fold in folds:
        parts = split(faces, fold)
        absent = _absent(seen, parts.train, classes)
        if absent:
            raise DataError(
                f"fold {fold.index}: no training face shows {', '.join(absent)}; use fewer folds or other data"
            )
        absent = _absent(seen, parts.test, classes)
        if len(absent) == len(classes):
            raise DataError(f"fold {fold.index}: there is no face to test on; use fewer folds or other data")
        if absent:
            notes.append(f"fold {fold.index}: no test face shows {', '.join(absent)}")
    return notes


def splits_fingerprint(faces: Sequence[Face], folds: Iterable[Fold]) -> str:
    """SHA-256 (64 hex digits) of the explicit subject lists of these folds, whatever made them."""
    lists = [[fold.index, (parts := split(faces, fold)).train, parts.test] for fold in folds]
    return hashlib.sha256(json.dumps(lists).encode()).hexdigest()


def _fixed_tests(faces: Iterable[Face]) -> list[set[str]]:
    """The test subjects of each fold that the data fix; empty where they fix none."""
    splits: dict[str, set[str]] = defaultdict(set)
    for face in faces:
        if face.subject != UNKNOWN:
            splits[face.subject].add(face.split)
        elif face.split not in ("", "train"):
            raise DataError(f"{face.id}: subject {UNKNOWN} has split '{face.split}'; unknown people may only train")
    values = set().union(*splits.values())
    if values <= {""}:
        return []
    for subject, mine in sorted(splits.items()):
        if len(mine) > 1:
            both = " and ".join(repr(value) for value in sorted(mine))
            raise DataError(f"subject '{subject}' has the splits {both}; all faces of a person need the same one")
    if values == {"train", "test"}:
        return [{subject for subject, mine in splits.items() if mine == {"test"}}]
    if len(values) > 1 and all(value.isdigit() for value in values):
        return [{subject for subject, mine in splits.items() if mine == {value}} for value in sorted(values, key=int)]
    found = ", ".join(repr(value) for value in sorted(values))
    raise DataError(
        f"the split column holds {found}; it must hold train and test, or two fold numbers or more, in every row"
    )


def _absent(faces: Iterable[Face], subjects: Iterable[str], classes: Iterable[str]) -> list[str]:
    chosen = set(subjects)
    present = {face.expression for face in faces if face.subject in chosen}
    return [name for name in classes if name not in present]


def _people(count: int) -> str:
    return "one subject" if count == 1 else f"{count} subjects"
