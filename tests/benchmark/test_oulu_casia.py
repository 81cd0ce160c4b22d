"""Oulu-CASIA, on trees that mimic the released one: its names, its unequal sequences and what else lies in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.datasets.base import EXPRESSIONS, Face, Listing
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.oulu_casia import FRAMES, OuluCasia, nferbench_datasets
from nferbench.datasets.pairing import by_pair, contradictions
from nferbench.errors import DataError, UsageError
from nferbench.values import describe, replaced

OULU = OuluCasia()
NAMES = [name.capitalize() for name in EXPRESSIONS]


def released() -> dict[str, tuple[int, int]]:
    """Lengths (VL, NI) of 480 sequences with the published statistics: totals, how often they differ, extremes."""
    takes = [f"P{subject:03d}/{name}" for subject in range(1, 81) for name in NAMES]
    # How often NI minus VL is what; the sum is 0.
    often = {0: 76, 1: 60, -1: 59, 2: 50, -2: 51, 4: 39, -4: 66, 7: 1, -7: 31, 8: 45, 9: 1, -50: 1}
    gaps = [gap for gap, count in often.items() for _ in range(count)]
    nir = [21] * 480
    nir[0], nir[1], nir[478], nir[479] = 9, 46, 24, 22
    for row in range(136, 136 + (FRAMES - sum(nir)) // 6):
        nir[row] += 6
    lengths = {take: (n - gap, n) for take, n, gap in zip(takes, nir, gaps, strict=True)}
    lengths["P007/Anger"], lengths["P080/Surprise"] = lengths["P080/Surprise"], lengths["P007/Anger"]
    return lengths


def build(root: Path, lengths: Mapping[str, tuple[int, int]], light: str = "Strong", suffix: str = "") -> Path:
    """Empty files NNN.jpeg for each sequence, as links to one: nothing here decodes, and links are made quickly."""
    root.mkdir(parents=True, exist_ok=True)
    (empty := root / ".empty").touch()
    for take, counts in lengths.items():
        for folder, count in zip(("VL", "NI"), counts, strict=True):
            place = root / (folder + suffix) / light / take
            place.mkdir(parents=True)
            for number in range(count):
                os.link(empty, f"{place}/{number:03d}.jpeg")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("oulu")
    base = build(root / "B_OriginalImg" / "B_OriginalImg" / "OriginalImg", released())
    for folder, clutter in (("NI", 47), ("VL", 7)):
        for place in sorted((base / folder / "Strong").glob("*/*"))[:clutter]:
            (place / "Thumbs.db").write_bytes(b"x")
    return root


@pytest.fixture(scope="module")
def listed(whole: Path) -> dict[str, Listing]:
    """What each preset lists of the whole copy."""
    return {
        name: replaced(OULU, {"frames": name}, "datasets.oulu-casia").listing(whole)
        for name in ("peak1", "last3", "last3+neutral", "all")
    }


@contextmanager
def without(folder: Path) -> Iterator[None]:
    hidden = folder.with_name(f".{folder.name}")
    folder.rename(hidden)
    yield
    hidden.rename(folder)


def small(root: Path) -> Path:
    return build(root, {f"{subject}/{name}": (4, 5) for subject in ("P001", "P002") for name in NAMES})


def draw(path: Path, level: int = 90, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), level if mode == "L" else (level, 40, 20)).save(path)
    return path


def numbers(listing: Listing, modality: str) -> list[str]:
    return [face.id.rpartition("/")[2] for face in listing.faces if face.modality == modality]


def texts(root: Path, dataset: OuluCasia = OULU, serious: bool = False) -> list[str]:
    findings = dataset.findings(dataset.listing(root), root)
    return [finding.text for finding in findings if finding.serious or not serious]


SHORTER = sum(min(pair) for pair in released().values())


# The released tree


def test_the_mimic_has_the_published_statistics() -> None:
    vis, nir = zip(*released().values(), strict=True)
    gaps = sorted(abs(v - n) for v, n in released().values())
    assert sum(vis) == sum(nir) == FRAMES and SHORTER == 9687
    assert [sum(gap <= most for gap in gaps) for most in (0, 1, 2, 50)] == [76, 195, 296, 480]
    assert (np.median(gaps), np.percentile(gaps, 90)) == (2, 7)
    assert [(min(each), np.median(each), max(each)) for each in (nir, vis)] == [(9, 21, 46), (9, 21, 72)]
    assert released()["P007/Anger"] == (72, 22)


def test_the_last_three_frames_of_every_sequence_are_listed_and_paired_from_the_end(listed: dict[str, Listing]) -> None:
    listing = listed["last3"]
    assert Counter(face.modality for face in listing.faces) == {"vis": 1440, "nir": 1440}
    assert len({face.subject for face in listing.faces}) == 80
    assert set(Counter(face.expression for face in listing.faces).values()) == {2 * 240}
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


def test_the_findings_on_a_whole_copy_are_notes_with_the_published_numbers(
    whole: Path, listed: dict[str, Listing]
) -> None:
    findings = OULU.findings(listed["last3"], whole)
    assert not any(finding.serious for finding in findings)
    lines = [finding.text for finding in findings[1:]]
    assert lines.pop(3).startswith("Strong: furthest apart in length: P007/Anger (72 VIS, 22 NIR), ")
    assert lines == [
        "VL/Strong: 80 subjects, 480 sequences, 10379 frames",
        "NI/Strong: 80 subjects, 480 sequences, 10379 frames",
        "Strong: of 480 recordings VIS and NIR are equally long in 76, within 1 frame in 195, within 2 in 296; "
        "difference: median 2, greatest 50",
        f"Strong: pairs of all frames by policy: apex {SHORTER}, relative {SHORTER}, stem {SHORTER}",
        "1440 vis faces chosen",
        "1440 nir faces chosen",
    ]


def test_a_sequence_missing_in_one_modality_is_told_and_costs_three_pairs(whole: Path) -> None:
    base = OULU.base(whole)
    assert base is not None
    with without(base / "VL/Strong/P003/Fear"):
        listing = OULU.listing(whole)
        findings = OULU.findings(listing, whole)
        every = replace(OULU, frames="all").listing(whole)
    assert len(listing.faces) == 2 * 1437
    assert [(d.what, d.reason) for d in listing.dropped if "Thumbs" not in d.what] == [
        ("NI/Strong/P003/Fear", "the recording has no sequence in VL")
    ]
    lines = [finding.text for finding in findings]
    assert any(line.startswith("VL/Strong: 80 subjects, 479 sequences (published: 480), ") for line in lines)
    assert "VL/Strong: 1 sequences missing: P003/Fear" in lines
    assert "1437 nir faces chosen (a whole copy gives 1440)" in lines
    assert not any(finding.serious for finding in findings)
    lonely = [face for face in every.faces if face.id.startswith("NI/Strong/P003/Fear")]
    assert len(lonely) == released()["P003/Fear"][1] and not any(face.pair for face in lonely)


def test_a_sequence_missing_in_both_modalities_is_found(whole: Path) -> None:
    base = OULU.base(whole)
    assert base is not None
    with without(base / "VL/Strong/P003/Fear"), without(base / "NI/Strong/P003/Fear"):
        listing = OULU.listing(whole)
        findings = OULU.findings(listing, whole)
    assert len(listing.faces) == 2 * 1437 and not any(finding.serious for finding in findings)
    found = [finding.text for finding in findings if "missing: P003/Fear" in finding.text]
    assert [line[:9] for line in found] == ["VL/Strong", "NI/Strong"]


def test_less_than_nine_tenths_of_a_copy_is_serious(tmp_path: Path) -> None:
    takes = [f"P{subject:03d}/{name}" for subject in range(1, 81) for name in NAMES]
    for count, is_serious in ((432, False), (431, True)):
        root = build(tmp_path / str(count), dict.fromkeys(takes[:count], (3, 3)), light="Weak")
        assert bool(texts(root, replace(OULU, light="weak"), serious=True)) == is_serious


# Where the copy lies


@pytest.mark.parametrize(
    ("place", "suffix"),
    [
        ("B_OriginalImg/B_OriginalImg/OriginalImg", ""),
        ("OriginalImg", ""),
        ("Oulu_CASIA_NIR_VIS", ""),
        ("", ""),
        ("PreProcessImg", "_Acropped"),
        ("PreProcess_Img", "_Acropped"),
        ("PreProcess", "_Acropped"),
        ("a/b/c/d", ""),
    ],
)
def test_every_layout_is_found_and_gives_the_same_faces(tmp_path: Path, place: str, suffix: str) -> None:
    takes = {f"P001/{name}": (4, 5) for name in NAMES}
    build(tmp_path / place, takes, suffix=suffix)
    (tmp_path / place / "change_log.txt").touch()
    faces = OULU.listing(tmp_path).faces
    assert OULU.base(tmp_path) == tmp_path / place
    assert [face.id for face in faces if face.subject == "P001" and face.expression == "anger"] == [
        f"{folder}{suffix}/Strong/P001/Anger/{number:03d}.jpeg"
        for folder, numbers in (("NI", (2, 3, 4)), ("VL", (1, 2, 3)))
        for number in numbers
    ]
    assert OULU.listing(OULU.base(tmp_path)).faces == faces


def test_how_deep_the_copy_lies_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    roots = [small(tmp_path / "one" / "B_OriginalImg" / "OriginalImg"), small(tmp_path / "two")]
    given = [tmp_path / "one", tmp_path / "one" / "B_OriginalImg", tmp_path / "two"]
    assert [OULU.base(root) for root in given] == [roots[0], roots[0], roots[1]]
    assert len({fingerprint(OULU.listing(root), OULU.base(root), None) for root in given}) == 1


def test_nothing_five_levels_down_or_without_the_folders_is_taken_for_a_copy(tmp_path: Path) -> None:
    small(tmp_path / "a/b/c/d/e")
    (tmp_path / "VL" / "Strong" / "P001" / "Anger").mkdir(parents=True)
    with pytest.raises(UsageError, match="within 4 levels below") as caught:
        OULU.listing(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="--data-root"):
        OULU.listing(None)
    assert OULU.base(None) is None and OULU.base(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_of_full_frames_and_crops_the_full_frames_are_read_unless_crops_are_asked_for(tmp_path: Path) -> None:
    small(tmp_path / "B_OriginalImg")
    build(tmp_path / "PreProcessImg", {"P001/Anger": (4, 4)}, suffix="_Acropped")
    assert not any("cropped" in face.id for face in OULU.listing(tmp_path).faces)
    crops = replace(OULU, images="cropped").listing(tmp_path).faces
    assert len(crops) == 6 and all("_Acropped/" in face.id for face in crops)
    with pytest.raises(UsageError, match="no VL_Acropped or NI_Acropped"):
        replace(OULU, images="cropped").listing(tmp_path / "B_OriginalImg")
    with pytest.raises(UsageError, match="no VL or NI/Strong"):
        replace(OULU, images="original").listing(tmp_path / "PreProcessImg")


def test_two_copies_are_refused_by_name(tmp_path: Path) -> None:
    small(tmp_path / "mine")
    small(tmp_path / "yours")
    with pytest.raises(UsageError, match=r"2 copies below .* \(mine, yours\)"):
        OULU.listing(tmp_path)


def test_a_light_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (3, 3)}, light="Weak")
    build(tmp_path, {"P001/Anger": (3, 3)}, light="Dark")
    with pytest.raises(UsageError, match=r"no light 'strong' in .*; there: weak, dark"):
        OULU.listing(tmp_path)


def test_links_out_of_the_copy_are_not_followed(tmp_path: Path) -> None:
    outside = small(tmp_path / "outside")
    root = build(tmp_path / "root", {"P001/Anger": (3, 3)})
    (root / "VL/Strong/P002").symlink_to(outside / "VL/Strong/P002")
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "copy").symlink_to(outside)
    listing = OULU.listing(root)
    assert {face.subject for face in listing.faces} == {"P001"}
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [("VL/Strong/P002", "a link out of the data root")]
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "VL").symlink_to(outside / "VL")
    with pytest.raises(UsageError, match="links that lead elsewhere are not followed"):
        OULU.listing(tmp_path / "links")


# Odd names


def test_upper_and_lower_case_and_other_endings_are_the_same(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "ni/STRONG/p001/ANGER").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Vl/strong/P001/anger").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"ni/STRONG/p001/ANGER/{number:03d}.JPEG").touch()
        (tmp_path / f"Vl/strong/P001/anger/{number:03d}.{('JPG', 'png', 'BMP')[number]}").touch()
    listing = OULU.listing(tmp_path)
    assert listing.dropped == () and len(by_pair(listing.faces)) == 3
    assert {(face.subject, face.expression) for face in listing.faces} == {("P001", "anger")}
    assert set(by_pair(listing.faces)) == {f"Strong/P001/Anger/{number:03d}" for number in range(3)}


def test_frames_that_do_not_start_at_zero_or_have_gaps_are_taken_in_numerical_order(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (0, 12)})
    for number in (3, 7, 9, 10, 100, 1000):
        (tmp_path / f"VL/Strong/P001/Anger/{number}.jpeg").touch()
    listing = OULU.listing(tmp_path)
    assert sorted(numbers(listing, "vis")) == ["10.jpeg", "100.jpeg", "1000.jpeg"]
    assert numbers(listing, "nir") == ["009.jpeg", "010.jpeg", "011.jpeg"]
    assert set(by_pair(listing.faces)) == {f"Strong/P001/Anger/{name}" for name in ("010", "100", "1000")}
    assert "VL/Strong: 1 sequences not numbered 0, 1, 2 …: P001/Anger" in texts(tmp_path)
    stem = replace(OULU, pairing="stem").listing(tmp_path)
    assert sorted(numbers(stem, "vis")) == ["10.jpeg", "7.jpeg", "9.jpeg"]
    assert numbers(stem, "nir") == ["007.jpeg", "009.jpeg", "010.jpeg"]


def test_what_is_no_frame_is_told_and_left_out(tmp_path: Path) -> None:
    small(tmp_path)
    odd = {
        "VL/Strong/P001/Anger/003 (1).jpeg": "not the name of a frame such as 000.jpeg",
        "VL/Strong/P001/Anger/notes.txt": "not the name of an image file",
        "VL/Strong/P001/Anger/3.png": "its sequence has a frame of this number already",
        "VL/Strong/P001/Neutral/000.jpeg": f"folder 'Neutral' is none of {', '.join(EXPRESSIONS)}",
        "VL/Strong/S1/Anger/000.jpeg": "folder 'S1' is no subject such as P001",
        "VL/Strong/P001/000.jpeg": "not at Pnnn/<Expression>/<frame>",
    }
    for name in (*odd, "VL/Strong/P001/Anger/.DS_Store", "VL/Strong/P001/Anger/._000.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = OULU.listing(tmp_path)
    # Of two files for one frame the first in natural order stays, here 3.png or 003.jpeg.
    told = {drop.what.replace("Anger/003.jpeg", "Anger/3.png"): drop.reason for drop in listing.dropped}
    assert told == odd
    assert len(listing.faces) == 2 * 3 * 12


def test_short_and_empty_sequences_never_fail(tmp_path: Path) -> None:
    small(tmp_path)
    build(tmp_path, {"P003/Anger": (1, 2), "P003/Fear": (0, 2)})
    listing = OULU.listing(tmp_path)
    assert [face.id for face in listing.faces if face.subject == "P003"] == [
        "NI/Strong/P003/Anger/001.jpeg",
        "VL/Strong/P003/Anger/000.jpeg",
    ]
    assert any("of fewer than 9 frames: P001/Anger, " in line for line in texts(tmp_path))
    neutral = replace(OULU, frames="last3+neutral").listing(tmp_path)
    assert not [face for face in neutral.faces if face.subject == "P003" and face.expression == "neutral"]


def test_files_of_no_bytes_are_listed_and_refused_when_they_are_read(tmp_path: Path) -> None:
    face = OULU.listing(small(tmp_path)).faces[0]
    with pytest.raises(DataError, match="the file is empty"):
        OULU.load(face, tmp_path, 64)


def test_a_copy_of_one_modality_is_listed_without_pairs(tmp_path: Path) -> None:
    build(tmp_path, {"P001/Anger": (0, 5), "P002/Anger": (0, 1)})
    faces = OULU.listing(tmp_path).faces
    assert [face.id[-8:] for face in faces] == ["002.jpeg", "003.jpeg", "004.jpeg", "000.jpeg"]
    assert {(face.modality, face.pair) for face in faces} == {("nir", "")}
    neutral = replace(OULU, frames="last3+neutral").listing(tmp_path).faces
    assert [face.id for face in neutral if face.expression == "neutral"] == ["NI/Strong/P001/Anger/000.jpeg"]


def test_a_copy_without_a_single_frame_that_can_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VL/Strong/S1/Anger").mkdir(parents=True)
    (tmp_path / "VL/Strong/S1/Anger/000.jpeg").touch()
    with pytest.raises(DataError, match="1 left out: folder 'S1' is no subject"):
        OULU.listing(tmp_path)


# Which frames


def test_all_lights_are_paired_within_their_light(tmp_path: Path) -> None:
    for light in ("Strong", "Weak", "Dark"):
        build(tmp_path, {"P001/Anger": (4, 4), "P002/Fear": (4, 4)}, light=light)
    faces = replace(OULU, light="all").listing(tmp_path).faces
    assert len(faces) == 3 * 2 * 2 * 3
    for pair, group in by_pair(faces).items():
        assert {face.id.split("/")[1] for face in group} == {pair.split("/")[0]}
    dark = replace(OULU, light="dark").listing(tmp_path).faces
    assert {face.id.split("/")[1] for face in dark} == {"Dark"} and len(dark) == 12


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
    assert len(paired) == 2 * SHORTER and len(by_pair(paired)) == SHORTER


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


# Reading


def test_nir_is_read_as_luminance_and_the_distributed_crops_count_as_faces(tmp_path: Path) -> None:
    for suffix, place in (("", "full"), ("_Acropped", "crops")):
        root = tmp_path / place
        draw(root / f"VL{suffix}/Strong/P001/Anger/000.jpeg")
        draw(root / f"NI{suffix}/Strong/P001/Anger/000.jpeg", mode="RGB")
        draw(root / f"NI{suffix}/Strong/P001/Fear/000.png", level=77, mode="L")
        draw(root / f"VL{suffix}/Strong/P001/Fear/000.png")
        fear, anger, *_ = (
            f for f in sorted(OULU.listing(root).faces, key=lambda f: (f.modality, f.expression != "fear"))
        )
        pictures = {face.id[:2] + face.expression: OULU.load(face, root, 64) for face in OULU.listing(root).faces}
        assert fear.modality == anger.modality == "nir"
        assert (pictures["NIfear"].pixels == 77).all() and pictures["NIfear"].pixels.shape == (6, 8, 3)
        assert np.ptp(pictures["NIanger"].pixels, axis=2).max() == 0 < np.ptp(pictures["VLanger"].pixels, axis=2).max()
        assert {picture.cropped for picture in pictures.values()} == {bool(suffix)}


def test_a_face_is_read_from_the_root_given_and_from_the_copy_alike(tmp_path: Path) -> None:
    base = tmp_path / "B_OriginalImg" / "OriginalImg"
    for folder in ("VL", "NI"):
        draw(base / folder / "Strong/P001/Anger/000.png")
    for face in OULU.listing(tmp_path).faces:
        assert (OULU.load(face, tmp_path, 8).pixels == OULU.load(face, base, 8).pixels).all()
    with pytest.raises(DataError, match=r"contains '\.\.'"):
        OULU.load(replace(face, files=("../secret.png",)), tmp_path, 8)


# Landmarks


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


SLOW = ([0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.25, 0.51, 0.75, 1.01])
LANDMARK = OuluCasia(pairing="landmark", landmarks="points", frames="all")


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


def test_it_is_registered_under_its_name_with_its_defaults() -> None:
    assert nferbench_datasets() == [OULU]
    assert (OULU.name, OULU.title, OULU.default_preset, OULU.default_extra) == (
        "oulu-casia",
        "Oulu-CASIA",
        "paper",
        "cfee",
    )
    with pytest.raises(UsageError, match="frames: 'last4' is not allowed"):
        replaced(OULU, {"frames": "last4"}, "datasets.oulu-casia")
