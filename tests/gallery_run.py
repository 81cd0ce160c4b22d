"""A run of two folds with pictures and scores of every test face, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nferbench_reports import load_runs
from nferbench_reports.runs import Run

CLASSES = ("anger", "fear", "happiness")
FOLDS = ("ab", "cd")  # the test subjects of each
SIDE = 16


class Drawn:
    """Faces of four subjects, VIS in colour and NIR in grey, and how three methods translate them."""

    def __init__(self, workspace: Any, title: str = "pix2pix", subject: str = "", side: int = SIDE) -> None:
        self.workspace = workspace
        self.subject = subject
        self.random = np.random.default_rng(7)
        self.listed = [
            {
                "id": f"{modality}-{one}-{expression}",
                "modality": modality,
                "subject": one + subject,
                "expression": expression,
                "pair": f"{one}-{expression}",
            }
            for one in "abcd"
            for expression in CLASSES
            for modality in ("nir", "vis")
        ]
        colours = self.random.integers(0, 256, (len(self.listed), side, side, 3), np.uint8)
        colours[::2] = colours[::2, ..., :1]
        self.prepared = {face["id"]: picture for face, picture in zip(self.listed, colours, strict=True)}
        self.translated: dict[tuple[str, str], np.ndarray] = {}
        self.scores: dict[tuple[str, str], tuple[float, float, float]] = {}
        self.faces = workspace.images(workspace.stage("faces-done", {"faces.csv": self.listed}), colours)
        self.rows = [
            self.row("none", "none", lambda face: self.prepared[face["id"]], title="Without translation"),
            self.row("pix2pix", "gan", self.noisy, title=title),
            self.row("sr3", "diffusion", self.noisy, finished=1),
        ]
        workspace.record(self.rows, faces=self.faces, size=side)

    def noisy(self, face: Mapping[str, str]) -> np.ndarray:
        """A grey picture that has little to do with the face."""
        real = self.prepared[face["id"].replace("vis", "nir")].astype(int)
        noise = self.random.integers(-40, 41, real.shape[:2])[..., None]
        return np.clip(real + noise, 0, 255).astype(np.uint8)

    def row(self, name: str, group: str, picture: Any, finished: int = 2, **more: Any) -> dict[str, Any]:
        """A row whose first `finished` folds have a result; pictures lie in another order than the faces."""
        translations, scores = [], []
        for fold, subjects in enumerate(FOLDS):
            if fold >= finished:
                translations.append(self.workspace.missing(f"t-{name}-{fold}", "diverged", "loss <b>NaN</b>"))
                scores.append(self.workspace.missing(f"q-{name}-{fold}"))
                continue
            vis = [face for face in self.listed if face["modality"] == "vis" and face["subject"][0] in subjects]
            tested = [vis[i] for i in self.random.permutation(len(vis))]
            pictures = [picture(face) for face in tested]
            numbers = self.random.random((len(tested), 5))
            table = [{key: face[key] for key in ("id", "subject", "expression", "pair")} for face in tested]
            scored = [
                {**face, **dict(zip(("lpips", "psnr", "ssim", "psnr_paper", "ssim_paper"), values, strict=True))}
                for face, values in zip(table, numbers.tolist(), strict=True)
            ]
            stage = self.workspace.stage(f"t-{name}-{fold}", {"faces.csv": table})
            translations.append(self.workspace.images(stage, np.stack(pictures)))
            scores.append(self.workspace.stage(f"q-{name}-{fold}", {"scores.csv": scored}))
            for face, drawn, values in zip(tested, pictures, numbers.tolist(), strict=True):
                self.translated[name, face["id"]] = drawn
                self.scores[name, face["id"]] = tuple(values[:3])
        made: dict[str, Any] = self.workspace.row(name, group, translation=translations, quality=scores, **more)
        return made


def runs_of(root: Path) -> Sequence[Run]:
    """All that `report` would show of a workspace."""
    return load_runs(root)
