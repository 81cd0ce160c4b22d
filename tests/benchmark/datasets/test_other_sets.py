"""Data sets without a reader of their own: their labels, and what a manifest of them looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.dataset import Listing
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.labels import canonical
from nferbench.datasets.manifest import ManifestDataset
from nferbench.datasets.pairing import by_pair

HEADER = "path,modality,subject,expression,pair,split"


def listed(root: Path, rows: list[str], sidecar: str = "") -> Listing:
    (root / "manifest.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    for row in rows:
        path = root / row.split(",")[0].replace("\\", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if sidecar:
        (root / "manifest.yaml").write_text(sidecar, encoding="utf-8")
    return ManifestDataset().listing(root)


@pytest.mark.parametrize(
    "labels",
    [
        "AN=anger DI=disgust FE=fear HA=happiness NE=neutral SA=sadness SU=surprise",  # JAFFE, KMU-FED
        "AN=anger DI=disgust AF=fear HA=happiness NE=neutral SA=sadness SU=surprise",  # KDEF
        "angry=anger disgusted=disgust fearful=fear happy=happiness neutral=neutral sad=sadness surprised=surprise"
        " contemptuous=",  # RaFD
        "Anger=anger Disgust=disgust Fear=fear Happiness=happiness Sadness=sadness Surprise=surprise",  # Oulu-CASIA
        "Happy=happiness Sad=sadness Fear=fear Surprise=surprise Neutral=neutral Contempt=",  # AffectNet
        "neutral=neutral smile=happiness closed= shocked= sunglasses=",  # Tufts
        "positive= negative= surprise=surprise",  # SMIC
        "Happily_surprised= Sadly_fearful= Appalled= Hatred= Awed=",  # CFEE
    ],
)
def test_the_labels_of_common_sets_mean_what_their_authors_mean(labels: str) -> None:
    pairs = [pair.split("=") for pair in labels.split()]
    for label, meaning in pairs:
        for written in (label, label.lower(), label.upper(), f" {label} "):
            assert canonical(written) == (meaning or None)


def test_jaffe_is_read_from_its_tiff_files(tmp_path: Path) -> None:
    codes = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    listing = listed(tmp_path, [f"jaffe/KA.{code}1.{39 + n}.tiff,vis,KA,{code},," for n, code in enumerate(codes)])
    assert [face.expression for face in listing.faces] == [canonical(code) for code in codes]
    Image.new("L", (6, 4), 90).save(tmp_path / listing.faces[0].files[0])
    assert (ManifestDataset().load(listing.faces[0], tmp_path, 8).pixels == 90).all()


def test_tiff_files_are_images_in_a_tree_of_folders_too(tmp_path: Path) -> None:
    for file in ("vis/KA/AN/KA.AN1.39.tiff", "vis/KA/DI/KA.DI1.42.TIF"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    listing = FolderDataset().listing(tmp_path)
    assert [face.expression for face in listing.faces] == ["anger", "disgust"] and not listing.dropped


def test_rafd_loses_contempt_and_nothing_else(tmp_path: Path) -> None:
    words = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
    listing = listed(tmp_path, [f"Rafd090_01_Caucasian_female_{word}_frontal.jpg,vis,01,{word},," for word in words])
    assert len(listing.faces) == 7
    assert [drop.what for drop in listing.dropped] == ["Rafd090_01_Caucasian_female_contemptuous_frontal.jpg"]


AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", None)
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


@pytest.mark.parametrize("meanings", [AFFECTNET, FER2013])
def test_codes_are_named_beside_the_manifest_and_unknown_people_stay_unknown(
    tmp_path: Path, meanings: tuple[str | None, ...]
) -> None:
    aliases = "\n".join(f"  {code}: {name}" for code, name in enumerate(meanings) if name)
    rows = [f"train_set/images/{code}.jpg,vis,?,{code},," for code in range(len(meanings))]
    listing = listed(tmp_path, rows, f"aliases:\n{aliases}\n")
    assert [face.expression for face in listing.faces] == [name for name in meanings if name]
    assert {face.subject for face in listing.faces} == {"?"}
    assert [drop.what for drop in listing.dropped] == [row.split(",")[0] for row in rows][len(listing.faces) :]


def test_casia_nir_vis_is_listed_with_its_backslashes_and_without_pairs(tmp_path: Path) -> None:
    rows = ["s1\\NIR\\00001\\004.bmp,nir,00001,neutral,,", "s1\\VIS\\00001\\004.jpg,vis,00001,neutral,,"]
    faces = listed(tmp_path, rows).faces
    assert [face.id for face in faces] == ["s1/NIR/00001/004.bmp", "s1/VIS/00001/004.jpg"]
    assert {(face.subject, face.pair) for face in faces} == {("00001", "")}, "leading zeros are part of the name"


def test_buaa_makes_pairs_of_odd_and_even_numbers(tmp_path: Path) -> None:
    rows = [f"1/{n}.bmp,{('nir', 'vis')[n % 2]},1,neutral,1-{(n + 1) // 2}," for n in range(1, 5)]
    assert {pair: [face.id for face in group] for pair, group in by_pair(listed(tmp_path, rows).faces).items()} == {
        "1-1": ["1/1.bmp", "1/2.bmp"],
        "1-2": ["1/3.bmp", "1/4.bmp"],
    }


def test_the_ten_folds_of_lamp_hq_stay_folds(tmp_path: Path) -> None:
    rows = [f"{n}.jpg,nir,{n:03d},happy,,{n}" for n in range(1, 11)]
    assert {face.split for face in listed(tmp_path, rows).faces} == {str(n) for n in range(1, 11)}


def test_the_thermal_half_of_a_set_is_left_out_and_the_visible_one_kept(tmp_path: Path) -> None:
    rows = ["rgb/1.png,vis,sub_1,smile,a,", "thr/1.png,lwir,sub_1,smile,a,"]  # Tufts, SpeakingFaces, USTC-NVIE
    listing = listed(tmp_path, rows)
    assert [face.id for face in listing.faces] == ["rgb/1.png"]
    assert [drop.reason for drop in listing.dropped] == ["modality lwir is not used"]
