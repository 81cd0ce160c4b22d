"""Oulu-CASIA with a file of landmarks for each frame: pairing, rejecting, reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oulu_tree import build, small, texts
from PIL import Image

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import describe
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.oulu_casia import OuluCasia
from nferbench.datasets.pairing import by_pair

OULU = OuluCasia()


SLOW = ([0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.25, 0.51, 0.75, 1.01])
LANDMARK = OuluCasia(pairing="landmark", landmarks="points", frames="all")


def draw(path: Path, level: int = 90, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), level if mode == "L" else (level, 40, 20)).save(path)
    return path


def points(share: float) -> np.ndarray:
    """A face of 68 points on a circle whose mouth opens."""
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    face = 100 + 50 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    face[48:, 1] += 20 * share
    return face


def with_landmarks(root: Path, shares: Mapping[str, tuple[list[float], list[float]]], folder: str = "points") -> Path:
    build(root, {take: (len(vis), len(nir)) for take, (vis, nir) in shares.items()})
    for take, films in shares.items():
        for name, film in zip(("VL", "NI"), films, strict=True):
            place = root / folder / name / "Strong" / take
            place.mkdir(parents=True)
            for number, share in enumerate(film):
                np.save(place / f"{number:03d}.npy", points(share))
    return root


def test_landmarks_pair_the_frames_of_equal_expression(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": SLOW, "P002/Fear": ([0.0, 1.0], [0.0, 1.0])})
    faces = LANDMARK.listing(root).faces
    partners = {pair: [face.id[-8:-5] for face in group] for pair, group in by_pair(faces).items()}
    assert partners["Strong/P001/Anger/001"] == ["004", "001"] and partners["Strong/P001/Anger/002"] == ["006", "002"]
    assert len(partners) == 5
    assert [line for line in texts(root, LANDMARK) if "by policy" in line] == [
        "Strong: pairs of all frames by policy: apex 5, relative 5, stem 5, landmark 5"
    ]
    assert any(line.startswith("landmark distance in 5 pairs") for line in texts(root, LANDMARK))


def test_pairs_whose_landmarks_differ_too_much_are_rejected_and_told(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": SLOW, "P002/Fear": ([0.0, 0.0], [1.0, 1.0])})
    strict = replace(LANDMARK, reject=0.05, frames="last3")
    listing = strict.listing(root)
    assert {face.subject for face in listing.faces} == {"P001"}
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [
        ("Strong/P002/Fear", "pairing 'landmark' finds no pair in the recording")
    ]
    for reject in (-0.1, float("nan")):
        with pytest.raises(UsageError, match="reject is"):
            replace(LANDMARK, reject=reject)


def test_landmark_pairing_without_landmarks_is_refused_in_one_line(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": SLOW})
    with pytest.raises(UsageError, match=r"set datasets\.oulu-casia\.landmarks") as caught:
        replace(LANDMARK, landmarks="").listing(root)
    assert "\n" not in str(caught.value)
    (root / "points/NI/Strong/P001/Anger/002.npy").unlink()
    with pytest.raises(DataError, match=r"1 of 10 frames .* such as points/NI/Strong/P001/Anger/002\.npy") as refused:
        LANDMARK.listing(root)
    assert "\n" not in str(refused.value)
    np.save(root / "points/NI/Strong/P001/Anger/002.npy", np.zeros((5, 2)))
    with pytest.raises(DataError, match=r"shape \(5, 2\)"):
        LANDMARK.listing(root)
    with pytest.raises(DataError, match="is absolute"):
        replace(LANDMARK, landmarks=str(root / "points")).listing(root)
    with pytest.raises(DataError, match=r"contains '\.\.'"):
        replace(LANDMARK, landmarks="../points").listing(root)


def test_a_frame_without_a_face_may_have_landmarks_of_nan(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])})
    np.save(root / "points/VL/Strong/P001/Anger/001.npy", np.full((68, 2), np.nan))
    assert sorted(by_pair(LANDMARK.listing(root).faces)) == ["Strong/P001/Anger/000", "Strong/P001/Anger/002"]


def test_landmarks_are_read_with_the_face_and_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": SLOW})
    dataset = OuluCasia(landmarks="points")
    listing = dataset.listing(root)
    assert listing.landmarks == 68
    assert describe(dataset) == describe(OULU), "the place of the landmarks is no part of the key"
    before = fingerprint(listing, root, None)
    assert before != fingerprint(OULU.listing(root), root, None)
    face: Face = listing.faces[-1]
    draw(root / face.files[0])
    picture = dataset.load(face, root, 64)
    assert picture.landmarks is not None
    np.testing.assert_allclose(picture.landmarks, points(1.0), rtol=1e-5)
    before = fingerprint(listing, root, None)
    np.save(root / face.files[1], points(0.9))
    assert fingerprint(dataset.listing(root), root, None) != before


def test_without_landmark_pairing_a_missing_landmark_file_costs_its_pair_only(tmp_path: Path) -> None:
    root = with_landmarks(tmp_path, {"P001/Anger": SLOW})
    (root / "points/NI/Strong/P001/Anger/006.npy").unlink()
    listing = OuluCasia(landmarks="points").listing(root)
    assert len(by_pair(listing.faces)) == 2
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [
        ("NI/Strong/P001/Anger/006.jpeg", "no landmark file"),
        ("VL/Strong/P001/Anger/002.jpeg", "no nir partner"),
    ]


def test_a_tree_of_landmarks_above_the_copy_is_not_taken_for_one(tmp_path: Path) -> None:
    base = small(tmp_path / "OriginalImg")
    (tmp_path / "points/VL/Strong/P001/Anger").mkdir(parents=True)
    np.save(tmp_path / "points/VL/Strong/P001/Anger/000.npy", points(0))
    assert OULU.base(tmp_path) == base
