"""`nferbench translate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nferbench.cli.options import Change, Crop, Detector, Jobs, Plugin, Preset, Workspace
from nferbench.cli.output import say, tell_failures
from nferbench.cli.requests import default_jobs, setup_of
from nferbench.cli.working import stop_if_failed, whole, work_off
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.engine.worker import Setup
    from nferbench.planning.assigning import Assigned, Wanted
    from nferbench.planning.fitted import FittedRow
    from nferbench.planning.inputs import Inputs
    from nferbench.planning.plugins import Plugins
    from nferbench.planning.settings import Settings
    from nferbench.workspace.stages import Stage, Translate
    from nferbench.workspace.store import Store

REASONS = 5  # for which images were left out, that are told


def translate(
    method: Annotated[str, typer.Argument(help="A row of a record; with --weights any method.")],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="An image, a folder of images, or a manifest (.csv).")
    ],
    out: Annotated[Path, typer.Argument(help="Folder that the translated faces are written to.")],
    record: Annotated[str | None, typer.Option(help="The record, where several have the row.")] = None,
    fold: Annotated[str, typer.Option(help="Whose networks: a number, or 'auto' for the fold that held out each.")] = (
        ""
    ),
    trained_on: Annotated[
        bool, typer.Option("--trained-on", help="Keep people whom the fold trained on; the table marks them.")
    ] = False,
    weights: Annotated[
        list[str], typer.Option("--weights", help="ROLE=FILE of fitted networks, in place of those of a workspace.")
    ] = [],  # noqa: B006
    preset: Preset = None,
    change: Change = [],  # noqa: B006
    size: Annotated[int | None, typer.Option(help="With --weights: side of the faces; default by preset.")] = None,
    detector: Detector = None,
    crop: Crop = None,
    seed: Annotated[int | None, typer.Option(help="Of samples; default that of the row, or 0.")] = None,
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where torch can use a GPU.")
    ] = "auto",
    jobs: Jobs = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images translated at a time; changes no result.")] = None,
) -> None:
    """Translate images of your own by a fitted method, cropped like the faces that it was fitted on.

    nferbench translate nfer-sde photographs translated --fold 0
    """
    from nferbench.planning.assigning import check_fold, translations
    from nferbench.planning.fitted import by_other_code, fitted_row
    from nferbench.planning.given_networks import given_method
    from nferbench.planning.inputs import changed, check_apart, inputs_at, preparation_of
    from nferbench.planning.plugins import load_plugins
    from nferbench.workspace.files import sha256
    from nferbench.workspace.store import open_workspace, read_workspace

    plugins = tell_failures(load_plugins(plugin))
    check_apart(source, out)
    found: dict[str, Assigned] = {}
    if weights:
        _refuse("with --weights, of whose training nothing is known", record=record, fold=fold, trained_on=trained_on)
        given = given_method(_settings(method, preset, change, size, detector, crop, seed, plugins), weights)
        store = open_workspace(workspace)
        inputs = inputs_at(source, given.preparation, store)
        translation = given.translation(inputs.faces)
        for role, file in given.files.items():
            say(f"{role}: {file}, SHA-256 {sha256(file)}")
        places = {inputs.faces: inputs.root} | given.places(translation)
        setup = setup_of(store, places, plugins, device, batch)
        workers = jobs or default_jobs(setup)
        _prepare(inputs, setup, store, workers)
        stages = [translation]
    else:
        _refuse("without --weights: the record says it", preset=preset, set=change, size=size)
        wanted = _wanted(fold)
        row = fitted_row(method, record, plugins, read_workspace(workspace))
        if row.fitted_on_people:
            check_fold(wanted, row.folds)
        elif isinstance(wanted, int):
            raise UsageError(f"--fold {wanted}: {method} was fitted on nobody, so that no fold matters; leave it out")
        if by_other_code(row, read_workspace(workspace)):
            say(f"note: the code of {method} has changed since it was fitted; nferbench run --again fits it anew")
        store = open_workspace(workspace)
        inputs = inputs_at(source, changed(preparation_of(row.faces), detector, crop, plugins), store)
        setup = setup_of(store, {inputs.faces: inputs.root}, plugins, device, batch)
        workers = jobs or default_jobs(setup)
        _prepare(inputs, setup, store, workers)
        found = _assigned(row, inputs, store, wanted, trained_on)
        stages = [*translations(row.folds, inputs.faces, found, seed).values()]
    _work(stages, setup, store, workers)
    _write(out, inputs, stages, found, store)


def _refuse(why: str, **options: object) -> None:
    """Refuse options that mean nothing here.

    Raises:
        UsageError: one is given.
    """
    for name, value in options.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')} has no effect {why}; leave it out")


def _wanted(fold: str) -> Wanted:
    """What --fold says.

    Raises:
        UsageError: no number.
    """
    if fold == "auto":
        return "auto"
    if fold and not fold.isdecimal():
        raise UsageError(f"--fold {fold}: write a number, or auto")
    return int(fold) if fold else None


def _settings(
    method: str,
    preset: str | None,
    change: Sequence[str],
    size: int | None,
    detector: str | None,
    crop: str | None,
    seed: int | None,
    plugins: Plugins,
) -> Settings:
    """The values of a request for one method; its data set is a stand-in, for the images are no set to divide.

    Raises:
        UsageError: no preset; whatever `resolve` refuses.
    """
    from nferbench.planning.settings import NO_EXTRA, Request, resolve

    if preset is None:
        raise UsageError("--weights needs the --preset that they were trained at: it has the sizes of the networks")
    changes = [*change, *([f"size={size}"] if size is not None else [])]
    request = Request(
        methods=(method,),
        extra=NO_EXTRA,
        preset=preset,
        seed=seed,
        detector=detector,
        crop=crop,
        changes=tuple(changes),
    )
    return resolve(request, plugins)


def _prepare(inputs: Inputs, setup: Setup, store: Store, workers: int) -> None:
    """Find and crop the faces, and say how, and which images have none."""
    from nferbench.datasets.detected import Detected
    from nferbench.datasets.left_out import counted
    from nferbench.faces.prepared import read_dropped

    stage = inputs.faces
    detector = stage.dataset.detector.title if isinstance(stage.dataset, Detected) else ""
    for note in inputs.listing.notes:
        say(f"note: {note}")
    faces = inputs.listing.faces
    found = f", found by {detector}" if detector else ""
    say(f"{len(faces)} images, faces of {stage.size} px, crop {stage.crop}{found}")
    if stage.crop == "given" and not inputs.listing.landmarks and any(face.box is None for face in faces):
        say(
            "note: nothing says where the faces are, so the middle square of each image is taken; --detector finds them"
        )
    _work([stage], setup, store, workers)
    for line in counted(read_dropped(whole(stage, store).path))[:REASONS]:
        say(f"note: {line}")


def _assigned(row: FittedRow, inputs: Inputs, store: Store, wanted: Wanted, trained_on: bool) -> dict[str, Assigned]:
    """The fold of each image; any where nothing was fitted on any."""
    from nferbench.faces.known import known_people
    from nferbench.faces.prepared import read_prepared
    from nferbench.planning.assigning import Assigned, assigned

    folder = whole(inputs.faces, store).path
    images = [face.id for face in read_prepared(folder).faces]
    held = {fold: each.fold for fold, each in row.folds.items() if each.fold is not None}
    if not row.fitted_on_people:
        return dict.fromkeys(images, Assigned(next(iter(held))))
    known = known_people(folder, whole(row.faces, store).path)
    if row.open:
        say(f"note: {row.name} is not fitted on fold {', '.join(map(str, row.open))}")
    return assigned(images, known, held, wanted, trained_on=trained_on)


def _work(stages: Iterable[Stage], setup: Setup, store: Store, workers: int) -> None:
    """Do what is not done of these stages, and of the given weights that they need."""
    from nferbench.planning.status import states_of
    from nferbench.workspace.stages import GivenNetwork

    wanted: dict[Stage, None] = {}
    for stage in stages:
        wanted |= dict.fromkeys(need for need in stage.needs() if isinstance(need, GivenNetwork))
        wanted[stage] = None
    states = states_of(tuple(wanted), store)
    if any(state.state != "done" for state in states):
        stop_if_failed(work_off(states, setup, store, workers))


def _write(out: Path, inputs: Inputs, done: Iterable[Translate], found: Mapping[str, Assigned], store: Store) -> None:
    """Write the faces and their table."""
    from nferbench.engine.file_names import file_names
    from nferbench.engine.pictures import TABLE, Picture, write_pictures
    from nferbench.faces.prepared import read_dropped
    from nferbench.faces.sources import read_sources
    from nferbench.faces.translated import read_translated
    from nferbench.workspace.stages import key

    folder = whole(inputs.faces, store).path
    sources, dropped = read_sources(folder), read_dropped(folder)
    translated = [(stage, read_translated(whole(stage, store).path)) for stage in done]
    names = file_names([face.id for _, each in translated for face in each.faces])
    pictures: list[Picture] = []
    table: list[dict[str, str]] = []
    for stage, each in translated:
        for place, face in enumerate(each.faces):
            square, known = sources[face.id].square, found.get(face.id)
            pictures.append(Picture(names[face.id], each.images, place))
            table.append(
                {
                    "file": names[face.id],
                    "source": face.id,
                    "subject": face.subject,
                    "fold": "" if stage.fold is None else str(stage.fold.index),
                    "seed": str(stage.seed),
                    "trained_on": " ".join(known.trained_on) if known else "",
                    "left": f"{square.left:.2f}",
                    "top": f"{square.top:.2f}",
                    "side": f"{square.side:.2f}",
                    "degrees": f"{degrees(square.angle):.2f}",
                    "left_out": "",
                    "stage": key(stage),
                }
            )
    table.sort(key=lambda row: row["source"])
    table += [{**dict.fromkeys(table[0], ""), "source": drop.what, "left_out": drop.reason} for drop in dropped]
    written = write_pictures(out, pictures, table)
    left = f", {len(dropped)} left out" if dropped else ""
    say(f"{len(pictures)} faces in {out}, {written} of them written now{left}; {out / TABLE} lists them")
