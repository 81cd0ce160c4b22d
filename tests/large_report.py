"""What a report of a large run takes: 360 people, 15 rows, five folds, drawn results. By hand; never part of the tests.

    python tests/large_report.py [--size 64] [--subjects 360] [--updates 200] [--keep FOLDER] [--profile]

A workspace is written as a run leaves it. Nothing in it was computed by a network: a translation is the real NIR face
with noise, less of it for better rows. Then the report is made in a process of its own, and its time and the most
memory that it had are printed. A workspace that is kept is used again by the next call.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from workspaces import Made, Reference

ROOT, SOURCES = Path(__file__).parents[1], ("benchmark", "methods", "reports", "configs")
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
FOLDS, TRAININGS = 5, 3
# Name, group, table, how good it is from 0 to 1, what it pushes with.
ROWS: tuple[tuple[str, str, str, float, tuple[str, ...]], ...] = (
    ("nir-only", "reference", "comparison", 0.2, ()),
    ("oracle", "reference", "comparison", 1.0, ()),
    ("none", "none", "comparison", 0.1, ()),
    ("pix2pix", "gan", "comparison", 0.5, ()),
    ("cyclegan", "gan", "comparison", 0.3, ()),
    ("hifacegan", "gan", "comparison", 0.6, ()),
    ("ilvr", "diffusion", "comparison", 0.1, ()),
    ("sr3", "diffusion", "comparison", 0.5, ()),
    ("sdedit", "diffusion", "comparison", 0.2, ()),
    ("egsde", "diffusion", "comparison", 0.3, ("E_s", "E_i")),
    ("t2v-ddpm", "diffusion", "comparison", 0.6, ()),
    ("nfer-sde", "diffusion", "comparison", 0.8, ("E_h", "E_f")),
    ("baseline", "diffusion", "ablation", 0.2, ()),
    ("cond", "diffusion", "ablation", 0.6, ()),
    ("cond+eh", "diffusion", "ablation", 0.7, ("E_h",)),
)


@dataclass(frozen=True)
class Drawn:
    """The people, and what is drawn of them."""

    size: int
    subjects: int
    updates: int
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def table(self) -> pd.DataFrame:
        """A line for each pair, with its fold."""
        people = [f"s{number:04d}" for number in range(self.subjects)]
        frame = pd.DataFrame([(one, what) for one in people for what in CLASSES], columns=["subject", "expression"])
        frame["pair"] = frame["subject"] + "-" + frame["expression"]
        frame["id"] = frame["pair"] + "-vis"
        frame["fold"] = np.repeat(np.arange(self.subjects) % FOLDS, len(CLASSES))
        return frame

    def smooth(self, count: int, cells: int) -> np.ndarray:
        """Smooth pictures (count, size, size) around 0."""
        coarse = self.rng.normal(0, 1, (count, cells, cells)).astype(np.float32)
        places = np.linspace(0, cells - 1, self.size)
        weights = np.maximum(1 - abs(places[:, None] - np.arange(cells)), 0).astype(np.float32)
        return weights @ coarse @ weights.T

    def pixels(self, pictures: np.ndarray) -> np.ndarray:
        return np.repeat((128 + 40 * pictures).clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--subjects", type=int, default=360)
    parser.add_argument("--updates", type=int, default=200, help="lines of each losses.csv")
    parser.add_argument("--keep", type=Path, help="where the workspace is written, or lies")
    parser.add_argument("--profile", action="store_true", help="write FOLDER/report.prof")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = asked.keep or Path(folder) / "runs"
        if not (root / "records").exists():
            began = time.perf_counter()
            write(Made(root), Drawn(asked.size, asked.subjects, asked.updates))
            print(f"workspace written in {time.perf_counter() - began:.1f} s", flush=True)
        out = root / "report"
        profiled = ["-m", "cProfile", "-o", str(root / "report.prof")] if asked.profile else []
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *profiled, "-m", "nferbench", "report", "--workspace", str(root), "--out", str(out)],
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in SOURCES)},
            stdout=subprocess.DEVNULL,
        )
        taken = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        written = sum(path.stat().st_size for path in out.iterdir()) / 1e6
        print(
            f"report: {taken:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of a core, at most "
            f"{used.ru_maxrss / 1024:.0f} MiB of memory, {written:.1f} MB written"
        )


def write(made: Made, drawn: Drawn) -> None:
    """A workspace as a run of all rows leaves it."""
    table = drawn.table()
    shape = drawn.smooth(len(table), 4), drawn.smooth(len(table), 24) / 2  # low and high frequencies
    people = np.repeat(drawn.smooth(drawn.subjects, 12), len(CLASSES), axis=0)
    nir = people + shape[0] + shape[1]
    vis = people - 0.5 * shape[0] + shape[1] + drawn.smooth(len(table), 4)
    both = pd.concat(
        [table.assign(modality="vis"), table.assign(modality="nir", id=table["pair"] + "-nir")], ignore_index=True
    )
    listed = both[["id", "modality", "subject", "expression", "pair"]].assign(split="")
    faces = made.stage(
        "faces",
        "large",
        files={"faces.csv": written(listed), "images.npy": saved(drawn.pixels(np.concatenate([vis, nir])))},
        result={"faces": len(both), "pairs": len(table), "subjects": drawn.subjects, "listed": len(both)},
    )
    talent = drawn.rng.normal(0, 0.1, drawn.subjects).repeat(len(CLASSES))  # how easy a person is
    rows = []
    for name, group, in_table, quality, pushes in ROWS:
        folds = []
        for fold in range(FOLDS):
            mine = (table["fold"] == fold).to_numpy()
            cells: dict[str, Any] = {"translation": None, "quality": None}
            if group != "reference":
                networks = []
                if group != "none":
                    networks.append(
                        made.stage(
                            "networks",
                            f"{name}{fold}",
                            faces,
                            files={"losses.csv": written(losses(drawn, ("first", "second")))},
                            result={"updates": drawn.updates, "parameters": 1_000_000},
                            cost=cost(drawn, 4000),
                        )
                    )
                made_up = nir[mine] + 2 * (1 - quality) * drawn.smooth(int(mine.sum()), 24)
                files = {
                    "faces.csv": written(table.loc[mine, ["id", "subject", "expression", "pair"]]),
                    "images.npy": saved(drawn.pixels(vis[mine] if group == "none" else made_up)),
                }
                if pushes:
                    files["pushes.csv"] = written(pushed(drawn, pushes))
                translation = made.stage(
                    "translations", f"{name}{fold}", faces, *networks, files=files, cost=cost(drawn, 90)
                )
                scores = written(scored(drawn, table[mine], quality, talent[mine]))
                cells["quality"] = made.stage(
                    "quality", f"{name}{fold}", translation, faces, files={"scores.csv": scores}
                )
                cells |= {"translation": translation, "needs": [*networks, faces]}
            trainings = list(recognised(made, drawn, faces, table[mine], name, fold, quality, talent[mine]))
            folds.append({**cells, "fer": trainings[0], "fer_repeats": trainings[1:]})
        rows.append(made.row(name, folds, group=group, tables=[in_table]))
    made.record(
        rows,
        faces,
        dataset="large-hfe",
        dataset_title="Large-HFE, drawn",
        extra="more",
        extra_title="More",
        size=drawn.size,
        folds=FOLDS,
        classes=list(CLASSES),
        subjects=drawn.subjects,
        pairs=len(table),
        fer_seeds=TRAININGS,
    )


def recognised(
    made: Made,
    drawn: Drawn,
    faces: Reference,
    tested: pd.DataFrame,
    row: str,
    fold: int,
    quality: float,
    talent: np.ndarray,
) -> Iterator[Reference]:
    """The trainings of the recogniser of a row in one fold."""
    for training in range(TRAININGS):
        right = drawn.rng.random(len(tested)) < 0.55 + 0.2 * quality + talent
        guesses = drawn.rng.choice(CLASSES, len(tested))
        predicted = tested[["pair", "subject", "expression"]].rename(columns={"pair": "id"})
        predicted = predicted.assign(
            id=predicted["id"] + "-nir", predicted=np.where(right, tested["expression"], guesses)
        )
        files = {"predictions.csv": written(predicted), "losses.csv": written(losses(drawn, ("cross_entropy",)))}
        yield made.stage("recognition", f"{row}-{training}-{fold}", faces, files=files, cost=cost(drawn, 300))


def scored(drawn: Drawn, tested: pd.DataFrame, quality: float, talent: np.ndarray) -> pd.DataFrame:
    noise = drawn.rng.normal(0, 1, len(tested)) + 5 * talent
    lpips = (0.4 - 0.2 * quality - 0.03 * noise).clip(0.01)
    psnr, ssim = 14 + 8 * quality + noise, (0.5 + 0.35 * quality + 0.03 * noise).clip(0, 1)
    return tested[["id", "subject", "expression"]].assign(
        lpips=lpips, psnr=psnr, ssim=ssim, psnr_paper=psnr + 42.11, ssim_paper=1 - (1 - ssim) / 100
    )


def losses(drawn: Drawn, names: tuple[str, ...]) -> pd.DataFrame:
    update = np.arange(1, drawn.updates + 1)
    curves = {name: 1 / np.sqrt(update) + 0.02 * drawn.rng.random(drawn.updates) for name in names}
    return pd.DataFrame({"update": update, **curves})


def pushed(drawn: Drawn, energies: tuple[str, ...], steps: int = 500) -> pd.DataFrame:
    lines = []
    for k, t in enumerate(reversed(range(steps))):
        score = 0.1 + 0.1 * t / steps
        for term in ("score", *energies, "noise"):
            size = score * (1 if term == "score" else drawn.rng.uniform(0.1, 0.9))
            lines.append((t, k, term, size, 0.9 * size, 1.1 * size, size / score, 0.1))
    return pd.DataFrame(lines, columns=["t", "k", "term", "rms_mean", "rms_low", "rms_high", "relative", "cosine"])


def cost(drawn: Drawn, seconds: float) -> dict[str, Any]:
    return {"seconds": round(seconds * drawn.rng.uniform(0.8, 1.2), 3), "units": drawn.updates, "resumed": False}


def written(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False))


def saved(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


if __name__ == "__main__":
    main()
