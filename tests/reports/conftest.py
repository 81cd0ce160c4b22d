"""A workspace as the runner leaves it, small enough to work its numbers out by hand."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Stage = dict[str, str]

CLASSES = ("anger", "fear", "happiness")
SCORES = ("lpips", "psnr", "ssim", "psnr_paper", "ssim_paper")


class Workspace:
    """Writes records, stages and failures in the runner's format."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()

    def stage(self, key: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], **result: Any) -> Stage:
        """A complete stage with CSV files."""
        folder = self.root / "stages" / key
        folder.mkdir(parents=True)
        for name, rows in tables.items():
            with (folder / name).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        (folder / "stage.json").write_text(json.dumps({"key": key, "result": result}))
        return self.sealed({"key": key, "path": f"stages/{key}"})

    def sealed(self, stage: Stage) -> Stage:
        """Note the checksums of what a stage holds now."""
        path = self.root / stage["path"] / "stage.json"
        files = {
            file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for file in path.parent.iterdir()
            if file != path
        }
        path.write_text(json.dumps({**json.loads(path.read_text()), "files": files}))
        return stage

    def images(self, stage: Stage, images: np.ndarray) -> Stage:
        """Add the images of a stage."""
        np.save(self.root / stage["path"] / "images.npy", images)
        return self.sealed(stage)

    def missing(self, key: str, status: str = "", reason: str = "", stage: str = "") -> Stage:
        """A stage without a result, with the reason if one is given."""
        if status:
            folder = self.root / "failures"
            folder.mkdir(exist_ok=True)
            (folder / f"{key}.json").write_text(json.dumps({"status": status, "reason": reason, "stage": stage}))
        return {"key": key, "path": f"stages/{key}"}

    def fer(self, key: str, subjects: str, answers: str) -> Stage:
        """Predictions of one fold: a subject letter and an answer like "af" (true anger, predicted fear) an image."""
        names = {name[0]: name for name in CLASSES}
        rows = [
            {"id": f"{key}-{i}", "subject": subject, "expression": names[true], "predicted": names[predicted]}
            for i, (subject, (true, predicted)) in enumerate(zip(subjects, answers.split(), strict=True))
        ]
        return self.stage(key, {"predictions.csv": rows})

    def quality(self, key: str, subjects: str, scores: Sequence[Sequence[object]], **result: Any) -> Stage:
        """Scores of one fold, an image each, in the order of `SCORES`."""
        rows = [
            {"id": f"{key}-{i}", "subject": subject, "expression": "anger", **dict(zip(SCORES, values, strict=True))}
            for i, (subject, values) in enumerate(zip(subjects, scores, strict=True))
        ]
        return self.stage(key, {"scores.csv": rows}, **result)

    def row(
        self,
        name: str,
        group: str,
        fer: Sequence[Stage | None] = (),
        quality: Sequence[Stage | None] = (),
        translation: Sequence[Stage | None] = (),
        **more: Any,
    ) -> dict[str, Any]:
        """A row of a record; stages go by fold, and a shorter list ends in stages that do not apply."""
        count = max(len(fer), len(quality), len(translation))
        folds = [
            {
                "fold": fold,
                **{
                    role: stages[fold] if fold < len(stages) else None
                    for role, stages in (("fer", fer), ("quality", quality), ("translation", translation))
                },
            }
            for fold in range(count)
        ]
        defaults = {"title": name, "heterogeneous": False, "tables": ["comparison"], "stamps": []}
        return {"name": name, "group": group, **defaults, **more, "folds": folds}

    def record(
        self,
        rows: Sequence[Mapping[str, Any]],
        name: str = "run",
        created: str = "2025-01-02T03:04:05+00:00",
        faces: Stage | None = None,
        **protocol: Any,
    ) -> Path:
        """A record of a run; protocol fields that are not given are those of a tiny data set."""
        defaults = {
            "dataset": "tiny",
            "dataset_title": "Tiny",
            "extra": "more",
            "extra_title": "More",
            "preset": "quick",
            "size": 8,
            "folds": 2,
            "seed": 0,
            "fer": "resnet18",
            "fer_title": "ResNet-18",
            "classes": list(CLASSES),
            "subjects": 4,
            "pairs": 6,
            "splits": "0123abcd",
        }
        record = {
            "version": 1,
            "created": created,
            "command": "nferbench run --methods all",
            "nferbench": "0.1.0",
            "protocol": defaults | protocol,
            "faces": faces or self.missing("faces"),
            "rows": rows,
        }
        path = self.root / "records" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")
        return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "runs")
