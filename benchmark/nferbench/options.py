"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Methods = Annotated[str, typer.Option(help="Comma-separated names, 'all', 'ablation', 'variants'.")]
Dataset = Annotated[str, typer.Option(help="A name (nferbench datasets), a manifest .csv or a folder.")]
DataRoot = Annotated[
    list[str],
    typer.Option("--data-root", envvar="NFERBENCH_DATA", help="Where data lie: PATH, or NAME=PATH."),
]
Extra = Annotated[str | None, typer.Option(help="The VIS set translated for training; 'none' leaves FER out.")]
Preset = Annotated[str | None, typer.Option(help="paper, lite, small, quick or a .yaml file; default by data set.")]
Folds = Annotated[int | None, typer.Option(help="Subject-independent folds; default 5.")]
Division = Annotated[
    Literal["folds", "repeats"] | None, typer.Option(help="Test everyone once, or random draws of a fifth.")
]
Fold = Annotated[str, typer.Option("--fold", help="Only these folds now, such as 0 or 0,2; tables keep them all.")]
Seed = Annotated[int | None, typer.Option(help="Of splits, trainings and samples; default 0.")]
Fer = Annotated[str | None, typer.Option(help="Expression recogniser (nferbench fer-models).")]
Detector = Annotated[str | None, typer.Option(help="Face detector (nferbench detectors); default where the data say.")]
Crop = Annotated[str | None, typer.Option(help="given, none, box68, fan, eyes or template; box68 with a detector.")]
Change = Annotated[list[str], typer.Option("--set", help="path=value, such as methods.nfer-sde.lambda_f=1 or size=64.")]
Plugin = Annotated[list[str], typer.Option("--plugin", help="A Python file with hooks that is not installed.")]
Workspace = Annotated[Path, typer.Option(help="Where results are kept.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes CUDA where there is a GPU.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Worker processes; default one a GPU, or one a core up to 8.")]
BatchSize = Annotated[int, typer.Option("--batch", min=1, help="Images translated at a time; changes no result.")]
