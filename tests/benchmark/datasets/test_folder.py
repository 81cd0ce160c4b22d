"""Data sets as trees of folders."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.manifest import dataset_from_path


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (120, 60, 40)).save(root / file)
    return root


PAIR = ("vis/P1/Happy/000.jpg", "nir/P1/Happy/000.png")


def test_equal_tails_are_a_pair_whatever_the_kind_of_file(tmp_path: Path) -> None:
    listing = FolderDataset().listing(tree(tmp_path, *PAIR))
    assert [face.id for face in listing.faces] == ["nir/P1/Happy/000.png", "vis/P1/Happy/000.jpg"]
    assert {face.pair for face in listing.faces} == {"P1/Happy/000"}
    assert {(face.subject, face.expression) for face in listing.faces} == {("P1", "happiness")}


def test_one_modality_alone_is_fine(tmp_path: Path) -> None:
    listing = FolderDataset().listing(tree(tmp_path, PAIR[0], "vis/P2/sad/1.PNG"))
    assert len(listing.faces) == 2
    assert listing.dropped == ()


def test_faces_without_a_partner_are_left_out(tmp_path: Path) -> None:
    listing = FolderDataset().listing(tree(tmp_path, *PAIR, "vis/P1/Happy/001.jpg", "nir/P1/fear/000.png"))
    assert len(listing.faces) == 2
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [
        ("vis/P1/Happy/001.jpg", "no nir partner"),
        ("nir/P1/fear/000.png", "no vis partner"),
    ]


def test_what_is_no_face_is_left_out_and_named(tmp_path: Path) -> None:
    tree(tmp_path, *PAIR, "vis/P1/contempt/a.png")
    tree(tmp_path, "vis/P1/a.png", "vis/P1/Happy/more/a.png")
    for name in ("Thumbs.db", ".DS_Store", "notes.txt"):
        (tmp_path / "vis/P1/Happy" / name).write_bytes(b"x")
    listing = FolderDataset().listing(tmp_path)
    assert len(listing.faces) == 2
    assert {drop.what: drop.reason.partition(" '")[0] for drop in listing.dropped} == {
        "vis/P1/Happy/Thumbs.db": "left behind by a file manager",
        "vis/P1/Happy/notes.txt": "not the name of an image file",
        "vis/P1/Happy/more/a.png": "not at <subject>/<expression>/<image>",
        "vis/P1/a.png": "not at <subject>/<expression>/<image>",
        "vis/P1/contempt/a.png": "label",
    }


def test_two_files_of_one_stem_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="already has a vis image") as caught:
        FolderDataset().listing(tree(tmp_path, *PAIR, "vis/P1/Happy/000.png"))
    assert "\n" not in str(caught.value)


def test_neutral_can_be_left_out(tmp_path: Path) -> None:
    dataset = FolderDataset()
    tree(tmp_path, *PAIR, "vis/P1/neutral/0.png", "nir/P1/neutral/0.png")
    assert len(dataset.listing(tmp_path).faces) == 4
    assert len(replace(dataset, neutral=False).listing(tmp_path).faces) == 2


def test_a_folder_that_is_no_tree_of_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a folder vis nor a folder nir"):
        FolderDataset().listing(tmp_path)
    with pytest.raises(UsageError, match="--data-root"):
        FolderDataset().listing(None)
    (tmp_path / "vis").mkdir()
    with pytest.raises(DataError, match="no file three levels below"):
        FolderDataset().listing(tmp_path)
    with pytest.raises(DataError, match="label 'bored' is none of"):
        FolderDataset().listing(tree(tmp_path, "vis/P1/bored/a.png"))


def test_a_tree_at_a_path_brings_its_own_root(tmp_path: Path) -> None:
    dataset = dataset_from_path(tree(tmp_path / "own-set", *PAIR))
    assert dataset == FolderDataset()
    assert dataset.name == "own-set"
    assert dataset.base(None) == tmp_path / "own-set"
    assert len(dataset.listing(None).faces) == 2


def test_the_name_of_a_set_is_one_line_whatever_its_folder_is_called(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Ren\xe9\n2"))
    dataset = dataset_from_path(tree(root, *PAIR))
    assert dataset.name == dataset.title == "Ren\\xe9\\n2"
    assert len(dataset.listing(None).faces) == 2


def test_links_out_of_the_tree_are_left_out_with_the_partner(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", *PAIR, "nir/P1/fear/0.png")
    tree(tmp_path, "elsewhere/Happy/000.png")
    (root / "vis/P1/fear").mkdir()
    (root / "vis/P1/fear/0.png").symlink_to(tmp_path / "elsewhere/Happy/000.png")
    (root / "vis/P2").symlink_to(tmp_path / "elsewhere")
    listing = FolderDataset().listing(root)
    assert len(listing.faces) == 2
    assert {drop.what: drop.reason for drop in listing.dropped} == {
        "vis/P1/fear/0.png": "a link out of the data root",
        "vis/P2": "a link out of the data root",
        "nir/P1/fear/0.png": "no vis partner",
    }


def test_nir_loads_grey_and_vis_in_colour(tmp_path: Path) -> None:
    dataset = FolderDataset()
    nir, vis = (dataset.load(face, tmp_path, 32).pixels for face in dataset.listing(tree(tmp_path, *PAIR)).faces)
    assert (nir[..., 0] == nir[..., 2]).all()
    assert (vis[..., 0] > vis[..., 2]).all()


@pytest.mark.parametrize(("vis", "nir"), [("VIS", "NIR"), ("Vis", "nir")])
def test_capitals_do_not_matter_in_vis_and_nir(tmp_path: Path, vis: str, nir: str) -> None:
    tree(tmp_path, f"{vis}/P1/Happy/000.jpg", f"{nir}/P1/Happy/000.png")
    dataset = dataset_from_path(tmp_path)
    assert {face.modality: face.id.split("/")[0] for face in dataset.listing(None).faces} == {"vis": vis, "nir": nir}


def test_a_tree_from_a_mac_and_one_from_elsewhere_hold_the_same_people(tmp_path: Path) -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    listing = FolderDataset().listing(tree(tmp_path, f"vis/{composed}/sad/1.png", f"nir/{decomposed}/sad/1.png"))
    assert [(face.subject, face.pair) for face in listing.faces] == [(composed, f"{composed}/sad/1")] * 2
    assert listing.dropped == () and {face.files[0] for face in listing.faces} == {face.id for face in listing.faces}
    alone = FolderDataset().listing(tree(tmp_path / "mac", *(f"{m}/{decomposed}/sad/1.png" for m in ("vis", "nir"))))
    assert {face.subject for face in alone.faces} == {decomposed}  # spelled in one way: as it was
