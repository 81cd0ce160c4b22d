"""By which fold of a fitted method each image is translated: by one that did not train on the person, or marked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import first_of
from nferbench.faces.known import Known
from nferbench.workspace.stages import HeldOut, PrepareFaces, Translate

Wanted = int | Literal["auto"] | None


@final
@dataclass(frozen=True)
class Assigned:
    """How one image is translated."""

    fold: int
    trained_on: tuple[str, ...] = ()  # by what it was found that the fold trained on the person; none where it did not


def check_fold(wanted: Wanted, folds: Collection[int]) -> None:
    """Hold what is said of the fold to those that are fitted.

    Raises:
        UsageError: it is none of them, or nothing is said and there are several.
    """
    listed = ", ".join(map(str, folds))
    if wanted is None and len(folds) > 1:
        raise UsageError(f"the method is fitted on folds {listed}; name one with --fold, or --fold auto")
    if isinstance(wanted, int) and wanted not in folds:
        raise UsageError(f"fold {wanted} is not fitted; fitted: {listed}")


def assigned(
    images: Sequence[str],
    known: Mapping[str, Sequence[Known]],
    folds: Mapping[int, HeldOut],
    wanted: Wanted,
    *,
    trained_on: bool,
) -> dict[str, Assigned]:
    """The fold of each image.

    Args:
        images: their ids.
        known: who of the data set they show, as far as it is known.
        folds: what each fitted fold held out; one at least.
        wanted: a fold for all; "auto" for the first that held out the person, which people of whom nothing is known
            have only where one fold is fitted; None for the only one that is fitted.
        trained_on: whether images of people that their fold trained on are kept and marked.

    Raises:
        UsageError: the fold is not fitted, has to be named, or trained on people of whom there are images.
    """
    check_fold(wanted, folds)
    only = next(iter(folds)) if len(folds) == 1 else None
    named = wanted if isinstance(wanted, int) else only
    found: dict[str, Assigned] = {}
    strangers: list[str] = []
    for image in images:
        people = known.get(image, ())
        unseen = [fold for fold, held in folds.items() if all(each.subject in held.test for each in people)]
        fold = next(iter(unseen), only) if wanted == "auto" and people else named
        if fold is None:
            if not people:
                strangers.append(image)
            fold = next(iter(folds))
        seen = (each.how for each in people if each.subject not in folds[fold].test)
        found[image] = Assigned(fold, tuple(sorted(set(seen))))
    if strangers:
        raise UsageError(
            f"{len(strangers)} images show nobody of whom it is known which fold held them out "
            f"({first_of(strangers)}); name a fold with --fold: {', '.join(map(str, folds))}"
        )
    marked = [image for image, each in found.items() if each.trained_on]
    if marked and not trained_on:
        who = first_of([f"{image}: {_people(known[image])}" for image in marked], "; ")
        raise UsageError(
            f"{len(marked)} images show people whom {_called(found, marked)} trained on ({who}); let --fold auto take "
            "the fold that held each out, write ? as the subject of a namesake, or keep them marked with --trained-on"
        )
    return found


def _called(found: Mapping[str, Assigned], marked: Sequence[str]) -> str:
    folds = sorted({found[image].fold for image in marked})
    return f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"


def _people(known: Sequence[Known]) -> str:
    return ", ".join(f"{each.subject} by {each.how}" for each in known)


def translations(
    fitted: Mapping[int, Translate], faces: PrepareFaces, found: Mapping[str, Assigned], seed: int | None
) -> dict[int, Translate]:
    """The translation of images by each fold that one of them is assigned to.

    Args:
        fitted: of each fold, the translation of its test faces.
        faces: the images.
        found: as `assigned`.
        seed: of samples; None takes that of the test faces.
    """
    folds = sorted({each.fold for each in found.values()})
    by_fold = {fold: tuple(sorted(name for name, each in found.items() if each.fold == fold)) for fold in folds}
    return {
        fold: replace(
            fitted[fold],
            source=faces,
            part="all",
            fold=fitted[fold].fold if fitted[fold].networks else None,
            seed=fitted[fold].seed if seed is None else seed,
            only=by_fold[fold] if len(folds) > 1 else None,
        )
        for fold in folds
    }
