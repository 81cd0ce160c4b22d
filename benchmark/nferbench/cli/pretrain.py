"""`nferbench pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nferbench.cli.options import (
    Change,
    Compile,
    Crop,
    DataRoot,
    Dataset,
    Detector,
    Deterministic,
    Jobs,
    Log,
    Piece,
    Plugin,
    Precision,
    Preset,
    Workspace,
    Yes,
)
from nferbench.cli.output import say
from nferbench.cli.requests import default_jobs, settled, setup_of
from nferbench.cli.working import accept_cost, stop_if_failed, whole, work_off


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
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where torch can use a GPU.")
    ] = ("auto"),
    jobs: Jobs = None,
    piece: Piece = None,
    precision: Precision = "bf16",
    compile: Compile = False,
    deterministic: Deterministic = False,
    half: Annotated[bool, typer.Option("--half", help="Round the weights to float16.")] = False,
    log: Log = None,
    yes: Yes = False,
) -> None:
    """Train the networks of methods on everyone in a data set, for trainings on other people to start from.

    nferbench pretrain --methods all --dataset synthetic-others --preset quick-pretrain --half --out weights
    """
    from nferbench.cli.events import event_log
    from nferbench.engine.exporting import export
    from nferbench.engine.how import How
    from nferbench.planning.plan import data_roots
    from nferbench.planning.pretraining import pretraining
    from nferbench.planning.settings import NO_EXTRA, Request
    from nferbench.planning.status import statuses
    from nferbench.workspace.files import sha256
    from nferbench.workspace.stages import TrainNetwork
    from nferbench.workspace.store import open_workspace

    store = open_workspace(workspace)
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    request = Request(dataset, names, NO_EXTRA, preset, seed=seed, detector=detector, crop=crop, changes=tuple(change))
    settings, plugins = settled(request, plugin)
    roots = data_roots(data_root, settings, plugins.datasets.items)
    work = pretraining(settings, roots, store)
    for note in work.notes:
        say(f"note: {note}")
    places = {work.faces: roots["dataset"]} if "dataset" in roots else {}
    setup = setup_of(store, places, plugins, device, 1, How(precision, piece, compile, deterministic))
    events = event_log(log, store, setup.device) if log else None
    states = statuses(work, store)
    if any(state.state != "done" for state in states):
        workers = jobs or default_jobs(setup)
        accept_cost(work, states, setup, store, workers, yes)
        stop_if_failed(work_off(states, setup, store, workers, log=events))
    for stage in work.stages:
        if isinstance(stage, TrainNetwork):
            entry = whole(stage, store)
            path = out / f"{stage.role}.safetensors"
            seen = export(stage, entry, path, half=half)
            say(f"{path}: {path.stat().st_size:,} bytes, {seen:,} pairs seen, SHA-256 {sha256(path)}")
