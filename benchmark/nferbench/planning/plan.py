"""From settings to stages, in an order in which each follows what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from nferbench.contract import ibug
from nferbench.contract.dataset import Dropped, FaceDataset, Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.people import lookalikes, told
from nferbench.contract.translator import Translator
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.left_out import counted
from nferbench.datasets.levels import Wanted
from nferbench.datasets.pairing import is_paired
from nferbench.faces.crops import ALL_POINTS
from nferbench.faces.folds import check_folds, classes_of, folds_of, is_fixed, split, splits_fingerprint, subjects_of
from nferbench.planning import initial
from nferbench.planning.levelling import remembered
from nferbench.planning.rows import Row, TableName
from nferbench.planning.settings import NO_EXTRA, UNNAMED, Role, Settings
from nferbench.planning.studies import Varied
from nferbench.workspace.stages import (
    HeldOut,
    MeasureTranslation,
    PrepareFaces,
    Recognise,
    ScoreTranslation,
    Stage,
    TrainNetwork,
    Translate,
    Translation,
)
from nferbench.workspace.store import Store

GIVEN = "given"  # the group of rows whose images others made
REFERENCES = {"nir-only": "NIR only (no extra set)", "oracle": "True NIR of the extra set (oracle)"}


@dataclass(frozen=True)
class FoldStages:
    """The stages behind one cell of a row; None, or no recognition, where the row has no such number."""

    fold: int
    translation: Translation | None
    quality: ScoreTranslation | None
    recognition: tuple[Recognise, ...]  # equal but for their seeds
    measures: tuple[MeasureTranslation, ...] = ()  # one a metric beside those of `quality`


@dataclass(frozen=True)
class RowStages:
    """One row of a table with its stages."""

    name: str
    title: str
    group: str  # "reference", "none", "gan", "diffusion" or `GIVEN`
    heterogeneous: bool
    stamps: tuple[str, ...]
    tables: tuple[TableName, ...]
    folds: tuple[FoldStages, ...]
    varied: Varied | None = None  # its place in a study


@dataclass(frozen=True)
class Work:
    """All stages of a run, in an order in which each follows what it needs, and the rows that they serve."""

    settings: Settings
    faces: PrepareFaces
    extra: PrepareFaces | None
    rows: tuple[RowStages, ...]
    stages: tuple[Stage, ...]  # of the folds that are wanted
    classes: tuple[str, ...]
    subjects: int
    pairs: int
    splits: str  # fingerprint of the subject lists of all folds
    division: Literal["folds", "repeats", "fixed"]  # fixed: by the split column of a manifest
    notes: tuple[str, ...]
    trainings: int  # network trainings, equal ones once
    trainings_unshared: int  # if every row trained its own
    listings: Mapping[PrepareFaces, Listing]


def data_roots(given: Sequence[str], settings: Settings, registered: Collection[str] = ()) -> dict[Role, Path]:
    """Where the data sets of a run lie, by role.

    Args:
        given: "PATH" for all data sets, or "NAME=PATH" for one. Of a registered set a folder PATH/NAME is preferred
            where it exists; a set given by path is called NAME unless a registered one is.
        settings: names the data sets.
        registered: the names of all registered data sets.

    Raises:
        UsageError: a path that is not a directory, or a NAME that is that of two different sets.
    """
    named = dict(text.split("=", 1) for text in given if "=" in text and not Path(text).is_dir())
    common = [Path(text) for text in given if text.partition("=")[0] not in named]
    roots: dict[Role, Path] = {}
    called: dict[str, FaceDataset] = {}
    for role, dataset in settings.sets().items():
        name, by_path = dataset.name, role in settings.by_path
        for path in common:
            roots[role] = path / name if not by_path and (path / name).is_dir() else path
        if name in named and not (by_path and name in registered):
            if repr(called.setdefault(name, dataset)) != repr(dataset):  # equal sets may lie at different places
                raise UsageError(
                    f"--data-root {name}=…: the data set and the extra set are both called {name}; "
                    "give one another name in the YAML file beside its manifest, or move both below one PATH"
                )
            roots[role] = Path(named[name])
        base = dataset.base(roots.get(role))
        if base is not None:
            roots[role] = base
        if role in roots and not roots[role].is_dir():
            raise UsageError(f"data root {roots[role]} of {name} is not a directory; give --data-root PATH")
    return roots


def plan_work(
    settings: Settings, roots: Mapping[Role, Path], store: Store, lpips: str, only: Collection[int] = ()
) -> Work:
    """All stages of a run.

    Args:
        settings: what decides the numbers.
        roots: data root by role.
        store: of the workspace, for its cache of file hashes.
        lpips: identity of the LPIPS weights, or why there are none.
        only: folds whose stages are wanted; empty for all. The rows have all folds either way.

    Raises:
        UsageError: a fold in `only` that there is not.
        UsageError, DataError: data that are missing or cannot be split into these folds.
    """
    faces, listing = faces_stage(settings, "dataset", roots, store)
    divisions = folds_of(listing.faces, settings.folds, settings.seed, settings.division)
    wanted = range(len(divisions)) if not only else sorted(only)
    if missing := [fold for fold in wanted if not 0 <= fold < len(divisions)]:
        raise UsageError(f"there is no fold {missing[0]}; allowed: 0 to {len(divisions) - 1}")
    called = _called(settings)
    notes = [*settings.notes, *check_folds(listing.faces, divisions)]
    folds = tuple(HeldOut(fold.index, split(listing.faces, fold).test) for fold in divisions)
    notes += [*_dropped(called["dataset"], listing.dropped), *listing.notes]
    if settings.without_extra == UNNAMED:
        notes.append(
            "no extra set was named, so no method gets an accuracy or F1; add --extra SET, the VIS set that is "
            f"translated to train on, or --extra {NO_EXTRA} to do without"
        )
    nir = {face.pair for face in listing.faces if face.modality == "nir" and face.pair}
    paired = [face.subject for face in listing.faces if face.modality == "vis" and face.pair in nir]
    if not paired:
        raise DataError(f"{settings.dataset.name} has no VIS-NIR pairs; a data set to translate in needs them")
    classes = classes_of(listing.faces)
    listings = {faces: listing}
    extra: PrepareFaces | None = None
    extra_modalities: set[str] = set()
    if settings.extra is not None:
        extra, extra_listing = faces_stage(settings, "extra", roots, store)
        listings[extra] = extra_listing
        notes += [*_dropped(called["extra"], extra_listing.dropped), *extra_listing.notes]
        usable = [face for face in extra_listing.faces if face.expression in classes]
        extra_modalities = {face.modality for face in usable}
        if "vis" not in extra_modalities:
            names = ", ".join(classes)
            raise DataError(f"extra set {settings.extra.name} has no VIS faces of {names}; choose another --extra")
    notes += _lookalikes(called["dataset"], listings, one_collection=_under_one_root(roots))
    tested = {subject for index in wanted for subject in folds[index].test}
    fewest = min(sum(subject not in fold.test for subject in paired) for fold in folds) or 1  # none is told of later
    for row in settings.rows:
        initial.check_unseen(row.translator, faces.content, settings.dataset.name, tested)
        initial.check_trained(row.translator, fewest)
    rows = [_reference("nir-only", settings, faces, folds, None)]
    rows += [_row(row, settings, faces, extra, folds, lpips, fewest) for row in settings.rows]
    if extra is not None and "nir" in extra_modalities:
        rows.insert(1, _reference("oracle", settings, faces, folds, extra))
    translations = [cell.translation for row in rows for cell in row.folds]
    needed = [need for each in translations if isinstance(each, Translate) for need in each.networks]
    trainings = [need for need in needed if isinstance(need, TrainNetwork) and need.fold.index in wanted]
    return Work(
        settings=settings,
        faces=faces,
        extra=extra,
        rows=tuple(rows),
        stages=ordered(rows, wanted),
        classes=classes,
        subjects=len({face.subject for face in listing.faces}),
        pairs=len(paired),
        splits=splits_fingerprint(listing.faces, divisions),
        division="fixed" if is_fixed(listing.faces) else settings.division,
        notes=tuple(dict.fromkeys(notes)),
        trainings=len(set(trainings)),
        trainings_unshared=len(trainings),
        listings=listings,
    )


def networks_of(translator: Translator, faces: PrepareFaces, fold: HeldOut, seed: int) -> tuple[TrainNetwork, ...]:
    """The trainings that a translator needs on a fold, in the order of sorted roles."""
    networks = translator.networks()
    called = {role: recipe.title or role for role, recipe in networks.items()}
    return tuple(TrainNetwork(networks[role], faces, fold, seed, called[role]) for role in sorted(networks))


def faces_stage(
    settings: Settings, role: Role, roots: Mapping[Role, Path], store: Store
) -> tuple[PrepareFaces, Listing]:
    """The stage that prepares the set of a role, and its listing.

    Raises:
        DataError: there is no usable face.
        UsageError: its faces lack the landmarks that the crop or the registration needs.
    """
    dataset, root = settings.sets()[role], roots.get(role)
    listing = dataset.listing(root)
    if not listing.faces:
        raise DataError(f"{dataset.name} has no usable faces{f' under {root}' if root else ''}; see its documentation")
    cache = store.workspace / "cache" / "hashes.json"
    content = fingerprint(listing, root, cache, sequences=settings.smooth)
    levels: Wanted = {"vis": settings.vis_levels, "nir": settings.nir_levels}
    dataset, listing = remembered(dataset, listing, root, content, levels, store)
    if settings.crop in ALL_POINTS:
        ibug.require(listing.landmarks, f"crop '{settings.crop}'", dataset.name)
    register = settings.register and role == "dataset" and is_paired(listing.faces)
    if register:
        ibug.require(listing.landmarks, "registration", dataset.name)
    stage = PrepareFaces(
        dataset, content, settings.size, settings.crop, listing.landmarks, register=register, smooth=settings.smooth
    )
    return stage, listing


def _row(
    row: Row,
    settings: Settings,
    faces: PrepareFaces,
    extra: PrepareFaces | None,
    folds: Sequence[HeldOut],
    lpips: str,
    fewest: int,
) -> RowStages:
    cells = []
    for fold in folds:
        networks = networks_of(row.translator, faces, fold, settings.seed)
        test = Translate(row.translator, networks, faces, "test", fold, settings.seed)
        recognition: tuple[Recognise, ...] = ()
        if extra is not None:
            # Without a fitted network nothing depends on the fold: one translation of the extra set serves them all.
            translated = Translate(row.translator, networks, extra, "all", fold if networks else None, settings.seed)
            recognition = recognitions(settings, faces, fold, translated)
        measures = tuple(MeasureTranslation(test, metric) for metric in settings.metrics)
        cells.append(FoldStages(fold.index, test, ScoreTranslation(test, lpips), recognition, measures))
    kind = row.translator
    told = (*kind.stamps, *initial.stamps(kind), *initial.frozen(kind, fewest))
    return RowStages(row.name, row.title, kind.group, kind.heterogeneous, told, row.tables, tuple(cells), row.varied)


def _reference(
    name: str, settings: Settings, faces: PrepareFaces, folds: Sequence[HeldOut], extra: PrepareFaces | None
) -> RowStages:
    cells = tuple(FoldStages(fold.index, None, None, recognitions(settings, faces, fold, extra)) for fold in folds)
    return RowStages(name, REFERENCES[name], "reference", False, (), ("comparison",), cells)


def recognitions(
    settings: Settings, faces: PrepareFaces, fold: HeldOut, extra: PrepareFaces | Translation | None
) -> tuple[Recognise, ...]:
    """All trainings of the recogniser on a fold with an extra set; they differ by their seeds."""
    return tuple(
        Recognise(settings.fer, faces, fold, settings.seed, extra, repeat=repeat)
        for repeat in range(settings.fer_seeds)
    )


def ordered(rows: Sequence[RowStages], folds: Collection[int]) -> tuple[Stage, ...]:
    """All stages of these folds of some rows, each after what it needs."""
    placed: dict[Stage, None] = {}

    def add(stage: Stage) -> None:
        if stage not in placed:
            for need in stage.needs():
                add(need)
            placed[stage] = None

    for index in folds:  # fold by fold: the first results come early
        for row in rows:
            cell = row.folds[index]
            for stage in (cell.translation, cell.quality, *cell.measures, *cell.recognition):
                if stage is not None:
                    add(stage)
    return tuple(placed)


def _called(settings: Settings) -> dict[Role, str]:
    """What notes call each set; two of one name are told apart."""
    names: dict[Role, str] = {role: dataset.name for role, dataset in settings.sets().items()}
    if len(names) == 2 and names["dataset"] == names["extra"]:
        names["extra"] += " (the extra set)"
    return names


def _lookalikes(name: str, listings: Mapping[PrepareFaces, Listing], *, one_collection: bool) -> list[str]:
    """A note on people who are tested and may have another name, in the extra set too where names mean the same."""
    target, *extra = (subjects_of(listing.faces) for listing in listings.values())
    others = extra if one_collection else []
    groups = [group for group in lookalikes([*target, *chain(*others)]) if not set(target).isdisjoint(group)]
    return [f"{name}: {told(groups)}"] if groups else []


def _under_one_root(roots: Mapping[Role, Path]) -> bool:
    return len(roots) == 2 and roots["dataset"].resolve() == roots["extra"].resolve()


def _dropped(name: str, dropped: Sequence[Dropped]) -> list[str]:
    return [f"{name}: {line}" for line in counted(dropped)]
