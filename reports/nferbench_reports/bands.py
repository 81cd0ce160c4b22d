"""Which frequencies of a test face its real NIR partner shares, for the VIS face and for what each row makes of it.

Beside each correlation stands that with the NIR face of somebody else who shows another expression: what any two faces
share. Intervals are Student's, over the means of subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nferbench_reports.frequencies import BANDS, LOW, Spectra, Values, correlations, rings, spectra
from nferbench_reports.grid import prepared_faces, read_images, test_subjects
from nferbench_reports.record import Entry, Record, Row
from nferbench_reports.results import Missing, read_table
from nferbench_reports.runs import Run
from nferbench_reports.stage_files import folder_of, missing_reason

PAIRS = 600  # that are measured at most
PIXELS = 2**23  # of their VIS faces at most: 128 of 256 px
VIS = "VIS face"  # the row of the faces as they are; no method can have that name
LEVEL = 95  # percent, of intervals
DIFFERENCE = "high minus low"
_SPECTRUM = ("dataset", "record", "row", "title", "cycles", "correlation", "low", "high", "baseline")
_BANDS = (
    *("dataset", "record", "row", "title", "band", "correlation", "low", "high", "baseline"),
    *("beyond", "beyond_low", "beyond_high"),
)
COUNTS = ("pairs", "subjects", "folds")
_AT_ONCE = 2**20  # pixels whose spectra are in memory together

_Lines = tuple[list["Pair"], Values, Values]  # pairs, and their correlations with partners and with others


@final
@dataclass(frozen=True)
class Pair:
    """A VIS face, its NIR partner and the NIR face of somebody else, by id."""

    subject: str
    vis: str
    nir: str
    other: str | None  # None where there is nobody else


@final
@dataclass(frozen=True)
class Measured:
    """What one row shares with real NIR, a line for each face and fold that it was translated in."""

    row: str
    title: str
    faces: tuple[Pair, ...]  # one a line
    partner: Values  # (lines, bands), correlation with the partner
    other: Values  # with somebody else; NaN where there is nobody
    folds: int  # that stand behind it
    lacking: str  # why there are not more; "" where none is lacking


@final
@dataclass(frozen=True)
class Shared:
    """What the rows of a run share with real NIR; the first of them are the VIS faces as they are."""

    record: Record
    file: str
    rows: tuple[Measured, ...]
    listed: int  # pairs of test faces, of which those that were measured are chosen


@final
@dataclass(frozen=True)
class _Images:
    """Faces of a stage that stand for VIS faces: these themselves, or what a row made of them in one fold."""

    folder: Path
    places: Mapping[str, int]  # by the id of the VIS face


@final
@dataclass(frozen=True)
class _Source:
    """What is compared with real NIR under one name."""

    row: str
    title: str
    images: tuple[_Images, ...]
    folds: int
    lacking: str


def shared(run: Run) -> Shared | Missing:
    """Measure the paired test faces of a run, and their translations by rows that stand in a table.

    Faces come from all folds with a finished stage. Rows of the group "none" are left out: they are the VIS faces.
    """
    record = run.record
    prepared = usable_faces(run.workspace, record)
    if isinstance(prepared, Missing):
        return prepared
    faces, images = prepared
    numbers = sorted({fold.fold for row in record.rows for fold in row.folds})
    tested = [subjects for fold in numbers if (subjects := test_subjects(run.workspace, record, fold))]
    if not tested:
        return Missing("no stage of any fold is complete")
    most = max(1, min(PAIRS, PIXELS // images.shape[1] ** 2))
    pairs, listed = choose(faces, list({one for subjects in tested for one in subjects}), most)
    if not pairs:
        return Missing("no pairs among the test faces")
    places = {face: i for i, face in enumerate(faces["id"])}
    own = _Images(folder_of(run.workspace, record.faces), places)
    lacking = "no stage of the others is complete" if len(tested) < record.protocol.folds else ""
    sources = [_Source(VIS, VIS, (own,), len(tested), lacking)]
    sources += [
        _source(run.workspace, result.row, images.shape[1:])
        for result in run.tabled()
        if result.row.group != "none" and any(fold.translation for fold in result.row.folds)
    ]
    lines: list[list[_Lines]] = [[] for _ in sources]
    at_once = max(1, _AT_ONCE // images.shape[1] ** 2)
    for start in range(0, len(pairs), at_once):
        block = pairs[start : start + at_once]
        partners = _spectra(images, [places[pair.nir] for pair in block])
        others = _spectra(images, [places[pair.other or pair.nir] for pair in block])
        for mine, source in zip(lines, sources, strict=True):
            mine += [found for one in source.images if (found := _compared(one, block, partners, others))]
    rows = [_measured(source, mine) for source, mine in zip(sources, lines, strict=True)]
    return Shared(record, run.file, tuple(rows), listed)


def usable_faces(workspace: Path, record: Record) -> tuple[pd.DataFrame, NDArray[np.uint8]] | Missing:
    """The prepared faces of a record where they are large enough to have high frequencies."""
    prepared = prepared_faces(workspace, record)
    if isinstance(prepared, Missing):
        return prepared
    side = prepared[1].shape[1]
    if rings(side) <= LOW:
        return Missing(f"faces of {side} px hold no frequencies above {LOW} cycles per face")
    return prepared


def choose(faces: pd.DataFrame, subjects: Sequence[str], most: int) -> tuple[list[Pair], int]:
    """The pairs that are measured, by rule, and how many there are.

    All of them, if there are no more than `most`. Else as many of each subject, subjects sorted by name: of subject
    number j, from 0, those that lie evenly behind its pair number j, sorted by id and counted round. Of more subjects
    than `most`, that many which lie evenly.

    Args:
        faces: prepared faces with id, modality, subject, expression and pair, in any order.
        subjects: whose faces may be taken.
        most: pairs.
    """
    faces = faces[(faces["pair"] != "") & faces["subject"].isin(list(subjects))].sort_values("id")
    partners = faces[faces["modality"] == "nir"].drop_duplicates("pair").set_index("pair")["id"]
    sources = faces[(faces["modality"] == "vis") & faces["pair"].isin(partners.index)]
    listed = {
        str(subject): list(zip(mine["id"], mine["expression"], mine["pair"].map(partners), strict=True))
        for subject, mine in sources.groupby("subject")
    }
    count = len(sources)
    names = sorted(listed)
    names = names if len(names) <= most else [names[i * len(names) // most] for i in range(most)]
    each = max(1, most // max(1, len(names))) if count > most else count
    chosen = []
    for j, subject in enumerate(names):
        mine, others = listed[subject], listed[names[(j + 1) % len(names)]] if len(names) > 1 else []
        taken = min(each, len(mine))
        for place in sorted((j + k * len(mine) // taken) % len(mine) for k in range(taken)):
            vis, expression, nir = mine[place]
            turned = [others[(place + step) % len(others)] for step in range(len(others))]
            unlike = next((one for one in turned if one[1] != expression), turned[0] if turned else None)
            chosen.append(Pair(subject, vis, nir, unlike[2] if unlike else None))
    return chosen, count


def spectrum_frame(found: Sequence[Shared]) -> pd.DataFrame:
    """A line for each row and ring: dataset, record, row, title, cycles (per face), correlation, low, high, baseline.

    Behind these stand pairs, subjects and folds. `low` and `high` are the ends of the interval of `correlation`.
    """
    lines = []
    for one, row in _rows(found):
        values = zip(*_spread(row, row.partner), _means(row, row.other).mean(0), strict=True)
        cycles = enumerate(list(values)[len(BANDS) :], start=1)
        lines += [(*_named(one, row), cycle, *numbers, *_counts(row)) for cycle, numbers in cycles]
    return pd.DataFrame(lines, columns=[*_SPECTRUM, *COUNTS])


def bands_frame(found: Sequence[Shared]) -> pd.DataFrame:
    """A line for each row and band: low and high frequencies, and the difference of both, paired over faces.

    Columns: dataset, record, row, title, band, correlation with the ends of its interval, baseline, and `beyond`, their
    difference, with the ends of its interval; then pairs, subjects and folds.
    """
    lines = []
    for one, row in _rows(found):
        partner, other = (_with_difference(values) for values in (row.partner, row.other))
        numbers = zip(*_spread(row, partner), _means(row, other).mean(0), *_spread(row, partner - other), strict=True)
        bands = zip((*BANDS, DIFFERENCE), numbers, strict=True)
        lines += [(*_named(one, row), band, *values, *_counts(row)) for band, values in bands]
    return pd.DataFrame(lines, columns=[*_BANDS, *COUNTS])


def _with_difference(values: Values) -> Values:
    return np.stack([values[:, 0], values[:, 1], values[:, 1] - values[:, 0]], axis=1)


def _rows(found: Sequence[Shared]) -> Iterator[tuple[Shared, Measured]]:
    return ((one, row) for one in found for row in one.rows if row.faces)


def _named(one: Shared, row: Measured) -> tuple[str, str, str, str]:
    return one.record.protocol.dataset, one.file, row.row, row.title


def _counts(row: Measured) -> tuple[int, int, int]:
    return len({pair.vis for pair in row.faces}), len({pair.subject for pair in row.faces}), row.folds


def _means(row: Measured, values: Values) -> Values:
    """The mean of each subject, (subjects, columns)."""
    subjects, which = np.unique([pair.subject for pair in row.faces], return_inverse=True)
    sums = np.zeros((len(subjects), values.shape[1]))
    np.add.at(sums, which, values)
    means: Values = sums / np.bincount(which)[:, None]
    return means


def _spread(row: Measured, values: Values) -> tuple[Values, Values, Values]:
    """The mean over subjects of each column, and the ends of its interval; NaN for one subject."""
    from scipy.special import stdtrit

    means = _means(row, values)
    count, centre = len(means), means.mean(axis=0)
    if count < 2:
        return centre, np.full_like(centre, np.nan), np.full_like(centre, np.nan)
    reach = stdtrit(count - 1, 0.5 + LEVEL / 200) * means.std(axis=0, ddof=1) / np.sqrt(count)
    return centre, centre - reach, centre + reach


def _source(workspace: Path, row: Row, shape: tuple[int, ...]) -> _Source:
    """The translations of a row that are there, and why others are not, a reason for each fold."""
    opened = {fold.fold: _opened(workspace, fold.translation, shape) for fold in row.folds}
    there = tuple(one for one in opened.values() if not isinstance(one, Missing))
    reasons = [f"fold {fold}: {one.reason}" for fold, one in opened.items() if isinstance(one, Missing)]
    return _Source(row.name, row.title, there, len(there), "; ".join(reasons))


def _opened(workspace: Path, entry: Entry | None, shape: tuple[int, ...]) -> _Images | Missing:
    if entry is None:
        return Missing("not part of the run")
    if reason := missing_reason(workspace, entry, "faces.csv", "images.npy"):
        return Missing(reason)
    folder = folder_of(workspace, entry)
    faces, images = read_table(folder / "faces.csv", ("id",)), read_images(folder)
    if isinstance(faces, Missing):
        return faces
    if isinstance(images, Missing):
        return images
    if images.shape != (len(faces), *shape):
        return Missing(f"{folder.name}/images.npy does not hold the faces of faces.csv at their size")
    return _Images(folder, {face: i for i, face in enumerate(faces["id"])})


def _spectra(images: NDArray[np.uint8], places: Sequence[int]) -> Spectra:
    """Those of some faces in grey, the mean of their channels."""
    chosen = images[list(places)]
    return spectra((chosen[..., 0].astype(float) + chosen[..., 1] + chosen[..., 2]) / 3)


def _compared(made: _Images, pairs: Sequence[Pair], partners: Spectra, others: Spectra) -> _Lines | None:
    """The pairs that are among some images, compared; images stay open no longer, or a large run has too many."""
    mine = [i for i, pair in enumerate(pairs) if pair.vis in made.places]
    images = read_images(made.folder)
    if not mine or isinstance(images, Missing):
        return None
    found = _spectra(images, [made.places[pairs[i].vis] for i in mine])
    nobody = np.array([[pairs[i].other is None] for i in mine])
    unlike = np.where(nobody, np.nan, correlations(found, others.some(mine)))
    return [pairs[i] for i in mine], correlations(found, partners.some(mine)), unlike


def _measured(source: _Source, lines: Sequence[_Lines]) -> Measured:
    pairs, partner, other = zip(*lines, strict=True) if lines else ((), (np.zeros((0, 0)),), (np.zeros((0, 0)),))
    faces = tuple(chain.from_iterable(pairs))
    return Measured(
        source.row, source.title, faces, np.concatenate(partner), np.concatenate(other), source.folds, source.lacking
    )
