"""Oulu-CASIA: which frames are chosen, and which VIS frame is paired with which NIR frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from oulu_tree import build, released, small, texts, whole_copy

from nferbench.contract.dataset import Listing
from nferbench.contract.values import replaced
from nferbench.datasets.oulu_casia import FRAMES, OuluCasia
from nferbench.datasets.pairing import by_pair, contradictions

OULU = OuluCasia()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_copy(tmp_path_factory.mktemp("oulu"))


@pytest.fixture(scope="module")
def listed(whole: Path) -> dict[str, Listing]:
    """What each preset lists of the whole copy."""
    return {
        name: replaced(OULU, {"frames": name}, "datasets.oulu-casia").listing(whole)
        for name in ("peak1", "last3", "last3+neutral", "all")
    }


def test_the_last_three_frames_of_every_sequence_are_listed_and_paired_from_the_end(listed: dict[str, Listing]) -> None:
    listing = listed["last3"]
    assert Counter(face.modality for face in listing.faces) == {"vis": 1440, "nir": 1440}
    assert len({face.subject for face in listing.faces}) == 80
    assert set(Counter(face.expression for face in listing.faces).values()) == {2 * 240}
    sequences = Counter((face.modality, face.sequence) for face in listing.faces)
    assert len(sequences) == 960 and set(sequences.values()) == {3}
    pairs = by_pair(listing.faces)
    assert len(pairs) == 1440 and not contradictions(listing.faces)
    for take, (vis, nir) in released().items():
        for k in (1, 2, 3):
            ids = {face.id for face in pairs[f"Strong/{take}/{vis - k:03d}"]}
            assert ids == {f"VL/Strong/{take}/{vis - k:03d}.jpeg", f"NI/Strong/{take}/{nir - k:03d}.jpeg"}


def test_thumbs_db_is_told_and_never_taken_for_a_frame(listed: dict[str, Listing]) -> None:
    assert Counter(drop.reason for drop in listed["last3"].dropped) == {"left behind by a file manager": 54}
    assert not any("Thumbs" in face.id for face in listed["all"].faces)


@pytest.mark.parametrize(
    ("frames", "count"), [("peak1", 480), ("last3", 1440), ("last3+neutral", 1920), ("all", FRAMES)]
)
def test_each_preset_gives_its_published_number_of_faces(listed: dict[str, Listing], frames: str, count: int) -> None:
    assert Counter(face.modality for face in listed[frames].faces) == {"vis": count, "nir": count}


def test_a_pair_is_called_the_same_in_every_preset(listed: dict[str, Listing]) -> None:
    few, more, most = (listed[frames].faces for frames in ("peak1", "last3", "all"))
    assert set(few) < set(more) < set(most)


def test_neutral_is_the_first_frame_of_both_sequences(listed: dict[str, Listing]) -> None:
    faces = listed["last3+neutral"].faces
    pair = [face for face in faces if face.pair == "Strong/P007/Anger/000"]
    assert [face.id for face in pair] == ["NI/Strong/P007/Anger/000.jpeg", "VL/Strong/P007/Anger/000.jpeg"]
    assert Counter(face.expression for face in faces)["neutral"] == 2 * 480 and not contradictions(faces)


def test_all_frames_without_a_partner_stand_alone(listed: dict[str, Listing]) -> None:
    paired = [face for face in listed["all"].faces if face.pair]
    assert len(paired) == 2 * 9687 and len(by_pair(paired)) == 9687


def test_all_lights_are_paired_within_their_light(tmp_path: Path) -> None:
    for light in ("Strong", "Weak", "Dark"):
        build(tmp_path, {"P001/Anger": (4, 4), "P002/Fear": (4, 4)}, light=light)
    faces = replace(OULU, light="all").listing(tmp_path).faces
    assert len(faces) == 3 * 2 * 2 * 3
    for pair, group in by_pair(faces).items():
        assert {face.id.split("/")[1] for face in group} == {pair.split("/")[0]}
    dark = replace(OULU, light="dark").listing(tmp_path).faces
    assert {face.id.split("/")[1] for face in dark} == {"Dark"} and len(dark) == 12


@pytest.mark.parametrize(
    ("pairing", "vis", "nir"),
    [
        ("apex", ["069", "070", "071"], ["019", "020", "021"]),
        ("relative", ["064", "068", "071"], ["019", "020", "021"]),
        ("stem", ["019", "020", "021"], ["019", "020", "021"]),
    ],
)
def test_each_pairing_gives_its_own_last_three_pairs(
    tmp_path: Path, pairing: str, vis: list[str], nir: list[str]
) -> None:
    build(tmp_path, {"P007/Anger": (72, 22), "P008/Fear": (9, 9)})
    faces = replaced(OULU, {"pairing": pairing}, "datasets.oulu-casia").listing(tmp_path).faces
    assert not contradictions(faces) and len(by_pair(faces)) == 6
    assert [face.id[-8:-5] for face in faces if face.id.startswith("VL/Strong/P007")] == vis
    assert [face.id[-8:-5] for face in faces if face.id.startswith("NI/Strong/P007")] == nir


def test_short_and_empty_sequences_never_fail(tmp_path: Path) -> None:
    small(tmp_path)
    build(tmp_path, {"P003/Anger": (1, 2), "P003/Fear": (0, 2)})
    listing = OULU.listing(tmp_path)
    assert [face.id for face in listing.faces if face.subject == "P003"] == [
        "NI/Strong/P003/Anger/001.jpeg",
        "VL/Strong/P003/Anger/000.jpeg",
    ]
    assert any("of fewer than 9 frames: P001/Anger, " in line for line in texts(tmp_path, OULU))
    neutral = replace(OULU, frames="last3+neutral").listing(tmp_path)
    assert not [face for face in neutral.faces if face.subject == "P003" and face.expression == "neutral"]


def test_a_copy_of_one_modality_is_listed_without_pairs(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (0, 5), "P002/Anger": (0, 1)})
    faces = OULU.listing(tmp_path).faces
    assert [face.id[-8:] for face in faces] == ["002.jpeg", "003.jpeg", "004.jpeg", "000.jpeg"]
    assert {(face.modality, face.pair) for face in faces} == {("nir", "")}
    neutral = replace(OULU, frames="last3+neutral").listing(tmp_path).faces
    assert [face.id for face in neutral if face.expression == "neutral"] == ["NI/Strong/P001/Anger/000.jpeg"]
