"""The drawn data sets: same pixels everywhere, exact landmarks, readable expressions, and two kinds of light."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib.path import Path
from numpy.typing import NDArray
from scipy import ndimage

from nferbench.contract.dataset import EXPRESSIONS, Face, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets import drawing
from nferbench.datasets.synthetic import SyntheticFaces, nferbench_datasets

HFE, VIS, VIS_NIR, OTHERS = nferbench_datasets()
SIZE = 64


@cache
def draw(face_id: str, size: int = SIZE) -> Picture:
    subject, expression, _, modality = face_id.split("-")
    return HFE.load(Face(face_id, "vis" if modality == "vis" else "nir", subject, expression), None, size)


def landmarks(face_id: str) -> NDArray[np.float32]:
    points = draw(face_id).landmarks
    assert points is not None
    return points


def grey(face_id: str) -> NDArray[np.float64]:
    luminance: NDArray[np.float64] = draw(face_id).pixels @ np.array([0.299, 0.587, 0.114])
    return luminance


def people(count: int) -> list[str]:
    return [f"s{number:03d}" for number in range(1, count + 1)]


def test_each_set_lists_every_subject_expression_and_modality_once() -> None:
    counts = {data.name: len(data.listing(None).faces) for data in (HFE, VIS, VIS_NIR)}
    assert counts == {"synthetic-hfe": 40 * 6 * 2, "synthetic-vis": 30 * 6, "synthetic-vis-nir": 30 * 6 * 2}
    for data in (HFE, VIS, VIS_NIR):
        listing = data.listing(None)
        assert listing.landmarks == 68 and not listing.dropped
        assert len({face.id for face in listing.faces}) == len(listing.faces)
        assert [face.id for face in listing.faces] == sorted(face.id for face in listing.faces)
        assert {face.expression for face in listing.faces} == set(EXPRESSIONS)


def test_paired_faces_share_subject_and_expression_and_a_vis_only_set_has_no_pairs() -> None:
    by_pair: dict[str, list[Face]] = {}
    for face in HFE.listing(None).faces:
        by_pair.setdefault(face.pair, []).append(face)
    assert len(by_pair) == 240
    for pair, (one, other) in by_pair.items():
        assert {one.modality, other.modality} == {"vis", "nir"}
        assert (one.subject, one.expression) == (other.subject, other.expression)
        assert one.id == f"{pair}-{one.modality}"
    assert {face.pair for face in VIS.listing(None).faces} == {""}


def test_the_extra_set_has_other_people() -> None:
    ours = {face.subject for face in HFE.listing(None).faces}
    assert ours.isdisjoint(face.subject for face in VIS.listing(None).faces)


def test_nobody_who_is_tested_or_translated_is_there_to_pre_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {face.subject for face in OTHERS.listing(None).faces}
    for data in (HFE, VIS, VIS_NIR):
        assert others.isdisjoint(face.subject for face in data.listing(None).faces)
    seeds: list[str] = []
    stream = drawing._stream
    monkeypatch.setattr(drawing, "_stream", lambda *names: seeds.append(names[0]) or stream(*names))
    face = OTHERS.listing(None).faces[0]
    OTHERS.load(face, None, 8)
    # Whatever is random in a picture follows from its subject, so other subjects are other seeds.
    assert {seed.split("-")[0] for seed in seeds} == {face.subject}


def test_the_oracle_set_holds_the_extra_set_bit_for_bit() -> None:
    extra = VIS.listing(None).faces
    oracle = {face.id: face for face in VIS_NIR.listing(None).faces}
    assert {face.id for face in extra} == {face.id for face in oracle.values() if face.modality == "vis"}
    for face in extra[::45]:
        mine, theirs = VIS.load(face, None, 32), VIS_NIR.load(oracle[face.id], None, 32)
        assert np.array_equal(mine.pixels, theirs.pixels)


def test_pictures_are_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "import hashlib\n"
        "from nferbench.datasets.synthetic import nferbench_datasets\n"
        "data = nferbench_datasets()[0]\n"
        "face = data.listing(None).faces[37]\n"
        "picture = data.load(face, None, 48)\n"
        "print(face.id, hashlib.sha256(picture.pixels.tobytes() + picture.landmarks.tobytes()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    face = HFE.listing(None).faces[37]
    here = HFE.load(face, None, 48)
    assert here.landmarks is not None
    digest = hashlib.sha256(here.pixels.tobytes() + here.landmarks.tobytes()).hexdigest()
    assert there.stdout.split() == [face.id, digest]


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    face = HFE.listing(None).faces[5]
    first = HFE.load(face, None, 32).pixels
    HFE.load(HFE.listing(None).faces[100], None, 40)
    assert np.array_equal(first, HFE.load(face, None, 32).pixels)


def test_takes_of_one_expression_differ() -> None:
    faces = SyntheticFaces("two", "Two takes", subjects=1, takes=2).listing(None).faces
    one, two = (face for face in faces if face.expression == "fear" and face.modality == "nir")
    assert not np.array_equal(HFE.load(one, None, 32).pixels, HFE.load(two, None, 32).pixels)


@pytest.mark.parametrize("size", [32, 47, 256])
def test_pictures_have_the_size_asked_for(size: int) -> None:
    picture = draw("s004-anger-0-vis", size)
    assert picture.cropped and picture.pixels.shape == (size, size, 3) and picture.pixels.dtype == np.uint8
    assert picture.landmarks is not None and picture.landmarks.shape == (68, 2)


@pytest.mark.parametrize("face_id", ["s003-fear-0-vis", "s003-fear-0-nir"])
def test_small_pictures_show_the_same_as_large_ones(face_id: str) -> None:
    large, small = draw(face_id, 256), draw(face_id, 32)
    averaged = large.pixels.astype(float).reshape(32, 8, 32, 8, 3).mean((1, 3))
    assert np.abs(averaged - small.pixels).mean() < 4.0
    assert np.corrcoef(averaged.ravel(), small.pixels.ravel())[0, 1] > 0.99
    assert large.landmarks is not None and small.landmarks is not None
    assert np.allclose((large.landmarks + 0.5) / 8, small.landmarks + 0.5, atol=1e-3)


def test_landmarks_lie_inside_the_picture_and_in_ibug_order() -> None:
    for subject in people(7):
        for expression in EXPRESSIONS:
            for modality in ("vis", "nir"):
                p = landmarks(f"{subject}-{expression}-0-{modality}")
                assert p.min() >= 0 and p.max() <= SIZE - 1
                x, y = p[:, 0], p[:, 1]
                jaw, brows, eyes, lips = p[0:17], p[17:27], p[36:48], p[48:55]
                for row in (brows, p[31:36], lips):
                    assert np.all(np.diff(row[:, 0]) > 0)
                around = jaw - jaw[[0, 16]].mean(0)  # a turned head hides how far back the jaw reaches, not its order
                assert np.all(np.diff(np.arctan2(around[:, 0], around[:, 1])) > 0) and jaw[:, 1].argmax() in (7, 8, 9)
                assert x[36] < x[39] < x[42] < x[45]
                assert brows[:, 1].mean() < eyes[:, 1].mean() < y[30] < y[48:68].mean() < y[8]
                assert np.all(np.diff(y[27:31]) > 0) and y[51] < y[62] < y[66] + 0.3 < y[57]


def test_landmarks_sit_on_what_is_drawn() -> None:
    # Pupils are the darkest of an eye in near-infrared, and the nostrils lie beside the base of the nose.
    for subject in people(6):
        image = draw(f"{subject}-surprise-0-nir", 256).pixels[..., 0].astype(float)
        p = draw(f"{subject}-surprise-0-nir", 256).landmarks
        assert p is not None
        for eye in (p[36:42], p[42:48]):
            (left, top), (right, bottom) = np.floor(eye.min(0)).astype(int), np.ceil(eye.max(0)).astype(int)
            smooth = ndimage.gaussian_filter(image, 2.0)[top + 5 : bottom - 2, left + 6 : right - 5]
            row, column = np.unravel_index(smooth.argmin(), smooth.shape)
            found = np.array([column + left + 6, row + top + 5])
            assert np.linalg.norm(found - eye.mean(0)) < 0.3 * (right - left)


def test_each_modality_has_its_own_landmarks_a_little_apart() -> None:
    apart = []
    for subject in people(10):
        d = landmarks(f"{subject}-sadness-0-vis") - landmarks(f"{subject}-sadness-0-nir")
        apart.append(float(np.linalg.norm(d, axis=1).mean()))
    assert 0.05 < np.mean(apart) < 0.02 * SIZE


def test_nir_has_three_equal_channels_and_vis_has_colour() -> None:
    for subject in people(6):
        nir, vis = draw(f"{subject}-anger-0-nir").pixels, draw(f"{subject}-anger-0-vis").pixels.astype(int)
        assert np.array_equal(nir[..., 0], nir[..., 1]) and np.array_equal(nir[..., 0], nir[..., 2])
        assert np.abs(vis[..., 0] - vis[..., 2]).mean() > 8


def test_skin_is_evenly_bright_in_nir_whatever_its_tone() -> None:
    # Cheeks below the eyes: brightness over people and the difference between the two sides.
    tones: dict[str, list[float]] = {"vis": [], "nir": []}
    sides: dict[str, list[float]] = {"vis": [], "nir": []}
    for subject in people(16):
        for modality in ("vis", "nir"):
            name = f"{subject}-sadness-0-{modality}"
            image, p = ndimage.uniform_filter(grey(name), 5), landmarks(name)
            cheeks = [image[tuple(np.round(0.5 * (p[a] + p[b])).astype(int)[::-1])] for a, b in ((41, 48), (46, 54))]
            tones[modality].append(float(np.mean(cheeks)))
            sides[modality].append(abs(float(cheeks[0] - cheeks[1])))
    assert np.std(tones["nir"]) < 0.5 * np.std(tones["vis"])
    assert np.mean(sides["nir"]) < 0.6 * np.mean(sides["vis"])
    assert np.mean(tones["nir"]) > np.mean(tones["vis"])


def test_the_background_falls_off_in_nir() -> None:
    corners = [draw(f"{subject}-anger-0-nir").pixels[:6, :4].mean() for subject in people(16)]
    faces = [draw(f"{subject}-anger-0-nir").pixels[24:40, 24:40].mean() for subject in people(16)]
    assert np.median(corners) < 0.5 * np.median(faces)


def measure(expression: str, subject: str) -> dict[str, float]:
    """Distances that action units change, in widths of the face, so that pose and crop drop out."""
    p = landmarks(f"{subject}-{expression}-0-nir").astype(float)
    face_axis = p[16] - p[0]
    width = float(np.linalg.norm(face_axis))
    down = np.array([-face_axis[1], face_axis[0]]) / width

    def drop(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float((b - a) @ down) / width

    return {
        "corners up": drop(0.5 * (p[48] + p[54]), 0.5 * (p[51] + p[57])),
        "mouth opening": drop(p[62], p[66]),
        "mouth width": float(np.linalg.norm(p[54] - p[48])) / width,
        "eye opening": drop(p[[37, 38, 43, 44]].mean(0), p[[40, 41, 46, 47]].mean(0)),
        "inner brow height": drop(p[[21, 22]].mean(0), p[[39, 42]].mean(0)),
        "outer brow height": drop(p[[18, 25]].mean(0), p[[36, 45]].mean(0)),
        "lip above nose": drop(p[33], p[51]),
    }


@pytest.mark.parametrize(
    ("what", "more", "less"),
    [
        ("corners up", "happiness", "sadness"),  # 12 against 15
        ("corners up", "happiness", "disgust"),  # 12 against 15
        ("mouth opening", "surprise", "sadness"),  # 26
        ("mouth opening", "fear", "anger"),  # 26
        ("mouth width", "happiness", "surprise"),  # 12 against 26
        ("mouth width", "fear", "surprise"),  # 20
        ("eye opening", "surprise", "happiness"),  # 5 against 6
        ("inner brow height", "surprise", "anger"),  # 1 against 4
        ("inner brow height", "sadness", "anger"),  # 1 and 4 against 4
        ("outer brow height", "surprise", "sadness"),  # 2
        ("lip above nose", "anger", "disgust"),  # 23 against 9
    ],
)
def test_action_units_move_what_they_are_named_for(what: str, more: str, less: str) -> None:
    gain = np.array([measure(more, subject)[what] - measure(less, subject)[what] for subject in people(12)])
    assert gain.mean() > 0 and (gain > 0).sum() >= 9


def test_people_differ_in_how_strongly_they_show_an_expression() -> None:
    openings = [measure("surprise", subject)["mouth opening"] for subject in people(12)]
    assert max(openings) > 1.7 * min(openings) > 0


def test_high_frequencies_are_the_more_modality_invariant_ones() -> None:
    found: dict[tuple[str, str], list[float]] = {}
    rows, columns = np.mgrid[:SIZE, :SIZE]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1)
    for subject in people(20):
        for expression in ("anger", "happiness"):
            names = [f"{subject}-{expression}-0-{modality}" for modality in ("vis", "nir")]
            vis, nir = (grey(name) for name in names)
            smooth_vis, smooth_nir = (ndimage.gaussian_filter(image, SIZE / 24) for image in (vis, nir))
            p = landmarks(names[0])
            face = Path(np.concatenate([p[0:17], p[26:16:-1]])).contains_points(pixels).reshape(SIZE, SIZE)
            for area, part in (("face", face), ("picture", np.ones_like(face))):
                for band, a, b in (("low", smooth_vis, smooth_nir), ("high", vis - smooth_vis, nir - smooth_nir)):
                    found.setdefault((area, band), []).append(float(np.corrcoef(a[part], b[part])[0, 1]))
    means = {key: float(np.mean(values)) for key, values in found.items()}
    assert means["face", "high"] > means["face", "low"] + 0.03
    assert means["picture", "high"] > means["picture", "low"] + 0.03
    assert means["face", "high"] > 0.4


def test_a_face_that_is_not_listed_is_refused() -> None:
    face = HFE.listing(None).faces[0]
    for wrong in (
        replace(face, id="someone-else"),
        replace(face, expression="contempt"),
        replace(face, modality="nir" if face.modality == "vis" else "vis"),
    ):
        with pytest.raises(DataError, match="cannot draw face"):
            HFE.load(wrong, None, 32)


def test_impossible_settings_are_refused_in_one_line() -> None:
    for wrong in (
        SyntheticFaces("x", "X", subjects=0),
        SyntheticFaces("x", "X", takes=0),
        SyntheticFaces("x", "X", modalities=()),
        SyntheticFaces("x", "X", modalities=("vis", "vis")),
    ):
        with pytest.raises(UsageError) as caught:
            wrong.listing(None)
        assert "\n" not in str(caught.value) and "'x'" in str(caught.value)


def test_labels_do_not_make_another_data_set() -> None:
    assert isinstance(HFE, SyntheticFaces)
    assert replace(HFE, name="other", title="Other") == HFE
    assert VIS != VIS_NIR


def test_listing_imports_no_torch_and_no_renderer() -> None:
    program = (
        "import sys\n"
        "from nferbench.datasets.synthetic import nferbench_datasets\n"
        "[data.listing(None) for data in nferbench_datasets()]\n"
        "print([name for name in ('torch', 'scipy', 'nferbench.datasets.drawing') if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
