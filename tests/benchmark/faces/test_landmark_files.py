"""nferbench data landmarks: landmark files beside the images, and pairing Oulu-CASIA by them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from program import program

from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.datasets.manifest import dataset_from_path
from nferbench.datasets.oulu_casia import OuluCasia
from nferbench.faces.landmark_files import write_landmarks
from nferbench.faces.mean_face import MEAN_FACE
from nferbench.planning.plugins import load_plugins

PLUGIN = """
from dataclasses import dataclass, field
from typing import ClassVar
from nferbench import hookimpl
from nferbench.contract.detector import FaceDetector

@dataclass(frozen=True)
class Boxes(FaceDetector):
    points: ClassVar[int] = 0
    name: str = field(default="boxes", compare=False)
    title: str = field(default="Boxes", compare=False)

    def find(self, pixels):
        return ()

@hookimpl
def nferbench_detectors():
    return [Boxes()]
"""


@dataclass(frozen=True)
class Opening(FaceDetector):
    """A mean face whose mouth is as open as the picture is bright; none in a dark picture."""

    points: ClassVar[int] = 68

    name: str = field(default="opening", compare=False)
    title: str = field(default="Opening", compare=False)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        level = float(pixels[0, 0].mean())
        if level < 20:
            return ()
        points = MEAN_FACE * 100
        points[55:60, 1] += level / 10
        return (Detection((0, 0, 100, 100), points.astype(np.float32)),)


def silent(done: int, total: int) -> None:
    pass


def write(file: Path, level: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), level, np.uint8)).save(file)


def oulu(root: Path) -> Path:
    """One recording whose NIR sequence opens the mouth two frames later than the VIS sequence."""
    for number, level in enumerate((40, 80, 120, 160, 200)):
        write(root / "VL" / "Strong" / "P001" / "Anger" / f"{number:03d}.png", level)
    for number, level in enumerate((40, 40, 40, 80, 120, 160, 200)):
        write(root / "NI" / "Strong" / "P001" / "Anger" / f"{number:03d}.png", level)
    return root


def test_faces_are_written_beside_the_images_and_what_was_written_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "vis" / "p1" / "fear" / "a.png", 100)
    write(tmp_path / "vis" / "p1" / "fear" / "dark.png", 5)
    (tmp_path / "vis" / "p1" / "fear" / "text.png").write_text("no image")
    dataset, seen = dataset_from_path(tmp_path), []
    done = write_landmarks(dataset, Opening(), tmp_path, lambda *counts: seen.append(counts))
    assert (done.folder, done.found, done.kept) == ("landmarks-opening", 1, 0)
    assert done.missing == ("vis/p1/fear/dark.png", "vis/p1/fear/text.png") and seen[-1] == (3, 3)
    folder = tmp_path / "landmarks-opening" / "vis" / "p1" / "fear"
    assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "dark.npy", "text.npy"]
    assert np.load(folder / "a.npy")[57, 1] == pytest.approx(MEAN_FACE[57, 1] * 100 + 10)
    assert np.isnan(np.load(folder / "dark.npy")).all() and np.load(folder / "dark.npy").shape == (68, 2)
    np.save(folder / "a.npy", np.zeros((68, 2), np.float32))
    (folder / "dark.npy").unlink()
    again = write_landmarks(dataset, Opening(), tmp_path, silent)
    assert (again.found, len(again.missing), again.kept) == (0, 1, 2)
    assert not np.load(folder / "a.npy").any()


def test_oulu_casia_is_paired_by_the_landmarks_that_were_written(tmp_path: Path) -> None:
    root = oulu(tmp_path / "data")
    write_landmarks(OuluCasia(frames="all"), Opening(), root, silent)
    paired = OuluCasia(frames="all", pairing="landmark", landmarks="landmarks-opening")
    pairs: dict[str, dict[str, str]] = {}
    for face in paired.listing(root).faces:
        if face.pair:
            pairs.setdefault(face.pair, {})[face.modality] = Path(face.id).stem
    assert [(pair["vis"], pair["nir"]) for _, pair in sorted(pairs.items())] == [
        ("000", "002"),
        ("001", "003"),
        ("002", "004"),
        ("003", "005"),
        ("004", "006"),
    ]
    apex = replace(paired, pairing="relative").listing(root).faces
    assert {face.id: face.pair for face in apex} != {face.id: face.pair for face in paired.listing(root).faces}


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    plugins = load_plugins(installed=False)
    with pytest.raises(UsageError, match="'synthetic-hfe' has no files that landmarks could lie beside"):
        write_landmarks(plugins.datasets["synthetic-hfe"], Opening(), None, silent)
    (tmp_path / "boxes.py").write_text(PLUGIN)
    root = oulu(tmp_path / "data")
    words = ["data", "landmarks", "oulu-casia"]
    words += ["--data-root", str(root), "--plugin", str(tmp_path / "boxes.py")]
    for detector, message in (("boxes", "detector 'boxes' finds no landmarks"), ("given", "needs a --detector")):
        done = program(*words, "--detector", detector)
        assert done.returncode == 2 and message in done.stderr
    assert not list(root.glob("landmarks*"))


def test_the_command_tells_where_they_are_and_who_was_not_found(tmp_path: Path, shared: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    photo = Image.open(next((shared / "faces-london" / "vis" / "neutral").glob("*.jpg")))
    root = oulu(tmp_path)
    photo.save(root / "VL" / "Strong" / "P001" / "Anger" / "000.png")
    words = ["data", "landmarks", "oulu-casia"]
    words += ["--detector", "mesh", "--data-root", str(root), "--set", "datasets.oulu-casia.frames=all"]
    done = program(*words)
    if "needs" in done.stderr:
        pytest.skip("the weights of detector mesh are not installed")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"1 faces found, 11 not (NaN): {root / 'landmarks-mesh'}"
    assert "no face: NI/Strong/P001/Anger/000.png" in lines and "and 1 more without a face" in lines
    found = np.load(root / "landmarks-mesh" / "VL" / "Strong" / "P001" / "Anger" / "000.npy")
    assert found.shape == (68, 2) and np.isfinite(found).all()
