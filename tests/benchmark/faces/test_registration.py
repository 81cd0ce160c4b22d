"""Pair registration: NIR crops laid on their VIS crops, and the distances that are told of pairs."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nferbench.contract.dataset import Face, FaceDataset, Listing, Modality, Picture
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.ibug import INNER
from nferbench.faces.crops import CROPS
from nferbench.faces.geometry import Square, carry, moved, nearest
from nferbench.faces.mean_face import MEAN_FACE
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import read_prepared
from nferbench.faces.registration import apart, registered, summary, told
from nferbench.faces.verify import CROPS_SHOWN, _some, verify
from nferbench.planning.plan import faces_stage
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import open_workspace

PLUGINS = load_plugins(installed=False)
SHAPE = (150, 200)  # of a picture


def face_at(
    centre: tuple[float, float], side: float, angle: float, jitter: float = 0.0, seed: int = 0
) -> NDArray[np.float32]:
    """The mean face at some place of a picture, turned clockwise by `angle` radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    points = (MEAN_FACE - 0.5) * side @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return (points + np.random.default_rng(seed).normal(0, jitter, points.shape)).astype(np.float32)


VIS, NIR = face_at((100, 80), 70, 0.05), face_at((88, 71), 58, -0.2)


def test_a_similarity_is_found_and_undone() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(9, 2))
    moved_on = points @ np.array([[0.6, 0.8], [-0.8, 0.6]]) * 2.5 + (3, -7)
    found = nearest(points, moved_on)
    assert found(points) == pytest.approx(moved_on) and found.scale == pytest.approx(2.5)
    square = Square(4, 5, 6, 0.3)
    there = carry(square, found)
    assert there.side == pytest.approx(15) and there.angle == pytest.approx(0.3 + np.arctan2(0.8, 0.6))
    back = carry(there, found.inverse)
    assert (back.left, back.top, back.side, back.angle) == pytest.approx((4, 5, 6, 0.3))


def test_points_in_one_place_are_refused() -> None:
    for points, others in ((np.ones((3, 2)), np.eye(3, 2)), (np.eye(3, 2), np.ones((3, 2)))):
        with pytest.raises(DataError, match="they are in one place"):
            nearest(points, others)


def test_a_face_that_differs_by_a_similarity_comes_to_lie_on_its_partner_exactly() -> None:
    square = CROPS["box68"](Picture(np.zeros((*SHAPE, 3), np.uint8), VIS))
    there = registered(square, VIS, NIR)
    assert np.allclose(moved(NIR, there, 96), moved(VIS, square, 96), atol=1e-3)
    assert there.angle == pytest.approx(-0.25, abs=1e-5) and there.side == pytest.approx(square.side * 58 / 70)


@pytest.mark.parametrize("crop", ["box68", "eyes", "template", "fan"])
def test_registered_faces_are_never_further_apart_than_others_by_least_squares(crop: str) -> None:
    for seed in range(10):
        vis = face_at((100, 80), 70, 0.05, jitter=2.0, seed=seed)
        nir = face_at((90, 75), 60, -0.1, jitter=2.0, seed=100 + seed)
        blank = np.zeros((*SHAPE, 3), np.uint8)
        shown, own = (CROPS[crop](Picture(blank, points, (60, 40, 140, 130))) for points in (vis, nir))
        there = registered(shown, vis, nir)
        target = moved(vis, shown, 96)[INNER:]
        errors = [np.square(moved(nir, square, 96)[INNER:] - target).sum() for square in (there, own)]
        assert errors[0] < errors[1]
        for nudge in (0.2, -0.2):  # and none of its neighbours does better
            for change in ({"left": nudge}, {"top": nudge}, {"side": nudge}, {"angle": nudge / 50}):
                other = replace(there, **{name: getattr(there, name) + value for name, value in change.items()})
                assert np.square(moved(nir, other, 96)[INNER:] - target).sum() > errors[0]


