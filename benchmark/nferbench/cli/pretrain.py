"""`nferbench pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nferbench.cli.options import Change, Crop, DataRoot, Dataset, Detector, Jobs, Plugin, Preset, Workspace
from nferbench.cli.output import complain, reporter, say
from nferbench.cli.requests import default_jobs, settled, setup_of
from nferbench.contract.errors import UsageError


def pretrain(
    out: Annotated[Path, typer.Option(help="The folder that the weights are written to.")],
    methods: Annotated[str, typer.Option(help="Comma-separated names, 'all', 'ablation', 'variants'.")] = "all",
    dataset: Dataset = "synthetic-others",
    data_root: DataRoot = [],  # noqa: B006
    preset: Preset = None,
    seed: Annotated[int | None, typer.Option(help="Of trainings; default 0.")] = None,
    detector: Detector = None,
    crop: Crop = None,
    change: Change = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    workspace: Workspace = Path("runs"),
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where there is a GPU.")] = (
        "auto"
    ),
    jobs: Jobs = None,
    half: Annotated[bool, typer.Option("--half", help="Round the weights to float16.")] = False,
) -> None:
    """Train the networks of methods on everyone in a data set, for trainings on other people to start from.

    nferbench pretrain --methods all --dataset synthetic-others --preset quick-pretrain --half --out weights
    """
    from nferbench.contract.initial import file_sha256
    from nferbench.engine.exporting import export
    from nferbench.engine.runner import run_stages
    from nferbench.planning.plan import data_roots, faces_stage, trainings_on_all
    from nferbench.planning.settings import NO_EXTRA, Request
    from nferbench.workspace.stages import readable
    from nferbench.workspace.store import open_workspace

    store = open_workspace(workspace)
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    request = Request(dataset, names, NO_EXTRA, preset, seed=seed, detector=detector, crop=crop, changes=tuple(change))
    settings, plugins = settled(request, plugin)
    roots = data_roots(data_root, settings, plugins.datasets.items)
    faces, listing = faces_stage(settings, "dataset", roots, store)
    for note in listing.notes:
        say(f"note: {note}")
    trainings = trainings_on_all(settings, faces)
    places = {faces: roots["dataset"]} if "dataset" in roots else {}
    setup = setup_of(store, places, plugins, device, 1)
    wanted = [stage for stage in (faces, *trainings.values()) if store.find(stage) is None]
    with reporter(wanted) as show:
        outcome = run_stages(wanted, setup, store, show, jobs=jobs or default_jobs(setup.device))
    for stage, finished in outcome.failed.items():
        complain(f"{readable(stage)}: {finished.status}: {finished.reason}")
    if outcome.failed:
        raise typer.Exit(1)
    for name, stage in trainings.items():
        entry = store.find(stage)
        if entry is None:
            raise UsageError(f"{readable(stage)} is not in the workspace any more; start the same command again")
        path = out / f"{name}.safetensors"
        export(stage, entry, path, half=half)
        pairs = entry.info["result"]["updates"] * stage.recipe.batch_size
        say(f"{path}: {path.stat().st_size:,} bytes, {pairs:,} pairs seen, SHA-256 {file_sha256(path)}")
