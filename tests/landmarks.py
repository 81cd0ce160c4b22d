"""How far landmarks of translated faces lie from those of the real NIR faces, row by row of a run on drawn faces.

    python tests/landmarks.py --workspace runs/demo

The landmarks of a face are found by a small network of its own, trained here on NIR faces of synthetic-others, whom no
run tests, and on nothing that was translated. It is no detector for photographs. The distance is the mean over the 68
points, in hundredths of the distance between the outer corners of the eyes; its interval is over subjects. The row
"real NIR" says how far off the network itself is.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nferbench.contract import pixels
from nferbench.datasets.synthetic import nferbench_datasets
from nferbench.faces.prepared import read_prepared
from nferbench.recognisers.augment import luminance
from nferbench_reports.bootstrap import interval_of_mean
from nferbench_reports.record import Row
from nferbench_reports.records import read_records
from nferbench_reports.results import read_table
from nferbench_reports.stage_files import folder_of

POINTS = 68
CORNERS = (36, 45)  # outer corners of the eyes
BATCH = 32
MOVES = 2 / 32  # of a training face along either axis, as a share of its side


class Finder(nn.Module):
    """Faces (B, 1, S, S) in [-1, 1] to 68 landmarks (B, 68, 2) in shares of the side, 0.5 being the middle."""

    def __init__(self, size: int, width: int = 24) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after, stride in zip(channels, channels[1:], (1, 2, 2, 2), strict=False):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Sequential(
            nn.Linear((size // 8) ** 2 * channels[-1], 256), nn.ReLU(), nn.Linear(256, 2 * POINTS)
        )

    def forward(self, faces: Tensor) -> Tensor:
        found: Tensor = self.last(self.layers(faces)).view(-1, POINTS, 2)
        return found / 4 + 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("runs/demo"))
    parser.add_argument("--updates", type=int, default=4000, help="of the network that finds landmarks")
    parser.add_argument("--subjects", type=int, default=500, help="people that it is trained on")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    record = read_records(asked.workspace).chosen[0].record
    prepared = read_prepared(folder_of(asked.workspace, record.faces))
    if prepared.landmarks is None:
        raise SystemExit("the faces of this run have no landmarks")
    size = record.protocol.size
    finder = trained(size, asked.updates, asked.subjects)
    truth = {face.pair: row for row, face in enumerate(prepared.faces) if face.modality == "nir" and face.pair}

    def distances(images: np.ndarray, pairs: list[str]) -> np.ndarray:
        """Of each image to the landmarks of the real face of its pair."""
        rows = [truth[pair] for pair in pairs]
        landmarks = torch.from_numpy(prepared.landmarks[rows])  # type: ignore[index]
        found = torch.cat([finder(faces) for faces in as_faces(images).split(BATCH)]) * size - 0.5
        apart = (landmarks[:, CORNERS[0]] - landmarks[:, CORNERS[1]]).norm(dim=-1)
        return (100 * (found - landmarks).norm(dim=-1).mean(-1) / apart).numpy()

    with torch.inference_mode():
        pairs = sorted(truth)
        real = distances(np.asarray(prepared.images[[truth[pair] for pair in pairs]]), pairs)
        subjects = {pair: prepared.faces[truth[pair]].subject for pair in pairs}
        told("real NIR", real, [subjects[pair] for pair in pairs], None)
        cond = None
        for row in sorted(record.rows, key=lambda row: row.name != "cond"):
            images, faces = translated(asked.workspace, row)
            if len(images):
                by_subject = told(row.title, distances(images, faces), [subjects[pair] for pair in faces], cond)
                cond = by_subject if row.name == "cond" else cond


def as_faces(images: np.ndarray) -> Tensor:
    return luminance(pixels.to_float(torch.from_numpy(np.array(images))))


def trained(size: int, updates: int, subjects: int) -> Finder:
    """A network that finds landmarks on real NIR faces, the same every time."""
    others = next(data for data in nferbench_datasets() if data.name == "synthetic-others")
    listed = [face for face in others.listing(None).faces if face.modality == "nir"]
    people = sorted({face.subject for face in listed})[:subjects]
    pictures = [others.load(face, None, size) for face in listed if face.subject in people]
    faces = as_faces(np.stack([picture.pixels for picture in pictures]))
    points = torch.from_numpy(np.stack([picture.landmarks for picture in pictures]))  # type: ignore[type-var]
    points = (points + 0.5) / size
    torch.manual_seed(0)
    network = Finder(size)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: (1 + math.cos(math.pi * k / updates)) / 2)
    reach = round(MOVES * size)
    for _ in range(updates):
        rows = torch.randint(len(faces), (BATCH,))
        down, right = torch.randint(-reach, reach + 1, (2,)).tolist()
        moved = torch.roll(faces[rows], (down, right), (2, 3))
        lit = moved * (1 + 0.3 * (torch.rand(BATCH, 1, 1, 1) - 0.5)) + 0.2 * (torch.rand(BATCH, 1, 1, 1) - 0.5)
        wanted = points[rows] + torch.tensor([right, down]) / size
        loss = (network(lit) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return network.eval().requires_grad_(False)


def translated(workspace: Path, row: Row) -> tuple[np.ndarray, list[str]]:
    """The translated test faces of a row and the pair of each, over all finished folds."""
    images, pairs = [], []
    for fold in row.folds:
        if fold.translation is not None and (folder := folder_of(workspace, fold.translation)).is_dir():
            images.append(np.load(folder / "images.npy"))
            pairs += read_table(folder / "faces.csv", ("pair",))["pair"].tolist()  # type: ignore[index]
    return (np.concatenate(images) if images else np.empty(0)), pairs


def told(title: str, distances: np.ndarray, subjects: list[str], base: dict[str, float] | None) -> dict[str, float]:
    """Print a row, with its difference to `base` where there is one; return the distance by subject."""
    names = np.array(subjects)
    mine = {name: float(distances[names == name].mean()) for name in sorted(set(subjects))}
    line = f"{title:40} {np.mean(list(mine.values())):6.2f}"
    if base is not None:
        differences = np.array([mine[name] - base[name] for name in mine])
        low, high = interval_of_mean(differences)
        line += f"   against Cond {differences.mean():+.2f} ({low:+.2f} to {high:+.2f})"
    print(line, flush=True)
    return mine


if __name__ == "__main__":
    main()