def test_the_jaw_and_missing_points_do_not_count() -> None:
    square = Square(50, 30, 90)
    vis, nir = VIS.copy(), NIR.copy()
    vis[:17], nir[3:9] = 0, 500
    vis[[20, 40]], nir[50] = np.nan, np.nan
    found, whole = registered(square, vis, nir), registered(square, VIS, NIR)
    assert (found.left, found.top, found.side) == pytest.approx((whole.left, whole.top, whole.side), abs=1e-3)
    nir[18:] = np.nan
    with pytest.raises(DataError, match="fewer than two inner landmarks"):
        registered(square, vis, nir)
    with pytest.raises(DataError, match="fewer than two inner landmarks"):
        registered(square, vis, np.full_like(nir, 7))


def test_distances_are_in_units_of_the_outer_eye_corners() -> None:
    vis = np.zeros((3, 68, 2), np.float32)
    vis[:, 45] = (30, 40)  # 50 from the other corner
    nir = vis.copy()
    nir[0, INNER:] += (3, 4)
    nir[1, INNER:] += (3, 4)
    nir[1, 17:42] = np.nan  # half unknown: the mean of the rest
    vis[2, 45] = np.nan
    assert apart(vis, nir)[:2] == pytest.approx([0.1, 0.1]) and np.isnan(apart(vis, nir)[2])
    assert summary(np.array([np.nan]), np.array([np.nan])) is None
    distance = summary(np.array([0.1, 0.3, np.nan]), np.array([0.5, np.nan, 0.9]))
    assert distance == {"pairs": 2, "median": 0.2, "p90": 0.28, "median_before": 0.5}
    assert told(distance) == (
        "landmarks of 2 pairs are 0.200 of the distance between the eyes apart (median; 90 % below 0.280), "
        "0.500 before registration"
    )


@dataclass(frozen=True)
class Pairs(FaceDataset):
    """Three pairs of smooth pictures; VIS and NIR of a pair differ by a shift, turn and scale."""

    lost: str = ""  # id of a face whose landmarks are missing
    landmarks: int = 68
    modalities: tuple[Modality, ...] = ("nir", "vis")
    name: str = field(default="pairs", compare=False)
    title: str = field(default="pairs", compare=False)

    def listing(self, root: Path | None) -> Listing:
        faces = [Face(f"{m}/{i}", m, f"P{i}", "fear", f"pair{i}") for m in self.modalities for i in range(3)]
        return Listing(tuple(faces), self.landmarks)

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        number = int(face.subject[1])
        points = (VIS if face.modality == "vis" else NIR) + np.float32(number)
        back = nearest(points, MEAN_FACE)
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        x, y = back(np.stack([columns, rows], axis=-1).reshape(-1, 2)).T.reshape(2, *rows.shape)
        brightness = 128 + 60 * np.sin(9 * x + number) * np.cos(7 * y)
        pixels = np.repeat(brightness[..., None], 3, -1).round().astype(np.uint8)
        if not self.landmarks:
            return Picture(pixels)
        return Picture(pixels, np.full_like(points, np.nan) if face.id == self.lost else points)


def silent(done: int, total: int) -> None:
    pass


def differences(out: Path) -> NDArray[np.float64]:
    found = read_prepared(out)
    return np.abs(found.images[:3].astype(float) - found.images[3:]).mean(axis=(1, 2, 3))


