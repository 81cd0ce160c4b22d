"""A finished run of the toy plugin, and what it translated as files, as somebody else would hand them over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from processes import TOY

from nferbench.engine.artifacts import translated_faces
from nferbench.engine.context import Context
from nferbench.engine.execute import execute
from nferbench.metrics.perceptual import lpips_identity
from nferbench.planning.given import Given, with_given
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import Plugins, load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import Stage, Translate
from nferbench.workspace.store import Store

FILE = str(TOY.__file__)
CHANGES = ("fer-models.smallcnn.epochs=4", "fer_seeds=1")
WORDS = ("--plugin", FILE, "--dataset", "toy", "--folds", "2", *(word for each in CHANGES for word in ("--set", each)))
LPIPS = lpips_identity(32)


def plugins() -> Plugins:
    return load_plugins([FILE], installed=False)


def planned(workspace: Path, methods: str = "toy-regression", extra: str = "toy-extra", **more: str) -> Work:
    settings = resolve(Request("toy", (methods,), extra, folds=2, changes=CHANGES, **more), plugins())
    return plan_work(settings, {}, Store(workspace), LPIPS)


def context(workspace: Path) -> Context:
    return Context(Store(workspace), {}, torch.device("cpu"), 8)


def do(stages: Iterable[Stage], workspace: Path) -> None:
    for stage in stages:
        execute(stage, context(workspace))


def export(stage: Translate, workspace: Path, folder: Path) -> Path:
    """The images of a translation as grey PNG files, called after the ids of the faces."""
    folder.mkdir(parents=True, exist_ok=True)
    images, faces = translated_faces(stage, context(workspace))
    for image, face in zip(images, faces, strict=True):
        Image.fromarray(np.array(image[..., 0])).save(folder / f"{face.id}.png")
    return folder


def exported(work: Work, workspace: Path, folder: Path) -> Given:
    """All that the method of a run translated: test faces in one folder, the extra set in one a fold."""
    for cell in work.rows[-1].folds:
        assert isinstance(cell.translation, Translate)
        export(cell.translation, workspace, folder / "test")
        for trained in cell.recognition:
            assert isinstance(trained.extra, Translate)
            export(trained.extra, workspace, folder / "extra" / f"fold{cell.fold}")
    return Given("mine", folder / "test", folder / "extra")


def scored(work: Work, workspace: Path, *given: Given, only: tuple[int, ...] = (), resize: bool = False) -> Work:
    return with_given(work, given, LPIPS, Store(workspace), only, resize=resize)
