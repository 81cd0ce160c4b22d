"""Oulu-CASIA: what a user is told of a copy that is whole, and of one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oulu_tree import TAKES, build, released, texts, whole_copy

from nferbench.contract.values import replaced
from nferbench.datasets.oulu_casia import FRAMES, OuluCasia

OULU = OuluCasia()


SHORTER = sum(min(pair) for pair in released().values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_copy(tmp_path_factory.mktemp("oulu"))


@contextmanager
def without(folder: Path) -> Iterator[None]:
    hidden = folder.with_name(f".{folder.name}")
    folder.rename(hidden)
    yield
    hidden.rename(folder)


def test_the_mimic_has_the_published_statistics() -> None:
    vis, nir = zip(*released().values(), strict=True)
    gaps = sorted(abs(v - n) for v, n in released().values())
    assert sum(vis) == sum(nir) == FRAMES and SHORTER == 9687
    assert [sum(gap <= most for gap in gaps) for most in (0, 1, 2, 50)] == [76, 195, 296, 480]
    assert (np.median(gaps), np.percentile(gaps, 90)) == (2, 7)
    assert [(min(each), np.median(each), max(each)) for each in (nir, vis)] == [(9, 21, 46), (9, 21, 72)]
    assert released()["P007/Anger"] == (72, 22)


def test_the_findings_on_a_whole_copy_are_notes_with_the_published_numbers(whole: Path) -> None:
    findings = OULU.findings(OULU.listing(whole), whole)
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
    for count, is_serious in ((432, False), (431, True)):
        root = build(tmp_path / str(count), dict.fromkeys(TAKES[:count], (3, 3)), light="Weak")
        assert bool(texts(root, replace(OULU, light="weak"), serious=True)) == is_serious


def test_too_few_full_frames_in_strong_light_are_serious(tmp_path: Path) -> None:
    root = build(tmp_path, dict.fromkeys(TAKES, (0, 19)))  # 9,120 of 10,379
    assert "NI/Strong: 80 subjects, 480 sequences, 9120 frames (published: 10379)" in texts(root, OULU, serious=True)
    for folder in ("VL", "NI"):
        (root / folder).rename(root / f"{folder}_Acropped")
    assert not any(line.startswith("NI") for line in texts(root, OULU, serious=True)), "of crops no count is published"


def test_too_few_chosen_faces_are_a_note(tmp_path: Path) -> None:
    root = build(tmp_path, dict.fromkeys(TAKES, (1, 1)), light="Weak")
    found = OuluCasia(light="weak").findings(OuluCasia(light="weak").listing(root), root)
    (told,) = [finding for finding in found if finding.text.startswith("480 nir faces chosen")]
    assert told.text == "480 nir faces chosen (a whole copy gives 1440)"
    assert not any(finding.serious for finding in found)


@pytest.mark.parametrize(
    ("fields", "whole_gives"),
    [
        ({"frames": "peak1"}, 480),
        ({"frames": "last3"}, 1440),
        ({"frames": "last3+neutral"}, 1920),
        ({"light": "all"}, 4320),
        ({"frames": "all"}, None),
    ],
)
def test_each_choice_is_compared_with_what_a_whole_copy_gives(
    tmp_path: Path, fields: dict[str, str], whole_gives: int | None
) -> None:
    for light in ("Strong", "Weak", "Dark"):
        build(tmp_path, {"P001/Anger": (4, 4)}, light=light)
    (line, *_) = [line for line in texts(tmp_path, replaced(OULU, fields, "")) if " nir faces chosen" in line]
    assert line.partition("chosen")[2] == (f" (a whole copy gives {whole_gives})" if whole_gives else "")


def test_a_frame_fewer_than_nine_is_told(tmp_path: Path) -> None:
    root = build(tmp_path, {"P001/Anger": (9, 8), "P001/Fear": (9, 9)})
    lines = [line for line in texts(root, OULU) if "of fewer than 9 frames" in line]
    assert lines == ["NI/Strong: 1 sequences of fewer than 9 frames: P001/Anger"]


def test_crops_and_full_frames_are_told_apart(tmp_path: Path) -> None:
    for suffix, kind in (("", "full frames"), ("_Acropped", "distributed crops")):
        root = build(tmp_path / kind, {"P001/Anger": (9, 9)}, suffix=suffix)
        assert texts(root, OULU)[0].startswith(f"read from {root}: {kind}")
