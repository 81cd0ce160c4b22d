"""The options that several commands share, each written once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

_DATASET = "A name (nferbench datasets), a manifest .csv or a folder (./NAME where a set has its name)."
Dataset = Annotated[str, typer.Option(help=_DATASET)]
NamedDataset = Annotated[str, typer.Argument(help=_DATASET)]
DataRoot = Annotated[
    list[str],
    typer.Option("--data-root", envvar="NFERBENCH_DATA", help="Where data lie: PATH, or NAME=PATH."),
]
Extra = Annotated[str | None, typer.Option(help="The VIS set translated for training; 'none' leaves FER out.")]
Preset = Annotated[
    str | None, typer.Option(help="paper, lite, small, brief, quick, study or a .yaml file; default by data set.")
]
Detector = Annotated[str | None, typer.Option(help="Face detector (nferbench detectors); default where the data say.")]
Crop = Annotated[str | None, typer.Option(help="given, none, box68, fan, eyes or template; box68 with a detector.")]
Change = Annotated[list[str], typer.Option("--set", help="path=value, such as methods.nfer-sde.lambda_f=1 or size=64.")]
Plugin = Annotated[list[str], typer.Option("--plugin", help="A Python file with hooks that is not installed.")]
Workspace = Annotated[Path, typer.Option(help="Where results are kept.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before more than an hour of work.")]
Log = Annotated[Path | None, typer.Option(help="A file that gets one event a line, as JSON, for other tools.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Worker processes; default one a GPU, or one a core up to 8.")]
Piece = Annotated[
    int | None, typer.Option(min=1, help="Pairs of an update computed at a time; default what fits the memory.")
]
Precision = Annotated[Literal["bf16", "float32"], typer.Option(help="Of networks on a GPU.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile networks: minutes at first, then faster on a GPU.")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="Repeatable algorithms on a GPU; slower.")]


@dataclass(frozen=True)
class RunOptions:
    """What `run` and `plan` are told alike: which numbers are wanted, and where and how they are made."""

    methods: Annotated[str, typer.Option(help="Comma-separated names, 'all', 'ablation', 'variants', 'studies'.")] = (
        "all"
    )
    dataset: Dataset = "synthetic-hfe"
    data_root: DataRoot = field(default_factory=list)
    extra: Extra = None
    preset: Preset = None
    folds: Annotated[int | None, typer.Option(help="Subject-independent folds; default 5.")] = None
    fold: Annotated[str, typer.Option(help="Only these folds now, such as 0 or 0,2; tables keep them all.")] = ""
    division: Annotated[
        Literal["folds", "repeats"] | None, typer.Option(help="Test everyone once, or random draws of a fifth.")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of splits, trainings and samples; default 0.")] = None
    fer: Annotated[str | None, typer.Option(help="Expression recogniser (nferbench fer-models).")] = None
    fer_seeds: Annotated[int | None, typer.Option(help="Trainings of each recogniser, averaged; default 1.")] = None
    metrics: Annotated[
        str, typer.Option(help="Measured beside LPIPS, PSNR and SSIM (nferbench metrics): names, or 'all'.")
    ] = ""
    detector: Detector = None
    crop: Crop = None
    change: Change = field(default_factory=list)
    again: Annotated[
        str,
        typer.Option(help="Do the results of these rows, recognisers or data sets, and all that needs them, again."),
    ] = ""
    plugin: Plugin = field(default_factory=list)
    workspace: Workspace = Path("runs")
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where torch can use a GPU.")
    ] = "auto"
    jobs: Jobs = None
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images translated at a time, which changes no result; default 32, on a GPU what fits."
        ),
    ] = None
    piece: Piece = None
    precision: Precision = "bf16"
    compile: Compile = False
    deterministic: Deterministic = False


def taking_run_options(command: Callable[..., None], without: Collection[str] = ()) -> Callable[..., None]:
    """Give a command the options of `RunOptions` in front of its own; it gets them as its first argument.

    Args:
        command: the command.
        without: options that it has no use for; they keep their defaults.
    """
    hints = get_type_hints(RunOptions, include_extras=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in vars(RunOptions()).items()
        if name not in without
    ]
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def call(**words: Any) -> None:
        chosen = RunOptions(**{each.name: words.pop(each.name) for each in shared})
        command(chosen, **words)

    options = [*shared, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    call.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in options}
    return call