def test_registered_pairs_show_the_face_at_the_same_place(tmp_path: Path) -> None:
    counts, tables = {}, {}
    for register in (False, True):
        out = tmp_path / str(register)
        counts[register] = prepare(Pairs(), None, 64, "box68", out, silent, register=register)["apart"]
        with (out / "pairs.csv").open() as file:
            tables[register] = list(csv.DictReader(file))
    assert [(row["pair"], row["vis"], row["nir"]) for row in tables[True]] == [
        (f"pair{number}", f"vis/{number}", f"nir/{number}") for number in range(3)
    ]
    assert [row["before_registration"] for row in tables[True]] == [row["distance"] for row in tables[False]]
    assert {row["before_registration"] for row in tables[False]} == {""}
    assert counts[False]["median_before"] is None and counts[False]["median"] > 0.05
    assert counts[True]["median_before"] == counts[False]["median"] and counts[True]["median"] < 0.001
    assert (differences(tmp_path / "False") > 5).all()
    assert (differences(tmp_path / "True") < 1.5).all()
    vis = [read_prepared(tmp_path / name).images[3:] for name in ("False", "True")]
    assert np.array_equal(*vis)  # only NIR faces move


def test_a_pair_that_cannot_be_registered_is_left_out_whole(tmp_path: Path) -> None:
    for lost in ("vis/1", "nir/1"):
        out = tmp_path / lost
        prepare(Pairs(lost), None, 64, "none", out, silent, register=True)
        with (out / "dropped.csv").open() as file:
            dropped = {row["what"]: row["reason"] for row in csv.DictReader(file)}
        assert dropped == {
            "nir/1": "cannot be registered: fewer than two inner landmarks are known in both faces of the pair",
            "vis/1": "no nir partner",
        }


def test_faces_of_one_modality_have_nothing_to_be_laid_on(tmp_path: Path) -> None:
    alone = Pairs(landmarks=0, modalities=("nir",))
    assert prepare(alone, None, 16, "none", tmp_path, silent, register=True)["faces"] == 3


def test_faces_without_the_68_landmarks_are_refused_before_any_work(tmp_path: Path) -> None:
    store = open_workspace(tmp_path)
    settings = resolve(Request("synthetic-hfe", ("none",), "none", "quick", changes=("register=true",)), PLUGINS)
    stage, _ = faces_stage(settings, "dataset", {}, store)
    assert stage.register
    bare = Pairs(landmarks=0)
    with pytest.raises(UsageError, match="registration needs 68 landmarks a face and pairs has 0; choose a --detector"):
        faces_stage(replace(settings, dataset=bare), "dataset", {}, store)
    with pytest.raises(UsageError, match="pairs has 0"):
        prepare(bare, None, 8, "none", tmp_path / "out", silent, register=True)
    paired = replace(settings, extra=replace(settings.dataset, title="the same value in the other role"))
    extra, _ = faces_stage(paired, "extra", {}, store)
    assert not extra.register  # pairs matter in the target set only


def test_the_setting_is_a_switch_that_leaves_earlier_keys_alone() -> None:
    assert resolve(Request(), PLUGINS).register is False
    with pytest.raises(UsageError, match="register must be a bool, not 1"):
        resolve(Request(changes=("register=1",)), PLUGINS)
    plain = PrepareFaces(PLUGINS.datasets["synthetic-hfe"], "content", 64, "given", 68)
    assert key(plain) == key(replace(plain, register=False)) != key(replace(plain, register=True))


def test_verify_looks_at_whole_pairs_vis_first() -> None:
    listed = [
        Face(f"{m}/{i:02}", m, "P", "fear", f"pair{i}")  # type: ignore[arg-type]
        for m in ("nir", "vis")
        for i in range(30)
    ]
    tried = _some([*listed, Face("vis/single", "vis", "P", "fear")], seed=1)
    assert len(tried) == CROPS_SHOWN and [face.modality for face in tried] == ["vis", "nir"] * (CROPS_SHOWN // 2)
    assert all(vis.pair == nir.pair for vis, nir in zip(tried[::2], tried[1::2], strict=True))


def test_verify_tells_what_registration_would_gain() -> None:
    verdict = verify(Pairs(), None, 32, "box68")
    (line,) = (line for line in verdict.lines if "landmarks of 3 pairs" in line)
    assert line.endswith("0.000 if registered (--set register=true)") and "apart (median; 90 % below 0." in line
    assert not any("landmarks" in line for line in verify(Pairs(landmarks=0), None, 32, "none").lines)
