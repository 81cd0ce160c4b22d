"""Large-HFE: a manifest under the data root, and what is compared with the published counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.dataset import EXPRESSIONS, Face, Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import describe, replaced
from nferbench.datasets.large_hfe import LargeHfeDataset, nferbench_datasets

HEADER = "path,modality,subject,expression,pair,sequence,frame,split"
DATASET = LargeHfeDataset()


def write(root: Path, *rows: str) -> Path:
    (root / "manifest.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    for row in rows:
        path = root / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (120, 60, 40)).save(path)
    return root


def pair(subject: str, label: str, frame: int = 1, split: str = "") -> list[str]:
    name = f"{subject}-{label}-{frame}"
    return [f"{m}/{name}.png,{m},{subject},{label},{name},{subject}-{label},{frame},{split}" for m in ("vis", "nir")]


def texts(faces: Iterable[Face]) -> list[str]:
    return [finding.text for finding in DATASET.findings(Listing(tuple(faces)), None)]


def test_the_manifest_under_the_data_root_is_read(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, *pair("A1", "happy")))
    assert [face.id for face in listing.faces] == ["nir/A1-happy-1.png", "vis/A1-happy-1.png"]
    assert {(face.subject, face.expression, face.pair) for face in listing.faces} == {
        ("A1", "happiness", "A1-happy-1"),
    }


def test_files_are_relative_to_the_data_root_that_is_given(tmp_path: Path) -> None:
    listing = DATASET.listing(write(tmp_path, *pair("A1", "happy")))
    assert DATASET.base(tmp_path) == tmp_path
    assert all((tmp_path / file).is_file() for face in listing.faces for file in face.files)


def test_faces_load_like_those_of_any_manifest(tmp_path: Path) -> None:
    nir, vis = DATASET.listing(write(tmp_path, *pair("A1", "happy"))).faces
    grey, colour = DATASET.load(nir, tmp_path, 32).pixels, DATASET.load(vis, tmp_path, 32).pixels
    assert grey.shape == colour.shape == (4, 6, 3)
    assert (grey[..., 0] == grey[..., 2]).all() and (colour[..., 0] > colour[..., 2]).all()


def test_only_the_six_basic_classes_are_listed_unless_neutral_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, *pair("A1", "happy"), *pair("A1", "neutral"), *pair("A1", "contempt"))
    listing = DATASET.listing(tmp_path)
    assert {face.expression for face in listing.faces} == {"happiness"}
    assert sorted({drop.reason[:24] for drop in listing.dropped}) == [
        "label 'contempt' is none",
        "neutral faces are not wa",
    ]
    with_neutral = replaced(DATASET, {"manifest.neutral": True}, "datasets.large-hfe")
    assert {face.expression for face in with_neutral.listing(tmp_path).faces} == {"happiness", "neutral"}


def test_the_selection_of_the_manifest_is_set_from_outside_and_part_of_the_key(tmp_path: Path) -> None:
    write(tmp_path, *(row for frame in range(1, 6) for row in pair("A1", "sad", frame)))
    last = replaced(DATASET, {"manifest.last": 3}, "datasets.large-hfe")
    assert len(DATASET.listing(tmp_path).faces) == 10
    assert len(last.listing(tmp_path).faces) == 6
    assert describe(last) != describe(DATASET)
    assert describe(replace(DATASET, name="other", title="Other")) == describe(DATASET)


def test_without_a_root_or_a_manifest_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'large-hfe' needs the folder that holds manifest\.csv; give --data-root"):
        DATASET.listing(None)
    with pytest.raises(UsageError, match=r"'large-hfe': .*manifest\.csv does not exist"):
        DATASET.listing(tmp_path)


def test_a_wrong_manifest_is_refused_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, *pair("A1", "happy"))
    (tmp_path / "nir/A1-happy-1.png").unlink()
    with pytest.raises(DataError, match=r"line 3: path 'nir/A1-happy-1\.png' does not exist") as caught:
        DATASET.listing(tmp_path)
    assert "\n" not in str(caught.value)
    assert DATASET.manifest.problems(tmp_path)


def people(count: int, per_person: int) -> list[Face]:
    """Pairs of `count` people, as a manifest would list them; the files do not exist."""
    return [
        Face(f"{modality}-{n}-{k}", modality, f"s{n}", EXPRESSIONS[(n + k) % 6], f"{n}-{k}")
        for n in range(count)
        for k in range(per_person)
        for modality in ("vis", "nir")
    ]


def test_a_copy_that_fits_the_published_counts_is_said_to() -> None:
    faces = people(360, 2) + [Face(f"x{n}", "nir", f"s{n}", "fear") for n in range(276)]
    assert texts(faces) == [
        "996 NIR faces are tested over all folds, as the published accuracies suggest",
        "720 VIS-NIR pairs, as the manifest makes them",
    ]


def test_other_counts_are_told_and_never_serious() -> None:
    faces = [face for face in people(4, 3) if face.expression != "anger"]
    assert texts(faces) == [
        "11 NIR faces are tested over all folds, not the 996 that the published accuracies suggest",
        "4 subjects; 360 are published",
        "no face shows anger; the set has all six expressions",
        "11 VIS-NIR pairs, as the manifest makes them",
    ]
    assert not any(finding.serious for finding in DATASET.findings(Listing(tuple(faces)), None))


def test_with_a_fixed_split_its_test_part_counts() -> None:
    faces = [replace(face, split="test" if face.subject == "s0" else "train") for face in people(4, 3)]
    assert texts(faces)[0].startswith("3 NIR faces are tested in the test split, not the 996")


def test_people_who_are_not_known_are_neither_counted_nor_tested() -> None:
    faces = [*people(2, 1), Face("x", "nir", "?", "fear")]
    assert texts(faces)[0].startswith("2 NIR faces are tested")
    assert texts(faces)[1] == "2 subjects; 360 are published"


def test_a_manifest_without_pairs_is_of_no_use() -> None:
    faces = tuple(replace(face, pair="") for face in people(360, 6))
    serious = [finding.text for finding in DATASET.findings(Listing(faces), None) if finding.serious]
    assert serious == ["no VIS-NIR pairs; nothing can be trained, fill the column pair"]


def test_it_is_registered_with_the_settings_of_the_paper() -> None:
    (dataset,) = nferbench_datasets()
    assert (dataset.name, dataset.title) == ("large-hfe", "Large-HFE")
    assert (dataset.default_preset, dataset.default_extra) == ("paper", "cfee")
