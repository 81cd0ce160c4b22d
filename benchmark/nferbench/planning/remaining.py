"""What is left of the listed faces once they are prepared: a class or a fold that is gone stops a run."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.datasets.left_out import by_kind
from nferbench.datasets.pairing import by_pair
from nferbench.faces.prepared import read_prepared
from nferbench.planning.plan import Work
from nferbench.workspace.files import read_json
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import Store


def check_remaining(work: Work, store: Store) -> None:
    """Hold what was prepared against what was listed; sets that are not prepared yet are passed over.

    Classes and folds follow from the listing. Where all faces of one of them turned out to be unusable, numbers would
    be told of something that is not there.

    Raises:
        DataError: what the listing had and preparing lost, one line with counts: a class, one side of a fold that
            shows a class or has pairs.
    """
    lost: list[str] = []
    for stage in (work.faces, work.extra):
        if stage is None or (kept := _kept(stage, store)) is None:
            continue
        reasons = _reasons(store.path(stage))
        listed = [face for face in work.listings[stage].faces if face.expression in work.classes]
        lost += _lost_classes(stage.dataset.name, listed, kept, reasons)
        if stage == work.faces and not lost:
            lost += _lost_folds(work, listed, kept, reasons)
    if lost:
        more = f" (and {len(lost) - 1} more like this)" if len(lost) > 1 else ""
        raise DataError(f"{lost[0]}{more}; nothing is trained, repair these files or take them out of the data set")


def require_extra(work: Work, store: Store) -> None:
    """Stop a run whose extra set could not be prepared, though the data set could; ask once that was tried.

    Raises:
        DataError: why it could not.
    """
    if work.extra is None or _kept(work.faces, store) is None or _kept(work.extra, store) is not None:
        return
    if reason := _failure(work.extra, store):
        raise DataError(f"{reason}; nothing is trained without the extra set")


def _kept(stage: PrepareFaces, store: Store) -> tuple[Face, ...] | None:
    """The faces that were prepared; None where that is yet to be done."""
    try:
        return None if store.find(stage) is None else read_prepared(store.path(stage)).faces
    except DataError:  # damaged: it will be prepared again, and looked at then
        return None


def _failure(stage: PrepareFaces, store: Store) -> str:
    """Why the last attempt at preparing failed; "" where none did."""
    try:
        failure = read_json(store.workspace / "failures" / f"{key(stage)}.json")
    except (FileNotFoundError, DataError):
        return ""
    return one_line(str(failure.get("reason"))) if failure.get("status") == "failed" else ""


def _lost_classes(name: str, listed: Sequence[Face], kept: Sequence[Face], reasons: Mapping[str, str]) -> Iterator[str]:
    left = {(face.expression, face.modality) for face in kept}
    for expression in dict.fromkeys(face.expression for face in listed):
        mine = [face for face in listed if face.expression == expression]
        gone = [[face for face in mine if face.modality == modality] for modality in ("vis", "nir")]
        gone = [faces for faces in gone if faces and (expression, faces[0].modality) not in left]
        if gone:
            # Faces also go because their partner did: the modality with the fewest of those says why.
            faces = min(gone, key=lambda faces: sum("partner" in reasons.get(_named(face), "") for face in faces))
            counts = _counts(faces, reasons, faces[0].modality.upper())
            yield f"{name}: no usable face of class `{expression}` is left ({counts})"


def _lost_folds(work: Work, listed: Sequence[Face], kept: Sequence[Face], reasons: Mapping[str, str]) -> Iterator[str]:
    """Parts of folds that lost all faces of a class, or all pairs."""
    name = work.faces.dataset.name
    everyone = {face.subject for face in listed}
    recognised = "nir" if any(face.modality == "nir" for face in listed) else "vis"
    for cell in work.rows[0].folds:
        if not cell.recognition:
            continue
        test = set(cell.recognition[0].fold.test)
        for side, people in (("training", everyone - test), ("test", test)):
            before, after = ([face for face in faces if face.subject in people] for faces in (listed, kept))
            for expression in work.classes:
                mine = [face for face in before if (face.expression, face.modality) == (expression, recognised)]
                if mine and not any((face.expression, face.modality) == (expression, recognised) for face in after):
                    counts = _counts(mine, reasons, recognised.upper())
                    yield f"{name}: fold {cell.fold} has no usable {side} face of class `{expression}` left ({counts})"
            pairs = [group for group in by_pair(before).values() if len(group) == 2]
            if pairs and not any(len(group) == 2 for group in by_pair(after).values()):
                counts = _counts([face for group in pairs for face in group], reasons, "paired")
                yield f"{name}: fold {cell.fold} has no usable {side} pair left ({counts})"


def _counts(faces: Sequence[Face], reasons: Mapping[str, str], what: str) -> str:
    """How many of some faces were left out, and why."""
    why = by_kind(reasons[_named(face)] for face in faces if _named(face) in reasons)
    told = ", ".join(f"{count} {kind}" for kind, count in why.items())
    return f"{sum(why.values())} of {len(faces)} {what} faces left out: {told}"


def _reasons(folder: Path) -> dict[str, str]:
    """Why faces were left out, by their ids as they are written."""
    try:
        with (folder / "dropped.csv").open(newline="", encoding="utf-8") as file:
            return {row["what"]: row["reason"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"{folder}: prepared faces are damaged ({error}); delete the folder to prepare again") from None


def _named(face: Face) -> str:
    return one_line(face.id)
