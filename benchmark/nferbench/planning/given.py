"""Rows whose images others made: from folders that are named to stages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from nferbench.contract.errors import DataError, PluginError, UsageError
from nferbench.contract.printable import first_of, one_line
from nferbench.contract.values import digest
from nferbench.datasets.fingerprint import contents
from nferbench.datasets.given import read_given
from nferbench.faces.prepared import pairs, read_prepared, rows_of
from nferbench.planning.checks import check_name
from nferbench.planning.given_folders import Folder, Found, Images, found_in
from nferbench.planning.plan import GIVEN, FoldStages, RowStages, Work, ordered, recognitions
from nferbench.planning.plugins import METHOD_WORDS
from nferbench.planning.presets import row_names
from nferbench.workspace.stages import GivenImages, HeldOut, MeasureTranslation, ScoreTranslation
from nferbench.workspace.store import Store


@final
@dataclass(frozen=True)
class Given:
    """A row as it was asked for."""

    name: str
    test: Path  # folder of the translated test faces
    extra: Path | None = None  # that of the translated extra set; without it there is no recognition


def given_rows(pred: Sequence[str], pred_extra: Sequence[str], methods: Collection[str]) -> tuple[Given, ...]:
    """The rows that are asked for.

    Args:
        pred: NAME=DIR for the test faces of each row.
        pred_extra: NAME=DIR for its extra set.
        methods: names of registered methods, which mean something else.

    Raises:
        UsageError: one line for each problem.
    """
    problems: list[str] = []
    test, extra = (_named(*each, problems) for each in (("--pred", pred), ("--pred-extra", pred_extra)))
    for name in test:
        try:
            check_name(name, {*METHOD_WORDS, *row_names(), *methods})
        except PluginError as error:
            problems.append(f"--pred {one_line(name)}=…: {error}")
    alone = [one_line(name) for name in extra if name not in test]
    problems += [f"--pred-extra {name}=…: there is no --pred {name}=DIR for its test faces" for name in alone]
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(Given(name, folder, extra.get(name)) for name, folder in test.items())


def with_given(
    work: Work, given: Sequence[Given], lpips: str, store: Store, only: Collection[int] = (), *, resize: bool = False
) -> Work:
    """A run with rows of images by others in the place of its methods; its faces are prepared.

    Without any translation of the extra set nothing is recognised, and references have no place either.

    Args:
        work: the run, whose first row is a reference.
        given: the rows.
        lpips: identity of the LPIPS weights, or why there are none.
        store: of the workspace.
        only: folds that are wanted, empty for all. A row also has the others if all of their images are there.
        resize: whether images of another side are scaled.

    Raises:
        UsageError: images of the extra set, and no extra set.
        DataError: images that are missing, ambiguous, or cannot be used as they are.
    """
    folds = {cell.fold: cell.recognition[0].fold for cell in work.rows[0].folds}
    wanted = sorted(only) if only else list(folds)
    rows: list[RowStages] = []
    notes: list[str] = []
    for each in given:
        named = [_tested(each, work, folds, store), *_translated(each, work, folds, store)]
        found = [found_in(folder, work.listings[folder.source].faces, wanted) for folder in named]
        notes += [note for folder, images in zip(named, found, strict=True) if (note := images.note(folder))]
        test, *extra = (
            _stages(each.name, folder, images, folds, store, resize)
            for folder, images in zip(named, found, strict=True)
        )
        rows.append(_row(each.name, test, extra[0] if extra else None, work, folds, lpips))
    references = [row for row in work.rows if row.group == "reference" and any(each.extra for each in given)]
    placed = (*references, *rows)
    return replace(
        work, rows=placed, stages=ordered(placed, wanted), notes=tuple(notes), trainings=0, trainings_unshared=0
    )


def content_of(images: Sequence[tuple[str, str]]) -> str:
    """What stands for some images: 64 hex digits of the ids of their faces, and the SHA-256 of the file of each."""
    return digest([list(each) for each in images])


def _named(option: str, words: Sequence[str], problems: list[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for word in words:
        name, _, typed = word.partition("=")
        folder = Path(typed).expanduser()  # a shell expands no ~ behind an equals sign
        if not name or not typed:
            problems.append(f"{option} {one_line(word)}: write NAME=DIR, such as {option} mine=translated")
        elif not folder.is_dir():
            problems.append(f"{option} {one_line(word)}: {one_line(typed)} is no folder; name one that holds images")
        elif name in named:
            problems.append(f"{option} {one_line(name)}=… is given twice; keep one")
        else:
            named[name] = folder
    return named


def _tested(given: Given, work: Work, folds: Mapping[int, HeldOut], store: Store) -> Folder:
    prepared = read_prepared(store.path(work.faces))
    due = {fold: tuple(prepared.faces[row].id for row in pairs(prepared, held.test)[0]) for fold, held in folds.items()}
    return Folder(f"--pred {given.name}={given.test}", given.test, work.faces, "test", due)


def _translated(given: Given, work: Work, folds: Mapping[int, HeldOut], store: Store) -> list[Folder]:
    """The folder of the extra set; none where none was named."""
    if given.extra is None:
        return []
    option = f"--pred-extra {given.name}={given.extra}"
    if work.extra is None:
        raise UsageError(f"{option}: {work.settings.without_extra}; name the set with --extra SET")
    prepared = read_prepared(store.path(work.extra))
    everyone = rows_of(prepared, "vis", {face.subject for face in prepared.faces})
    due = dict.fromkeys(folds, tuple(prepared.faces[row].id for row in everyone))
    return [Folder(option, given.extra, work.extra, "all", due)]


def _stages(
    name: str, folder: Folder, found: Found, folds: Mapping[int, HeldOut], store: Store, resize: bool
) -> dict[int, GivenImages]:
    """The stage of each fold that takes its images.

    Raises:
        DataError: images that cannot be read, are no squares, or have another side where they are not resized.
    """
    size = folder.source.size
    files = sorted({path for images in found.images.values() for path in images.values()})
    with ThreadPoolExecutor() as pool:
        shapes = dict(zip(files, pool.map(_shape, files), strict=True))
    if faults := list(filter(None, (_fault(path, shape, size, resize) for path, shape in shapes.items()))):
        told = first_of(faults, "; ")
        raise DataError(f"{one_line(folder.option)}: {len(faults)} of {len(files)} images cannot be used: {told}")
    known = contents([str(path.absolute()) for path in files], folder.path, store.workspace / "cache" / "hashes.json")

    def taken(images: Images, fold: HeldOut | None) -> GivenImages:
        absolute = {face: str(path.absolute()) for face, path in images.items()}
        return GivenImages(
            name=name,
            files=tuple(absolute.items()),
            content=content_of([(face, known[file]) for face, file in absolute.items()]),
            scaled=any(shapes[path] != (size, size) for path in images.values()),
            source=folder.source,
            part=folder.part,
            fold=fold,
        )

    shared = folder.part == "all" and found.whole
    return {fold: taken(images, None if shared else folds[fold]) for fold, images in found.images.items()}


def _shape(path: Path) -> tuple[int, int] | str:
    """Height and width of an image, or why it cannot be read."""
    try:
        height, width = read_given(path).shape[:2]
    except DataError as error:
        return str(error)
    return height, width


def _fault(path: Path, shape: tuple[int, int] | str, size: int, resize: bool) -> str:
    """What keeps an image from being taken; "" where nothing does."""
    if isinstance(shape, str):
        return shape
    height, width = shape
    if height != width:
        return f"{path}: {width} x {height} pixels; a square face of {size} is due"
    if height != size and not resize:
        return f"{path}: {width} x {height} pixels, faces have {size}; --resize scales them"
    return ""


def _row(
    name: str,
    test: Mapping[int, GivenImages],
    extra: Mapping[int, GivenImages] | None,
    work: Work,
    folds: Mapping[int, HeldOut],
    lpips: str,
) -> RowStages:
    cells = []
    for fold, held in folds.items():
        translation, others = test.get(fold), None if extra is None else extra.get(fold)
        if translation is None or (extra is not None and others is None):
            cells.append(FoldStages(fold, None, None, ()))
        else:
            trained = recognitions(work.settings, work.faces, held, others) if others else ()
            measures = tuple(MeasureTranslation(translation, metric) for metric in work.settings.metrics)
            cells.append(FoldStages(fold, translation, ScoreTranslation(translation, lpips), trained, measures))
    stages = [*test.values(), *(extra or {}).values()]
    stamp = f"images by others, SHA-256 {digest(sorted({stage.content for stage in stages}))[:12]}"
    if any(stage.scaled for stage in stages):
        stamp += f", scaled to {work.faces.size} px"
    return RowStages(name, name, GIVEN, False, (stamp,), ("comparison",), tuple(cells))
