"""What copies look like after some years on people's disks: each reader lists the same faces as of a clean copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from oulu_tree import NAMES

from nferbench.contract.dataset import Face, FaceDataset
from nferbench.datasets.cfee import CfeeDataset
from nferbench.datasets.ck_plus import CkPlusDataset
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.kdef import KdefDataset
from nferbench.datasets.kmu_fed import KmuFedDataset
from nferbench.datasets.large_hfe import LargeHfeDataset
from nferbench.datasets.oulu_casia import OuluCasia
from nferbench.datasets.raf_db import RafDbDataset


@dataclass(frozen=True)
class Case:
    """A reader, the files of a small clean copy, and how many faces it lists of them."""

    dataset: FaceDataset
    files: tuple[str, ...]  # relative to the data root; those that end in .txt or .csv hold `text`
    faces: int
    text: str = ""


def frames(folder: str, suffix: str = "", end: str = "jpeg") -> list[str]:
    return [
        f"{folder}/{modality}{suffix}/Strong/P00{subject}/{name}/{number:03d}.{end}"
        for modality in ("NI", "VL")
        for subject in (1, 2)
        for name in NAMES
        for number in range(4)
    ]


OULU = "B_OriginalImg/B_OriginalImg/OriginalImg"
PEOPLE = [f"p{subject}/Happy/{number}" for subject in (1, 2) for number in (1, 2)]
CASES = {
    "oulu-casia": Case(OuluCasia(), tuple(frames(OULU)), 72),
    "oulu-casia, crops": Case(OuluCasia(), tuple(frames("PreProcessImg", "_Acropped")), 72),
    "oulu-casia, both": Case(OuluCasia(), (*frames(OULU), *frames("PreProcessImg", "_Acropped")), 72),
    "cfee": Case(CfeeDataset(), tuple(f"CFEE_Database_230/01-04/Images1/0{c}_110_250{c}.jpg" for c in range(1, 5)), 3),
    "kdef": Case(KdefDataset(), tuple(f"KDEF_and_AKDEF/KDEF/{s}F01/{s}F01HAS.JPG" for s in "AB"), 2),
    "raf-db": Case(
        RafDbDataset(),
        ("basic/EmoLabel/list_patition_label.txt", "basic/Image/aligned/train_00001_aligned.jpg"),
        1,
        "train_00001.jpg 4\n",
    ),
    "ck+": Case(
        CkPlusDataset(),
        (
            "Emotion/S005/001/S005_001_00000004_emotion.txt",
            *(f"cohn-kanade-images/S005/001/S005_001_0000000{number}.png" for number in range(1, 5)),
        ),
        3,
        "3.0",
    ),
    "kmu-fed": Case(KmuFedDataset(), tuple(f"KMU-FED/01_{e}_mr_00{n}.jpg" for e in ("AN", "HA") for n in (1, 2)), 4),
    "large-hfe": Case(
        LargeHfeDataset(),
        ("manifest.csv", "Images/a.png", "Images/b.png"),
        2,
        "path,modality,subject,expression,pair\nImages/a.png,vis,1,happy,a\nImages/b.png,nir,1,happy,a\n",
    ),
    "folder": Case(FolderDataset(), tuple(f"{m}/{name}.png" for m in ("vis", "nir") for name in PEOPLE), 8),
}


def copy(root: Path, case: Case) -> Path:
    for number, file in enumerate(case.files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        is_text = file.endswith((".txt", ".csv"))
        (root / file).write_bytes(case.text.encode() if is_text else b"%08d" % number)
    return root


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def folders_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_dir())


def opened_on_a_mac(root: Path) -> None:
    for folder in (root, *folders_of(root)):
        (folder / ".DS_Store").write_bytes(b"x")
    for file in files_of(root):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")


def zipped_on_a_mac(root: Path) -> None:
    for file in files_of(root):
        beside = root / "__MACOSX" / file.relative_to(root)
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
        beside.write_bytes(b"x")  # some programs drop the "._" when they unpack


def zipped_on_a_mac_folder_by_folder(root: Path) -> None:
    for folder in folders_of(root):
        beside = folder.parent / "__MACOSX" / folder.name
        beside.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            (beside / f"._{file.name}").write_bytes(b"\0\5\26\7")


def with_archives_beside_the_folders(root: Path) -> None:
    for folder in folders_of(root):
        for ending in (".zip", ".tar.gz"):
            folder.with_name(folder.name + ending).write_bytes(b"PK")


def opened_on_windows(root: Path) -> None:
    for folder in (root, *folders_of(root)):
        for name in ("Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"x")


ODDITIES: list[Callable[[Path], None]] = [
    opened_on_a_mac,
    zipped_on_a_mac,
    zipped_on_a_mac_folder_by_folder,
    with_archives_beside_the_folders,
    opened_on_windows,
]


def in_lower_case(root: Path) -> None:
    for folder in reversed(folders_of(root)):
        folder.rename(folder.with_name(folder.name.lower()))


def shown(faces: tuple[Face, ...]) -> list[tuple[str, ...]]:
    """All of the faces but what their files are called."""
    return sorted((face.modality, face.subject, face.expression, face.pair.casefold()) for face in faces)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("change", ODDITIES)
def test_what_lies_about_in_a_copy_changes_no_face(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    case = CASES[name]
    clean = case.dataset.listing(copy(tmp_path, case))
    assert len(clean.faces) == case.faces
    base = case.dataset.base(tmp_path)
    findings = case.dataset.findings(clean, tmp_path)
    change(tmp_path)
    odd = case.dataset.listing(tmp_path)
    assert odd.faces == clean.faces
    assert case.dataset.base(tmp_path) == base
    assert case.dataset.findings(odd, tmp_path) == findings
    added = [drop for drop in odd.dropped if drop not in clean.dropped]
    assert {drop.reason for drop in added} <= {"left behind by a file manager", "not the name of an image file"}
    assert not any("._" in drop.what or "__MACOSX" in drop.what or ".DS" in drop.what for drop in added)


@pytest.mark.parametrize("name", [name for name in CASES if name != "large-hfe"])
@pytest.mark.parametrize("change", [None, zipped_on_a_mac, zipped_on_a_mac_folder_by_folder])
def test_folders_may_be_in_lower_case(tmp_path: Path, name: str, change: Callable[[Path], None] | None) -> None:
    case = CASES[name]
    clean = case.dataset.listing(copy(tmp_path, case))
    if change is not None:
        change(tmp_path)
    in_lower_case(tmp_path)
    for folder in reversed([folder for folder in folders_of(tmp_path) if folder.name == "__macosx"]):
        folder.rename(folder.with_name("__MACOSX"))
    odd = case.dataset.listing(tmp_path)
    assert shown(odd.faces) == shown(clean.faces)
    base = case.dataset.base(tmp_path)
    assert base is not None and all((base / face.files[0]).is_file() for face in odd.faces)


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".png", ".bmp"])
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("oulu")])
def test_frames_may_have_another_ending(tmp_path: Path, name: str, ending: str) -> None:
    case = CASES[name]
    clean = case.dataset.listing(copy(tmp_path, case))
    for file in files_of(tmp_path):
        file.rename(file.with_suffix(ending))
    odd = case.dataset.listing(tmp_path)
    assert shown(odd.faces) == shown(clean.faces) and not odd.dropped
    assert [face.id for face in odd.faces] == [f"{face.id.removesuffix('.jpeg')}{ending}" for face in clean.faces]
