"""Rows whose images others made: from folders that are named to stages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

from nferbench.contract.errors import DataError, PluginError, UsageError
from nferbench.contract.printable import one_line
from nferbench.contract.values import digest
from nferbench.datasets.fingerprint import contents
from nferbench.datasets.given import image_files, read_given
from nferbench.faces.prepared import pairs, read_prepared, rows_of
from nferbench.planning.checks import check_name
from nferbench.planning.matching import match
from nferbench.planning.plan import GIVEN, FoldStages, RowStages, Work, ordered, recognitions
from nferbench.planning.plugins import METHOD_WORDS
from nferbench.planning.presets import row_names
from nferbench.workspace.stages import GivenImages, HeldOut, PrepareFaces, ScoreTranslation
from nferbench.workspace.store import Store

SHOWN = 5  # faults that an error lists

Part = Literal["test", "all"]
Images = Mapping[str, Path]  # by the ids of the faces


@final
@dataclass(frozen=True)
class Given:
    """A row as it was asked for."""

    name: str
    test: Path  # folder of the translated test faces
    extra: Path | None = None  # that of the translated extra set; without it there is no recognition


@final
@dataclass(frozen=True)
class _Folder:
    """A folder of images, as it was named, and what is due in it."""

    option: str  # as typed, for messages
    path: Path
    source: PrepareFaces
    part: Part
    due: Mapping[int, Sequence[str]]  # ids of the faces of each fold


@final
@dataclass(frozen=True)
class _Found:
    """The images of a folder."""

    images: Mapping[int, Images]  # by fold: that of each face that is due
    whole: bool  # whether they lie in one folder for all folds
    unused: tuple[str, ...]  # images of no face that is due


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
        found = [_found(folder, work, wanted) for folder in named]
        notes += [_note(folder, images) for folder, images in zip(named, found, strict=True) if images.unused]
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


def _tested(given: Given, work: Work, folds: Mapping[int, HeldOut], store: Store) -> _Folder:
    prepared = read_prepared(store.path(work.faces))
    due = {fold: tuple(prepared.faces[row].id for row in pairs(prepared, held.test)[0]) for fold, held in folds.items()}
    return _Folder(f"--pred {given.name}={given.test}", given.test, work.faces, "test", due)


def _translated(given: Given, work: Work, folds: Mapping[int, HeldOut], store: Store) -> list[_Folder]:
    """The folder of the extra set; none where none was named."""
    if given.extra is None:
        return []
    option = f"--pred-extra {given.name}={given.extra}"
    if work.extra is None:
        raise UsageError(f"{option}: {work.settings.without_extra}; name the set with --extra SET")
    prepared = read_prepared(store.path(work.extra))
    everyone = rows_of(prepared, "vis", {face.subject for face in prepared.faces})
    due = dict.fromkeys(folds, tuple(prepared.faces[row].id for row in everyone))
    return [_Folder(option, given.extra, work.extra, "all", due)]


def _note(folder: _Folder, found: _Found) -> str:
    count, shown = len(found.unused), ", ".join(map(one_line, found.unused[:SHOWN]))
    return f"{one_line(folder.option)}: {count} images are of no face that is due, such as {shown}"


def _found(folder: _Folder, work: Work, wanted: Collection[int]) -> _Found:
    """The images of the wanted folds, and of the others where all of them are there.

    Raises:
        DataError: one of the wanted folds lacks images, or their names are ambiguous.
    """
    known = [face for face in work.listings[folder.source].faces if face.modality == "vis"]
    by_id = {face.id: face for face in known}

    def matched(place: Path, files: Sequence[str], folds: Collection[int]) -> Images:
        faces = [by_id[each] for each in dict.fromkeys(each for fold in folds for each in folder.due[fold])]
        try:
            return {face: place / file for face, file in match(files, faces, known).items()}
        except DataError as error:
            where = "" if place == folder.path else f"/{place.name}"
            raise DataError(f"{one_line(folder.option)}{where}: {error}") from None

    images: dict[int, Images] = {}
    lying: list[Path] = []
    divided = _fold_folders(folder, wanted)
    for fold, place in divided.items():
        files = image_files(place)
        try:
            images[fold] = matched(place, files, [fold])
        except DataError:
            if fold in wanted:
                raise
        lying += [place / file for file in files]
    if not divided:
        files = image_files(folder.path)
        lying = [folder.path / file for file in files]
        try:
            found = matched(folder.path, files, folder.due)
        except DataError:
            if set(wanted) == set(folder.due):
                raise
            found = matched(folder.path, files, wanted)
        images = {
            fold: {face: found[face] for face in due}
            for fold, due in folder.due.items()
            if all(face in found for face in due)
        }
    used = {path for each in images.values() for path in each.values()}
    unused = tuple(path.relative_to(folder.path).as_posix() for path in lying if path not in used)
    return _Found(images, not divided, unused)


def _fold_folders(folder: _Folder, wanted: Collection[int]) -> dict[int, Path]:
    """The folders fold0, fold1, … by fold; none where all folds share one folder.

    Raises:
        DataError: one for a fold that there is not, none for a wanted one, or images beside them.
    """
    named = {path.name: path for path in sorted(folder.path.iterdir()) if re.fullmatch(r"fold\d+", path.name)}
    named = {name: path for name, path in named.items() if path.is_dir()}
    if not named:
        return {}
    known = {f"fold{fold}": fold for fold in folder.due}
    option, rule = one_line(folder.option), "give one folder for all folds, or one for each"
    if strange := [name for name in named if name not in known]:
        raise DataError(f"{option}: {strange[0]} is of no fold, there are {', '.join(known)}; {rule}")
    if missing := [f"fold{fold}" for fold in wanted if f"fold{fold}" not in named]:
        raise DataError(f"{option}: it has {', '.join(named)}, and no {', '.join(missing)}; {rule}")
    if beside := [file for file in image_files(folder.path) if file.partition("/")[0] not in named]:
        raise DataError(f"{option}: {one_line(beside[0])} lies beside {', '.join(named)}; {rule}")
    return {known[name]: path for name, path in named.items()}


def _stages(
    name: str, folder: _Folder, found: _Found, folds: Mapping[int, HeldOut], store: Store, resize: bool
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
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        told = one_line("; ".join(faults[:SHOWN]))
        raise DataError(f"{one_line(folder.option)}: {len(faults)} of {len(files)} images cannot be used: {told}{more}")
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
            cells.append(FoldStages(fold, translation, ScoreTranslation(translation, lpips), trained))
    stages = [*test.values(), *(extra or {}).values()]
    stamp = f"images by others, SHA-256 {digest(sorted({stage.content for stage in stages}))[:12]}"
    if any(stage.scaled for stage in stages):
        stamp += f", scaled to {work.faces.size} px"
    return RowStages(name, name, GIVEN, False, (stamp,), ("comparison",), tuple(cells))
