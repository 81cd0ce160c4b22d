"""The face detectors on photographs of real faces, where these and the packages are at hand, and without."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nferbench.contract.errors import UsageError
from nferbench.datasets.images import read_image
from nferbench.detectors import FaceDetector, fan
from nferbench.detectors.dlib68 import Dlib68
from nferbench.detectors.fan import Fan
from nferbench.detectors.mesh import MESH_OF_68, Mesh, _anchors, _overlaps
from nferbench.planning.plugins import load_plugins


def ready(detector: FaceDetector) -> FaceDetector:
    try:
        detector.ready()
    except UsageError as error:
        pytest.skip(str(error))
    return detector


@pytest.fixture(params=[Mesh(), Dlib68()], ids=["mesh", "dlib"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    return ready(request.param)


def eyes(landmarks: np.ndarray) -> np.ndarray:
    return np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])


def test_pupils_of_real_faces_are_met_within_a_tenth_of_their_distance(detector: FaceDetector, shared: Path) -> None:
    folder = shared / "faces-london"
    errors = []
    for row in list(csv.DictReader((folder / "pupils-neutral-320px.csv").open()))[::4]:
        pixels = read_image(folder / "vis" / "neutral" / f"{row['subject']}.jpg")
        (found,) = detector.find(pixels)
        assert found.landmarks is not None and found.landmarks.shape == (68, 2)
        pupils = np.array([float(row[name]) for name in ("x0", "y0", "x1", "y1")]).reshape(2, 2)
        distance = np.linalg.norm(pupils[1] - pupils[0])
        errors += list(np.linalg.norm(eyes(found.landmarks) - pupils, axis=1) / distance)
    assert np.median(errors) < 0.05 and max(errors) < 0.1


def test_a_shifted_or_mirrored_picture_has_its_face_moved_alike(detector: FaceDetector, shared: Path) -> None:
    pixels = read_image(shared / "faces-london" / "vis" / "smiling" / "010.jpg")
    plain, shifted, mirrored = (
        detector.find(each)[0].landmarks for each in (pixels, np.roll(pixels, (9, 14), (0, 1)), pixels[:, ::-1].copy())
    )
    assert plain is not None and shifted is not None and mirrored is not None
    assert np.abs(shifted - plain - [14, 9]).mean() < 2
    flipped = eyes(mirrored)[::-1] * [-1, 1] + [pixels.shape[1] - 1, 0]
    assert np.abs(flipped - eyes(plain)).max() < 3


def test_a_face_is_found_in_infrared_and_among_two_people(detector: FaceDetector, shared: Path) -> None:
    folder = shared / "faces-london"
    one, other = (read_image(folder / name) for name in ("nir/neutral/001.jpg", "vis/neutral/002.jpg"))
    assert len(detector.find(one)) == 1
    small = other[::2, ::2]
    pair = np.full((one.shape[0], one.shape[1] + small.shape[1], 3), 128, np.uint8)
    pair[:, : one.shape[1]] = one
    pair[: small.shape[0], one.shape[1] :] = small
    found = sorted(detector.find(pair), key=lambda face: -face.area)
    assert found and found[0].box[2] < one.shape[1]  # the largest is the large one
    assert len(found) <= 2


def test_the_same_picture_gives_the_same_face_and_nothing_gives_none(detector: FaceDetector, shared: Path) -> None:
    pixels = read_image(shared / "faces-london" / "vis" / "neutral" / "001.jpg")
    first, second = (detector.find(pixels)[0].landmarks for _ in range(2))
    assert np.array_equal(first, second)  # type: ignore[arg-type]
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for empty in (np.full((120, 80, 3), 90, np.uint8), noise):
        assert detector.find(empty) == ()


def test_a_turned_face_is_found_by_the_mesh(shared: Path) -> None:
    from PIL import Image

    mesh = ready(Mesh())
    pixels = read_image(shared / "faces-london" / "vis" / "neutral" / "003.jpg")
    (upright,) = mesh.find(pixels)
    turned = np.asarray(Image.fromarray(pixels).rotate(40, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)))
    (found,) = mesh.find(turned)
    across = np.diff(eyes(found.landmarks), axis=0)[0]  # type: ignore[arg-type]
    before = np.diff(eyes(upright.landmarks), axis=0)[0]  # type: ignore[arg-type]
    turn = np.degrees(np.arctan2(*across[::-1]) - np.arctan2(*before[::-1]))
    assert turn == pytest.approx(-40, abs=4)


def test_the_mesh_is_read_as_68_points_with_mirrored_halves() -> None:
    assert len(MESH_OF_68) == 68 and max(max(places) for places in MESH_OF_68) < 468
    assert len(set(MESH_OF_68)) == 68


def test_anchors_cover_the_picture_evenly() -> None:
    anchors = _anchors()
    assert anchors.shape == (896, 2) and np.allclose(anchors.mean(axis=0), 0.5)
    assert anchors[0].tolist() == [1 / 32, 1 / 32] and anchors[2].tolist() == [3 / 32, 1 / 32]


def test_overlaps_by_hand() -> None:
    one = np.array([[0.0, 0.0], [2.0, 2.0]])
    others = np.array([[[0.0, 0.0], [2.0, 2.0]], [[1.0, 0.0], [3.0, 2.0]], [[5.0, 5.0], [6.0, 6.0]]])
    assert _overlaps(one, others).tolist() == pytest.approx([1, 1 / 3, 0])


def test_what_is_missing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(fan, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install face-alignment"):
        Fan().ready()
    monkeypatch.setattr(fan, "find_spec", lambda name: object())
    with pytest.raises(UsageError, match=r"s3fd-619a316812.pth and 2DFAN4-11f355bf06.pth.tar") as caught:
        Fan().ready()
    assert "\n" not in str(caught.value)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    content = b"weights"
    digits = hashlib.sha256(content).hexdigest()[:10]
    monkeypatch.setattr(fan, "BOXES", f"s3fd-{digits}.pth")
    monkeypatch.setattr(fan, "LANDMARKS", (f"2DFAN4-{digits}.pth.tar", f"2DFAN4-{digits}.zip"))
    for file in (fan.BOXES, fan.LANDMARKS[1]):
        (folder / file).write_bytes(content)
    Fan().ready()
    (folder / fan.LANDMARKS[1]).write_bytes(b"<html>")
    with pytest.raises(
        UsageError, match=rf"2DFAN4-{digits}\.zip in .* is not what its name says .*; remove it"
    ) as caught:
        Fan().ready()
    assert "\n" not in str(caught.value)

    def unreadable(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(fan, "_is_named_one", unreadable)
        with pytest.raises(UsageError, match=rf"s3fd-{digits}\.pth in .* cannot be read \(Permission denied\)"):
            Fan().ready()
    monkeypatch.setattr("nferbench.detectors.dlib68.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs dlib and face_recognition_models"):
        Dlib68().ready()
    monkeypatch.setattr("nferbench.detectors.mesh.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install ai-edge-litert"):
        Mesh().ready()


@pytest.mark.parametrize("enum", [{"TWO_D": 1}, {"_2D": 1}], ids=["1.4", "1.3"])
def test_fan_is_asked_as_its_package_wants_and_never_compiled(monkeypatch: pytest.MonkeyPatch, enum: Any) -> None:
    asked: dict[str, Any] = {}

    class FaceAlignment:
        def __init__(self, kind: Any, *, compile: bool = True, face_detector_kwargs: Any, **others: Any) -> None:
            asked.update(kind=kind, compile=compile, **face_detector_kwargs)

        def get_landmarks_from_image(self, image: np.ndarray, return_bboxes: bool) -> Any:
            if not image.any():
                return None, None, None
            return [np.ones((68, 2))], None, [np.array([1.0, 2.0, 30.0, 40.0, 0.9])]

    package = SimpleNamespace(LandmarksType=SimpleNamespace(**enum), FaceAlignment=FaceAlignment)
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    fan._network.cache_clear()
    (face,) = Fan(threshold=0.7).find(np.full((50, 50, 3), 9, np.uint8))
    assert face.box == (1, 2, 30, 40) and face.landmarks is not None and face.landmarks.shape == (68, 2)
    assert asked == {"kind": 1, "compile": False, "filter_threshold": 0.7}
    assert Fan(threshold=0.7).find(np.zeros((50, 50, 3), np.uint8)) == ()
    fan._network.cache_clear()


def test_detectors_are_registered_without_loading_their_packages() -> None:
    assert {"mesh", "dlib", "fan"} <= set(load_plugins(installed=False).detectors)
    code = "import sys; from nferbench.planning.plugins import load_plugins; load_plugins(installed=False); "
    code += "print([m for m in ('ai_edge_litert', 'dlib', 'face_alignment', 'torch') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout.strip() == "[]", run.stderr


def test_the_mesh_says_nothing_and_leaves_stderr_as_it_was() -> None:
    ready(Mesh())
    code = (
        "import sys; from concurrent.futures import ThreadPoolExecutor; import numpy as np\n"
        "from nferbench.detectors.mesh import Mesh\n"
        "pictures = [np.full((60, 60, 3), level, np.uint8) for level in range(40)]\n"
        "print(list(ThreadPoolExecutor(4).map(Mesh().find, pictures)) == [()] * 40)\n"
        "print('still here', file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert (run.stdout, run.stderr) == ("True\n", "still here\n")
