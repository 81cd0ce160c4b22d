"""The commands under `nferbench data`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nferbench.cli.options import (
    Change,
    Crop,
    DataRoot,
    Dataset,
    Detector,
    Extra,
    Jobs,
    NamedDataset,
    Plugin,
    Preset,
    Workspace,
)
from nferbench.cli.output import complain, reporter, say, tell_prepared
from nferbench.cli.requests import default_jobs, settled, setup_of
from nferbench.contract.errors import DataError, UsageError

if TYPE_CHECKING:
    from nferbench.datasets.levels import Wanted
    from nferbench.workspace.stages import PrepareFaces
    from nferbench.workspace.store import Store

SHOWN = 10  # faces that were not found, by name

data = typer.Typer(no_args_is_help=True, help="Look at data sets, and prepare them.")


@data.command("verify")
def data_verify(
    dataset: NamedDataset,
    data_root: DataRoot = [],  # noqa: B006
    preset: Preset = None,
    detector: Detector = None,
    crop: Crop = None,
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
) -> None:
    """Count what a copy of a data set holds, compare it with what is published, and crop some of its faces.

    The contact sheet is for your own eyes: licences of face data hardly ever allow to show it.
    """
    from nferbench.faces.verify import verify
    from nferbench.planning.plan import data_roots
    from nferbench.planning.settings import Request
    from nferbench.workspace.files import file_name
    from nferbench.workspace.store import open_workspace

    request = Request(dataset, ("none",), "none", preset, detector=detector, crop=crop, changes=tuple(change))
    settings, plugins = settled(request, plugin)
    levels: Wanted = {"vis": settings.vis_levels, "nir": settings.nir_levels}
    root = data_roots(data_root, settings, plugins.datasets.items).get("dataset")
    verdict = verify(settings.dataset, root, settings.size, settings.crop, settings.seed, settings.folds, levels)
    for line in verdict.lines:
        say(line)
    if verdict.sheet is not None:
        from PIL import Image

        path = open_workspace(workspace).workspace / "verify" / f"{file_name(settings.dataset.name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(verdict.sheet).save(path)
        say(f"contact sheet: {path}")
    if not verdict.usable:
        raise typer.Exit(1)


@data.command("prepare")
def data_prepare(
    dataset: Dataset = "synthetic-hfe",
    data_root: DataRoot = [],  # noqa: B006
    extra: Extra = None,
    preset: Preset = None,
    detector: Detector = None,
    crop: Crop = None,
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
    jobs: Jobs = None,
) -> None:
    """Decode and crop a data set and its extra set once, as a run with the same options would.

    nferbench data prepare --dataset oulu-casia --extra cfee --data-root DATA
    """
    from nferbench.engine.runner import run_stages
    from nferbench.engine.stopping import requests_to_stop
    from nferbench.planning.plan import data_roots, faces_stage
    from nferbench.planning.settings import Request
    from nferbench.workspace.stages import readable
    from nferbench.workspace.store import open_workspace

    store = open_workspace(workspace)
    request = Request(dataset, ("none",), extra, preset, detector=detector, crop=crop, changes=tuple(change))
    settings, plugins = settled(request, plugin)
    roots = data_roots(data_root, settings, plugins.datasets.items)
    by_role = {}
    for role in settings.sets():
        by_role[role], listing = faces_stage(settings, role, roots, store)
        for note in listing.notes:
            say(f"note: {note}")
    stages = list(dict.fromkeys(by_role.values()))
    wanted = [stage for stage in stages if _missing(stage, store)]
    places = {stage: roots[role] for role, stage in by_role.items() if role in roots}
    setup = setup_of(store, places, plugins, "cpu", 1)
    with reporter(wanted) as show, requests_to_stop(then_at_once=True) as stopping:
        outcome = run_stages(wanted, setup, store, show, jobs=jobs or default_jobs(setup), stopping=stopping)
    for stage, finished in outcome.failed.items():
        complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
    if outcome.failed:
        raise typer.Exit(1)
    tell_prepared(stages, store)
    for stage in stages:
        say(f"{readable(stage)}: {store.path(stage)}")


@data.command("landmarks")
def data_landmarks(
    dataset: NamedDataset,
    detector: Annotated[str, typer.Option(help="Face detector (nferbench detectors).")],
    data_root: DataRoot = [],  # noqa: B006
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
) -> None:
    """Write the landmarks of every image into a folder beside the images, for pairing by them.

    nferbench data landmarks oulu-casia --detector mesh --data-root DATA --set datasets.oulu-casia.frames=all
    """
    from nferbench.datasets.depth import levelled
    from nferbench.datasets.detected import Detected
    from nferbench.faces.landmark_files import write_landmarks
    from nferbench.planning.plan import data_roots
    from nferbench.planning.settings import Request

    request = Request(dataset, ("none",), "none", detector=detector, changes=tuple(change))
    settings, plugins = settled(request, plugin)
    if not isinstance(settings.dataset, Detected):
        raise UsageError("data landmarks needs a --detector that finds them (nferbench detectors lists all)")
    images = settings.dataset.inner
    root = data_roots(data_root, settings, plugins.datasets.items).get("dataset")
    levels: Wanted = {"vis": settings.vis_levels, "nir": settings.nir_levels}
    images, listing = levelled(images, images.listing(root), root, levels)
    for note in listing.notes:
        say(f"note: {note}")
    with typer.progressbar(length=1, label="finding faces", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        written = write_landmarks(images, settings.dataset.detector, root, progress)
    for name in written.missing[:SHOWN]:
        say(f"no face: {name}")
    if len(written.missing) > SHOWN:
        say(f"and {len(written.missing) - SHOWN} more without a face")
    kept = f", {written.kept} were there already" if written.kept else ""
    base = images.base(root)
    say(f"{written.found} faces found, {len(written.missing)} not (NaN){kept}: {base and base / written.folder}")


def _missing(stage: PrepareFaces, store: Store) -> bool:
    """Whether a data set is yet to be prepared; what is damaged is set aside."""
    try:
        return store.find(stage) is None
    except DataError as error:
        say(f"damaged: {error}; set aside in {store.set_aside(stage).parent}, doing it again")
        return True
