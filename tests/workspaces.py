"""Workspaces of a few tiny stages with a record, made without doing any work."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nferbench.contract.values import digest
from nferbench.workspace.files import sha256, write_json
from nferbench.workspace.owners import this_process

CLASSES = ("anger", "fear")
SUBJECTS = ("Ann-Lee", "Bertha", "Cleo", "Doro")
SCORES = ("lpips", "psnr", "ssim", "psnr_paper", "ssim_paper")

Reference = dict[str, str]


class Made:
    """Writes stages and records as a run does; a stage is known by its label and what it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def stage(
        self, kind: str, label: str, *needs: Reference, files: Mapping[str, str | bytes] | None = None, **more: Any
    ) -> Reference:
        reference = self.named(kind, label, *needs)
        folder = self.root / reference["path"]
        folder.mkdir(parents=True)
        for name, content in (files or {"data.bin": label}).items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        info = {
            "stage": f"{kind} {label}",
            "key": reference["key"],
            "description": self.description(kind, label, *needs),
            "created": "2025-01-01T00:00:00+00:00",
            "files": {
                file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in sorted(folder.iterdir())
            },
            "result": {},
            "made_with": {"device": "cpu", "torch": "2.0"},
            **more,
        }
        write_json(folder / "stage.json", info)
        return reference

    def description(self, kind: str, label: str, *needs: Reference) -> dict[str, Any]:
        fold = {"index": int(label[-1]), "test": list(SUBJECTS[int(label[-1]) :: 2])} if label[-1].isdecimal() else None
        return {"kind": kind, "label": label, "fold": fold, "needs": [need["key"] for need in needs]}

    def named(self, kind: str, label: str, *needs: Reference) -> Reference:
        """How a stage is named that is not done."""
        key = digest(self.description(kind, label, *needs))
        return {"key": key, "path": f"{kind}/{label}-{key[:12]}"}

    def record(self, rows: Sequence[Mapping[str, Any]], faces: Reference, name: str = "run", **protocol: Any) -> Path:
        defaults = {
            "dataset": "tiny",
            "dataset_title": "Tiny",
            "extra": None,
            "preset": "quick",
            "size": 8,
            "folds": 2,
            "seed": 0,
            "fer": "small",
            "fer_title": "Small",
            "classes": list(CLASSES),
            "subjects": 4,
            "pairs": 8,
            "splits": "0123abcd",
        }
        path = self.root / "records" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        content = {
            "version": 1,
            "created": "2025-01-02T03:04:05+00:00",
            "command": f"nferbench run --dataset {self.root}/secret/faces.csv --workspace={self.root}",
            "nferbench": "0.1.0",
            "protocol": defaults | protocol,
            "faces": faces,
            "extra_faces": None,
            "rows": list(rows),
        }
        write_json(path, content)
        return path

    def row(self, name: str, folds: Sequence[Mapping[str, Reference | None]], **more: Any) -> dict[str, Any]:
        """A row; `needs` of a fold is a list, as a run writes it."""
        said = {"name": name, "title": name, "group": "none" if name == "none" else "gan", "heterogeneous": False}
        numbered = [
            {"fold": number, **dict.fromkeys(("translation", "quality", "fer")), **fold}
            for number, fold in enumerate(folds)
        ]
        return {**said, "tables": ["comparison"], "stamps": [], **more, "folds": numbered}

    def fail(self, reference: Reference, status: str = "failed", reason: str = "on purpose") -> Path:
        path = self.root / "failures" / f"{reference['key']}.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"status": status, "reason": reason, "stage": f"stage {reference['path']}"})
        return path

    def begin(self, reference: Reference, *files: str) -> Path:
        folder = self.root / "partial" / reference["key"]
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).write_text(json.dumps({"done": 7}))
        return folder

    def lock(self, name: str, process: int | None = None) -> Path:
        """A lock of a process of this machine, by default of this one."""
        owner = this_process() if process is None else replace(this_process(), process=process, started="0")
        path = self.root / "locks" / name
        path.mkdir(parents=True, exist_ok=True)
        (path / ("0" * 32)).write_text(owner.written())
        return path


def two_rows(made: Made) -> dict[str, Reference]:
    """The rows "none" and "alpha" on two folds, all done; returns the stages by label."""
    stages = {"faces": made.stage("faces", "tiny", files={"images.npy": "pixels of faces", "faces.csv": _faces()})}
    rows: dict[str, list[dict[str, Any]]] = {"none": [], "alpha": []}
    for fold in (0, 1):
        for row, cells in rows.items():
            faces, needs = stages["faces"], []
            if row != "none":
                network = made.stage("networks", f"net-{row}{fold}", faces, files={"weights.safetensors": "heavy"})
                stages[f"net-{row}{fold}"] = network
                needs = [network]
            translation = made.stage("translations", f"{row}{fold}", faces, *needs, files={"images.npy": "made faces"})
            quality = made.stage(
                "quality", f"{row}{fold}", translation, faces, files={"scores.csv": _scores(row, fold)}
            )
            fer = made.stage("recognition", f"{row}{fold}", faces, files={"predictions.csv": _predictions(row, fold)})
            cells.append({"translation": translation, "quality": quality, "fer": fer, "needs": [*needs, faces]})
            stages |= {f"{kind}-{row}{fold}": cells[-1][kind] for kind in ("translation", "quality", "fer")}
    made.record([made.row(name, cells) for name, cells in rows.items()], stages["faces"])
    return stages


def _faces() -> str:
    rows = [
        {"id": f"{one}-{what}.png", "modality": "vis", "subject": one, "expression": what, "pair": f"{one}-{what}"}
        for one in SUBJECTS
        for what in CLASSES
    ]
    return _csv(rows)


def _scores(row: str, fold: int) -> str:
    rows = [
        {
            "id": f"{one}-{what}.png",
            "subject": one,
            "expression": what,
            **{name: (len(row) * 7 + i * 3 + place * 11 + fold) / 13 for i, name in enumerate(SCORES)},
        }
        for place, one in enumerate(SUBJECTS[fold::2])
        for what in CLASSES
    ]
    return _csv(rows)


def _predictions(row: str, fold: int) -> str:
    rows = []
    for place, one in enumerate(SUBJECTS[fold::2]):
        answer = CLASSES[(place + len(row)) % 2]
        shares = {f"score:{name}": 0.75 if name == answer else 0.25 for name in CLASSES}
        for what in CLASSES:
            rows.append({"id": f"{one}-{what}.png", "subject": one, "expression": what, "predicted": answer} | shares)
    return _csv(rows)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines)


def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def content(root: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows_of(path: Path) -> list[str]:
    return [row["name"] for row in json.loads(path.read_text())["rows"]]


def read_table(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(text.decode().splitlines()))
