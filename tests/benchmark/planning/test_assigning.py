"""Which fold translates which image: one that did not train on the person, or marked."""

from __future__ import annotations

import re

import pytest

from nferbench.contract.errors import UsageError
from nferbench.faces.known import Known
from nferbench.planning.assigning import Assigned, Wanted, assigned, check_fold
from nferbench.workspace.stages import HeldOut

FOLDS = {0: HeldOut(0, ("a", "b")), 2: HeldOut(2, ("c", "d"))}
KNOWN = {
    "1.png": (Known("a", "name"),),
    "2.png": (Known("d", "file"), Known("d", "picture")),
    "3.png": (Known("e", "name"),),  # held out by a fold that is not fitted
    "4.png": (Known("a", "file"), Known("c", "name")),
    "5.png": (Known("?", "file"),),  # in the data set, by no name: trained on by all
}


def fold_of(image: str, wanted: Wanted, *, keep: bool = False, folds: dict[int, HeldOut] = FOLDS) -> Assigned:
    return assigned([image], KNOWN, folds, wanted, trained_on=keep)[image]


@pytest.mark.parametrize(("image", "fold"), [("1.png", 0), ("2.png", 2)])
def test_auto_takes_the_fold_that_held_the_person_out(image: str, fold: int) -> None:
    assert fold_of(image, "auto") == Assigned(fold)
    assert fold_of(image, fold) == Assigned(fold)


@pytest.mark.parametrize(
    ("image", "wanted"), [("1.png", 2), ("2.png", 0), *((f"{i}.png", w) for i in (3, 4, 5) for w in (0, 2, "auto"))]
)
def test_people_that_were_trained_on_are_refused_or_marked(image: str, wanted: Wanted) -> None:
    with pytest.raises(
        UsageError, match=rf"1 images show people whom fold .* trained on \({re.escape(image)}: "
    ) as told:
        fold_of(image, wanted)
    assert "--trained-on" in str(told.value) and "\n" not in str(told.value)
    kept = fold_of(image, wanted, keep=True)
    assert kept.trained_on and set(kept.trained_on) <= {"file", "name", "picture"}


def test_only_what_gave_somebody_away_that_was_trained_on_is_marked() -> None:
    assert fold_of("2.png", 0, keep=True).trained_on == ("file", "picture")
    assert fold_of("4.png", 0, keep=True).trained_on == ("name",)
    assert fold_of("4.png", 2, keep=True).trained_on == ("file",)


def test_strangers_need_a_fold_that_is_named_or_the_only_one() -> None:
    assert fold_of("x.png", 2) == Assigned(2)
    one = {2: FOLDS[2]}
    assert fold_of("x.png", None, folds=one) == fold_of("x.png", "auto", folds=one) == Assigned(2)
    with pytest.raises(UsageError, match=r"1 images show nobody of whom it is known .* \(x.png\); name a fold"):
        fold_of("x.png", "auto")
    with pytest.raises(UsageError, match="fitted on folds 0, 2; name one with --fold, or --fold auto"):
        fold_of("x.png", None)


def test_a_fold_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(UsageError, match="fold 1 is not fitted; fitted: 0, 2"):
        check_fold(1, FOLDS)


def test_many_images_are_told_by_the_first() -> None:
    images = [f"{i}\n.png" for i in range(9)]
    known = {image: (Known("a", "name"),) for image in images}
    with pytest.raises(UsageError, match=r"^9 images .*and 4 more") as told:
        assigned(images, known, FOLDS, 2, trained_on=False)
    assert "\n" not in str(told.value)
