"""Data sets whose faces a detector finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from nferbench.contract.dataset import Face, FaceDataset, Listing, Picture
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import PluginError, UsageError
from nferbench.contract.values import describe, digest
from nferbench.datasets.detected import Detected, largest
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import read_prepared
from nferbench.planning.plan import faces_stage
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.store import open_workspace

PLUGIN = """
from dataclasses import dataclass, field
from typing import ClassVar
from nferbench import hookimpl
from nferbench.contract.detector import FaceDetector

@dataclass(frozen=True)
class Blind(FaceDetector):
    points: ClassVar[int] = {points}
    name: str = field(default="blind", compare=False)
    title: str = field(default="Blind", compare=False)
    threshold: float = 0.5

    def find(self, pixels):
        return ()

@hookimpl
def nferbench_detectors():
    return [Blind()]
"""


@dataclass(frozen=True)
class Bright(FaceDetector):
    """Finds rectangles by their brightness, with their corners and centre as landmarks."""

    points: ClassVar[int] = 5

    name: str = field(default="bright", compare=False)
    title: str = field(default="Bright", compare=False)
    levels: tuple[int, ...] = (200, 250)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        found = []
        for level in self.levels:
            rows, columns = np.nonzero(pixels[..., 0] == level)
            if len(rows):
                x1, y1, x2, y2 = (float(v) for v in (columns.min(), rows.min(), columns.max(), rows.max()))
                points = [(x1, y1), (x2, y1), ((x1 + x2) / 2, (y1 + y2) / 2), (x1, y2), (x2, y2)]
                found.append(Detection((x1, y1, x2, y2), np.array(points, np.float32)))
        return tuple(found)


@dataclass(frozen=True)
class Rectangles(FaceDataset):
    """Pictures with a large rectangle (level 200), a small one (250), both, or none."""

    name: str = field(default="rectangles", compare=False)
    title: str = field(default="Rectangles", compare=False)

    def listing(self, root: Path | None) -> Listing:
        return Listing(tuple(Face(name, "vis", name, "anger") for name in ("both", "large", "none", "small")))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        pixels = np.full((100, 120, 3), 60, np.uint8)
        if face.id in ("both", "large"):
            pixels[20:61, 30:71] = 200
        if face.id in ("both", "small"):
            pixels[70:81, 90:101] = 250
        return Picture(pixels)


def test_the_largest_face_is_cropped_and_a_missing_one_is_named(tmp_path: Path) -> None:
    dataset = Detected(Rectangles(), Bright())
    prepare(dataset, None, 32, "box68", tmp_path, lambda done, total: None)
    found = read_prepared(tmp_path)
    assert [face.id for face in found.faces] == ["both", "large", "small"]
    assert "none,no face found by bright" in (tmp_path / "dropped.csv").read_text()
    assert found.landmarks is not None and found.landmarks.shape == (3, 5, 2)
    assert np.allclose(found.landmarks[0], found.landmarks[1])  # of two faces the larger one
    assert np.array_equal(found.images[0][8:24, 8:24], found.images[1][8:24, 8:24])


@dataclass(frozen=True)
class Faces(Rectangles):
    """The same pictures, said to be the square faces already."""

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        own = np.zeros((68, 2), np.float32)  # which the detector's replace
        return replace(super().load(face, root, size), cropped=True, landmarks=own)


@pytest.mark.parametrize("crop", ["box68", "fan", "given", "none"])
def test_pictures_that_are_the_face_keep_their_square_where_nothing_is_found(tmp_path: Path, crop: str) -> None:
    prepare(Detected(Faces(), Bright()), None, 32, crop, tmp_path / "faces", lambda done, total: None)
    found = read_prepared(tmp_path / "faces")
    assert [face.id for face in found.faces] == ["both", "large", "none", "small"] and found.landmarks is not None
    assert np.isnan(found.landmarks[2]).all() and np.isfinite(found.landmarks[[0, 1, 3]]).all()
    assert (found.images[2] == 60).all()
    prepare(Rectangles(), None, 32, "none", tmp_path / "middle", lambda done, total: None)
    middle = read_prepared(tmp_path / "middle").images
    as_they_are = [np.array_equal(a, b) for a, b in zip(found.images, middle, strict=True)]
    assert as_they_are == ([False, False, True, False] if crop == "box68" else [True] * 4)  # box68 follows landmarks


def test_a_crop_whose_landmarks_nobody_finds_is_refused_before_any_work(tmp_path: Path) -> None:
    plugins = load_plugins(installed=False)
    for name in ("eyes", "template"):
        settings = resolve(Request("synthetic-hfe", ("none",), "none", "quick", crop=name), plugins)
        faces_stage(settings, "dataset", {}, open_workspace(tmp_path))
        few = replace(settings, dataset=Detected(Rectangles(), Bright()))
        with pytest.raises(UsageError, match=f"crop '{name}' needs 68 landmarks a face and rectangles has 5"):
            faces_stage(few, "dataset", {}, open_workspace(tmp_path))


def test_name_roots_and_key_follow_from_both_parts() -> None:
    dataset = Detected(Rectangles(), Bright())
    assert (dataset.name, dataset.title) == ("rectangles", "Rectangles")
    assert dataset.base(Path("x")) == Path("x")
    assert dataset.listing(None).landmarks == 5
    others = [Detected(replace(Rectangles(), name="other"), Bright()), Detected(Rectangles(), Bright(levels=(200,)))]
    keys = [digest(describe(each)) for each in (dataset, *others)]
    assert keys[0] == keys[1] != keys[2]  # a name is a label, a setting is not


@pytest.mark.parametrize(("points", "crop"), [(68, "box68"), (0, "fan")])
def test_a_detector_of_a_plugin_is_chosen_by_name_and_brings_its_crop(points: int, crop: str, tmp_path: Path) -> None:
    file = tmp_path / f"blind{points}.py"
    file.write_text(PLUGIN.format(points=points))
    plugins = load_plugins([str(file)])
    found = resolve(Request(detector="blind", changes=("detectors.blind.threshold=0.7",)), plugins)
    assert isinstance(found.dataset, Detected) and isinstance(found.extra, Detected)
    assert found.dataset.detector.threshold == 0.7  # type: ignore[attr-defined]
    assert found.crop == crop
    assert resolve(Request(detector="blind", crop="template"), plugins).crop == "template"
    assert resolve(Request(), plugins).detector is None
    with pytest.raises(UsageError, match="unknown face detector 'blink'; did you mean 'blind'"):
        resolve(Request(detector="blink"), plugins)


BOX = (0.0, 0.0, 9.0, 9.0)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "returned NoneType; a tuple of Detection is due"),
        (np.zeros((1, 4)), "returned ndarray; a tuple of Detection is due"),
        ((BOX,), "found a tuple; Detection is due"),
        ((Detection((0, 0, 9)),), "found the box"),  # type: ignore[arg-type]
        ((Detection((0, 0, 9, np.inf)),), "found the box"),
        ((Detection("0 0 9 9"),), "found the box"),  # type: ignore[arg-type]
        (
            (Detection(BOX, np.zeros((4, 2), np.float32)),),
            r"float32 of shape \(4, 2\); floating point of shape \(5, 2\)",
        ),
        ((Detection(BOX, np.zeros((5, 2), np.uint8)),), "uint8 of shape"),  # type: ignore[arg-type]
        ((Detection(BOX, [(0, 0)] * 5),), "landmarks that are list"),  # type: ignore[arg-type]
    ],
)
def test_a_detector_that_breaks_its_contract_is_named(
    monkeypatch: pytest.MonkeyPatch, found: object, told: str
) -> None:
    monkeypatch.setattr(Bright, "find", lambda *_: found)
    with pytest.raises(PluginError, match=f"detector 'bright' .*{told}"):
        largest(Bright(), np.zeros((9, 9, 3), np.uint8))
