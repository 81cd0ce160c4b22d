"""One square for all frames of a sequence, so that crops do not jump with the detector."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.dataset import Face, FaceDataset, Listing, Picture
from nferbench.contract.errors import DataError
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.manifest import ManifestDataset
from nferbench.faces.blocks import together
from nferbench.faces.crops import median
from nferbench.faces.geometry import Square
from nferbench.faces.mean_face import MEAN_FACE
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import PreparedFaces, read_prepared
from nferbench.planning.plan import faces_stage
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import PrepareFaces, key
from nferbench.workspace.store import open_workspace

PLUGINS = load_plugins(installed=False)
JITTER = {"0": 0.0, "1": 6.0, "2": 1.0, "3": -4.0, "4": 2.0}  # of the boxes of five frames; the median is 1


def scene(shift: int) -> np.ndarray:
    rows, columns = np.mgrid[:120, :160]
    grey = 128 + 90 * np.sin((columns + shift) / 9) * np.cos(rows / 7)
    return np.repeat(grey[..., None], 3, -1).round().astype(np.uint8)


@dataclass(frozen=True)
class Film(FaceDataset):
    """A VIS and a NIR recording of a face that keeps still, found at jumping places."""

    lost: str = ""  # a frame in which nothing is found
    paired: bool = True
    photographs: bool = False  # the NIR faces are no recording
    name: str = field(default="film", compare=False)
    title: str = field(default="Film", compare=False)

    def listing(self, root: Path | None) -> Listing:
        faces = [
            Face(f"{modality}/{frame}", modality, "P1", "fear", f"pair{frame}" * self.paired, sequence=name)
            for modality, name in (("nir", "" if self.photographs else "P1/fear"), ("vis", "P1/fear"))
            for frame in JITTER
        ]
        single = Face("vis/single", "vis", "P1", "fear")  # a photograph beside the recordings
        return Listing((*faces, single) if not self.paired else tuple(faces), 68)  # type: ignore[arg-type]

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        if face.id == self.lost:
            raise DataError("no face found")
        shift = 0 if face.modality == "vis" else 11
        jitter = JITTER.get(face.id[-1], 30.0)
        points = (MEAN_FACE * 60 + (50 - shift + jitter, 30)).astype(np.float32)
        return Picture(scene(shift), points)


def silent(done: int, total: int) -> None:
    pass


def prepared(dataset: FaceDataset, out: Path, **options: bool) -> PreparedFaces:
    prepare(dataset, None, 48, "box68", out, silent, **options)
    return read_prepared(out)


def test_faces_that_hang_together_are_grouped_in_order() -> None:
    def face(name: str, pair: str = "", sequence: str = "") -> Face:
        return Face(name, "vis" if name[0] == "v" else "nir", "P", "fear", pair, sequence=sequence)

    faces = [
        face("n1", "a", "s"),
        face("v9"),
        face("n2", "b", "s"),
        face("v1", "a", "t"),
        face("v2", "b", "u"),
        face("v3"),
    ]
    names = [[each.id for each in group] for group in together(faces, sequences=False)]
    assert names == [["v1", "n1"], ["v9"], ["v2", "n2"], ["v3"]]
    names = [[each.id for each in group] for group in together(faces, sequences=True)]
    assert names == [["v1", "v2", "n1", "n2"], ["v9"], ["v3"]]  # two VIS sequences, tied by their NIR partners
    assert together([], sequences=True) == []
    alike = [face("v1", sequence="s"), face("n1", sequence="s")]  # of two modalities: two recordings
    assert len(together(alike, sequences=True)) == 2


def test_the_median_square_is_that_of_centre_side_and_angle() -> None:
    found = median([Square(0, 0, 10), Square(1, 4, 12, 0.3), Square(100, 3, 8, 0.1)])
    assert found.centre == pytest.approx((7, 7)) and (found.side, found.angle) == (10, 0.1)


@pytest.mark.parametrize("paired", [True, False])
def test_frames_of_a_sequence_are_cropped_alike(tmp_path: Path, paired: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.faces.prepare.BLOCK", 2)  # a sequence is longer than a block
    loose = prepared(Film(paired=paired), tmp_path / "loose")
    steady = prepared(Film(paired=paired), tmp_path / "steady", smooth=True)
    assert loose.faces == steady.faces and steady.landmarks is not None
    for start in (0, 5):  # NIR, then VIS
        images = steady.images[start : start + 5]
        assert (images == images[0]).all()
        assert np.array_equal(images[0], loose.images[start + 2])  # the frame of the median
        assert not np.array_equal(loose.images[start], loose.images[start + 1])
        across = steady.landmarks[start : start + 5, 30, 0]  # landmarks go on jumping: they are not smoothed
        assert np.allclose(across - across[2], (np.array(list(JITTER.values())) - 1) * across_scale(loose), atol=0.01)
    if not paired:
        assert np.array_equal(loose.images[10], steady.images[10])  # a face without a sequence is cropped by itself


def across_scale(found: PreparedFaces) -> float:
    """Pixels of a crop to a pixel of the picture."""
    assert found.landmarks is not None
    return float(np.ptp(found.landmarks[0, :, 1]) / (np.ptp(MEAN_FACE[:, 1]) * 60))


def test_a_frame_without_a_face_is_left_out_and_does_not_count(tmp_path: Path) -> None:
    found = prepared(Film(lost="vis/2", paired=False), tmp_path, smooth=True)
    assert "vis/2,no face found" in (tmp_path / "dropped.csv").read_text()
    vis = found.images[5:9]
    assert len(vis) == 4 and (vis == vis[0]).all()


def test_partners_of_a_sequence_that_are_none_keep_their_own_squares(tmp_path: Path) -> None:
    loose = prepared(Film(photographs=True), tmp_path / "loose")
    steady = prepared(Film(photographs=True), tmp_path / "steady", smooth=True)
    assert np.array_equal(loose.images[:5], steady.images[:5])
    assert (steady.images[5:] == steady.images[5]).all()


def test_smoothed_pairs_can_be_registered(tmp_path: Path) -> None:
    counts = prepare(Film(), None, 48, "box68", tmp_path, silent, smooth=True, register=True)
    found = read_prepared(tmp_path)
    assert counts["apart"]["median"] < 0.001
    assert (found.images[5:] == found.images[5]).all()  # VIS crops agree; each NIR crop follows its partner


def test_smoothing_is_a_switch_that_leaves_earlier_keys_alone(tmp_path: Path) -> None:
    plain = PrepareFaces(PLUGINS.datasets["synthetic-hfe"], "content", 64, "given", 68)
    assert key(plain) == key(replace(plain, smooth=False)) != key(replace(plain, smooth=True))
    settings = resolve(Request("synthetic-hfe", ("none",), "none", "quick", changes=("smooth=true",)), PLUGINS)
    stage, _ = faces_stage(settings, "dataset", {}, open_workspace(tmp_path))
    assert stage.smooth and resolve(Request(), PLUGINS).smooth is False
    loose, _ = faces_stage(replace(settings, smooth=False), "dataset", {}, open_workspace(tmp_path))
    assert loose.content != stage.content  # with smoothing it matters who belongs to which sequence
    one, other = (Listing((Face("a", "vis", "P", "fear", sequence=name),)) for name in ("s", "t"))
    assert fingerprint(one, None, None) == fingerprint(other, None, None)
    assert fingerprint(one, None, None, sequences=True) != fingerprint(other, None, None, sequences=True)


def test_a_manifest_tells_the_sequences(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(scene(0)).save(tmp_path / f"{name}.png")
    rows = ("path,modality,subject,expression,sequence", "a.png,vis,P1,fear,1", "b.png,vis,P2,fear,")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    first, second = ManifestDataset().listing(tmp_path).faces
    assert (first.sequence, second.sequence) == ("P1/fear/1", "")
