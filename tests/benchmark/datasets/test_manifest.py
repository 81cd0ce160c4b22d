"""Data sets by manifest: what is listed, what is left out, and every kind of wrong file in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.datasets.files import nferbench_datasets
from nferbench.datasets.labels import CLASSES, canonical, checked_aliases
from nferbench.datasets.left_out import counted
from nferbench.datasets.manifest import ManifestDataset, dataset_from_path

HEADER = "path,modality,subject,expression,pair"
PAIR = ("vis/a.png,vis,P1,happy,a", "nir/a.png,nir,P1,happiness,a")

Write = Callable[..., ManifestDataset]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a manifest into tmp_path together with all images that its rows name."""

    def write(*rows: str, header: str = HEADER, images: bool = True) -> ManifestDataset:
        (tmp_path / "manifest.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        for row in rows if images else ():
            draw(tmp_path / row.split(",")[0])
        return ManifestDataset()

    return write


def draw(path: Path, level: int = 120) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (level, level // 2, level // 3)).save(path)


def ids(listing: Listing) -> list[str]:
    return [face.id for face in listing.faces]


def refusal(dataset: ManifestDataset, root: Path) -> str:
    with pytest.raises(DataError) as caught:
        dataset.listing(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_pair_is_listed_with_canonical_labels_and_sorted_ids(write: Write, tmp_path: Path) -> None:
    listing = write(*PAIR).listing(tmp_path)
    assert ids(listing) == ["nir/a.png", "vis/a.png"]
    assert {face.expression for face in listing.faces} == {"happiness"}
    assert {face.pair for face in listing.faces} == {"a"}
    assert listing.faces[0].files == ("nir/a.png",)
    assert listing.dropped == ()
    assert listing.landmarks == 0


def test_the_order_of_rows_does_not_matter(write: Write, tmp_path: Path) -> None:
    first = write(*PAIR).listing(tmp_path)
    assert write(*reversed(PAIR)).listing(tmp_path) == first


def test_the_folder_of_the_csv_is_the_root_unless_one_is_given(write: Write, tmp_path: Path) -> None:
    write(*PAIR)
    dataset = dataset_from_path(tmp_path / "manifest.csv")
    assert dataset.base(None) == tmp_path
    assert len(dataset.listing(None).faces) == 2
    elsewhere = tmp_path / "elsewhere"
    draw(elsewhere / "vis/a.png")
    draw(elsewhere / "nir/a.png")
    (tmp_path / "vis/a.png").unlink()
    assert dataset.base(elsewhere) == elsewhere
    assert len(dataset.listing(elsewhere).faces) == 2
    with pytest.raises(DataError, match="does not exist"):
        dataset.listing(None)


def test_the_place_of_the_file_is_no_part_of_the_value(tmp_path: Path) -> None:
    assert ManifestDataset(file=str(tmp_path / "a.csv"), name="a") == ManifestDataset()
    assert ManifestDataset(last=3) != ManifestDataset()


def test_without_a_root_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root"):
        ManifestDataset().listing(None)
    with pytest.raises(UsageError, match=r"manifest\.csv does not exist"):
        ManifestDataset().listing(tmp_path)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("/etc/a.png,vis,P1,happy,a", "line 2: path '/etc/a.png' is absolute"),
        ("C:\\a.png,vis,P1,happy,a", "is absolute"),
        ("../a.png,vis,P1,happy,a", "line 2: path '../a.png' contains '..'"),
        ("vis\\..\\..\\a.png,vis,P1,happy,a", "contains '..'"),
        (",vis,P1,happy,a", "line 2: path '' is no path"),
        ("vis/none.png,vis,P1,happy,a", "line 2: path 'vis/none.png' does not exist under"),
        ("vis,vis,P1,happy,a", "1 left out: a folder, not a file (vis)"),
        ('vis/a.png,vis,"P\r1",happy,a', "1 left out: its subject holds a line break"),
        (f"vis/{'a' * 300}.png,vis,P1,happy,a", "does not exist under"),
        ("vis/circle.png,vis,P1,happy,a", "line 2: path 'vis/circle.png' does not exist"),
        ("vis/a.png,vis,,happy,a", "line 2: the subject is empty; write ?"),
        ("vis/a.png,infrared,P1,happy,a", "line 2: unknown modality 'infrared'; known: vis, nir, lwir"),
        ("vis/a.png,vis,P1,happy,a,extra", "line 2: 6 values for 5 columns"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(write: Write, tmp_path: Path, row: str, complaint: str) -> None:
    draw(tmp_path / "vis/a.png")
    (tmp_path / "vis/circle.png").symlink_to("circle.png")
    assert complaint in refusal(write(row, images=False), tmp_path)


def test_a_symbolic_link_that_leaves_the_root_is_refused(write: Write, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    draw(outside / "a.png")
    root.mkdir()
    (root / "vis").symlink_to(outside)
    (root / "manifest.csv").write_text(f"{HEADER}\nvis/a.png,vis,P1,happy,\n", encoding="utf-8")
    assert "leaves the data root by a symbolic link" in refusal(ManifestDataset(), root)


def test_every_path_that_leaves_the_root_is_refused_with_its_line(write: Write, tmp_path: Path) -> None:
    root = tmp_path / "root"
    draw(tmp_path / "outside/a.png")
    draw(root / "vis/a.png")
    (root / "away").symlink_to(tmp_path / "outside")
    (root / "vis/b.png").symlink_to(tmp_path / "outside/a.png")
    (root / "vis/c.png").symlink_to(root / "away" / "a.png")  # leaves in two steps
    paths = ("vis/a.png", "away/a.png", "../outside/a.png", f"{root}/vis/a.png", "vis/b.png", "vis/c.png")
    rows = (f"{path},vis,P1,happy," for path in paths)
    (root / "manifest.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    problems = ManifestDataset().problems(root)
    assert [line.partition(": ")[0] for line in problems] == [f"line {number}" for number in range(3, 8)]
    assert "5 problems: line 3: path 'away/a.png' leaves the data root" in refusal(ManifestDataset(), root)


def test_a_symbolic_link_within_the_root_is_fine(write: Write, tmp_path: Path) -> None:
    draw(tmp_path / "files/a.png")
    (tmp_path / "vis").symlink_to(tmp_path / "files")
    assert ids(write("vis/a.png,vis,P1,happy,", images=False).listing(tmp_path)) == ["vis/a.png"]


def test_backslashes_and_dots_in_paths_are_made_regular(write: Write, tmp_path: Path) -> None:
    draw(tmp_path / "vis/a.png")
    assert ids(write(".\\vis\\a.png,vis,P1,happy,", images=False).listing(tmp_path)) == ["vis/a.png"]


def test_a_manifest_as_windows_writes_it_is_the_same(write: Write, tmp_path: Path) -> None:
    rows = ["vis\\a.png,vis,P1,happy,a,points\\a.npy", "nir\\a.png,nir,P1,happy,a,"]
    for name in ("vis/a.png", "nir/a.png"):
        draw(tmp_path / name)
    (tmp_path / "points").mkdir()
    np.save(tmp_path / "points/a.npy", np.zeros((68, 2)))
    text = "\r\n".join([f"{HEADER},landmarks", *rows]) + "\r\n\r\n"
    (tmp_path / "manifest.csv").write_bytes(text.encode("utf-8-sig"))
    listing = ManifestDataset().listing(tmp_path)
    assert [face.files for face in listing.faces] == [("nir/a.png",), ("vis/a.png", "points/a.npy")]
    assert {face.pair for face in listing.faces} == {"a"} and not listing.dropped
    unix = write(*(row.replace("\\", "/") for row in rows), header=f"{HEADER},landmarks", images=False)
    assert unix.listing(tmp_path) == listing


def test_a_path_in_other_capitals_is_refused_by_name(write: Write, tmp_path: Path) -> None:
    draw(tmp_path / "vis/a.png")
    assert "line 2: path 'VIS/a.png' does not exist" in refusal(
        write("VIS/a.png,vis,P1,happy,", images=False), tmp_path
    )


def test_a_path_listed_twice_is_refused(write: Write, tmp_path: Path) -> None:
    message = refusal(write(*PAIR, "vis/./a.png,vis,P1,happy,b"), tmp_path)
    assert "line 4: path 'vis/a.png' is already on line 2" in message


def test_two_images_of_one_modality_in_a_pair_are_refused(write: Write, tmp_path: Path) -> None:
    message = refusal(write(*PAIR, "vis/b.png,vis,P1,happy,a"), tmp_path)
    assert "line 4: pair 'a' already has a vis image (line 2)" in message


@pytest.mark.parametrize(
    ("nir", "complaint"),
    [
        ("nir/a.png,nir,P2,happy,a", "line 3: pair 'a' has subject 'P2' here and 'P1' there (line 2)"),
        ("nir/a.png,nir,P1,fear,a", "line 3: pair 'a' has expression 'fear' here and 'happiness' there (line 2)"),
        ("nir/a.png,nir,P1,contempt,a", "pair 'a' has expression 'contempt' here and 'happiness' there"),
    ],
)
def test_a_pair_of_two_people_or_expressions_is_refused(write: Write, tmp_path: Path, nir: str, complaint: str) -> None:
    assert complaint in refusal(write(PAIR[0], nir), tmp_path)


def test_all_problems_are_found_at_once(write: Write, tmp_path: Path) -> None:
    rows = [f"vis/{i}.png,vis,,happy,{i}" for i in range(8)]
    dataset = write(*rows, *PAIR, "vis/b.png,vis,P1,happy,a")
    message = refusal(dataset, tmp_path)
    assert "9 problems: line 2: " in message
    assert "line 6: " in message and "line 7: " not in message
    assert "and 4 more ('nferbench data verify' lists all)" in message
    problems = dataset.problems(tmp_path)
    assert len(problems) == 9
    assert all("\n" not in line for line in problems)
    assert problems[-1].startswith("line 12: pair 'a' already has a vis image")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"\n  \n", "the file is empty"),
        (HEADER.encode() + b"\n", "no row below the header"),
        (b"path,modality,subject\na,vis,P1\n", "missing column expression; found 'path', 'modality', 'subject'"),
        (b"path;modality;subject;expression\n", "missing column path, modality, subject, expression; found 'path;"),
        (HEADER.encode() + b"\nvis/a.png,vis,Ren\xe9,happy,a\n", "line 2 is not UTF-8"),
        (b"\xff\xfe" + HEADER.encode("utf-16-le"), "line 1 is not UTF-8"),
        (HEADER.encode() + b'\nvis/a.png,vis,"P1"x,happy,a\n', "line 2 is not CSV"),
        (HEADER.encode() + b",pair\nvis/a.png,vis,P1,happy,a,a\n", "column pair is there twice"),
        (HEADER.encode() + b",landmark\nvis/a.png,vis,P1,happy,a,\n", "'landmark'; did you mean 'landmarks'?"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    assert complaint in refusal(ManifestDataset(), tmp_path)


def test_a_byte_order_mark_capitals_blanks_and_own_columns_are_fine(write: Write, tmp_path: Path) -> None:
    write("vis/a.png, VIS , P1 , Happy ,,42", header="\ufeffPath, Modality,Subject,EXPRESSION,pair,age")
    face = ManifestDataset().listing(tmp_path).faces[0]
    assert (face.modality, face.subject, face.expression) == ("vis", "P1", "happiness")


def test_unknown_labels_are_named_counted_and_left_out(write: Write, tmp_path: Path) -> None:
    rows = ("vis/b.png,vis,P1,contempt,", "vis/c.png,vis,P2,contempt,", "vis/d.png,vis,P2,,")
    listing = write(*PAIR, *rows).listing(tmp_path)
    assert len(listing.faces) == 2
    lines = counted(listing.dropped)
    assert lines[0].startswith("2 left out: label 'contempt' is none of anger,")
    assert lines[1] == "1 left out: no label (vis/d.png)"


def test_other_spectra_are_allowed_and_left_out(write: Write, tmp_path: Path) -> None:
    others = ("lwir", "mwir", "swir")
    listing = write(*PAIR, *(f"{m}/a.png,{m},P1,happy,a" for m in others)).listing(tmp_path)
    assert len(listing.faces) == 2
    assert {drop.what: drop.reason for drop in listing.dropped} == {
        f"{modality}/a.png": f"modality {modality} is not used" for modality in others
    }


def test_a_face_without_its_partner_is_left_out_and_an_unpaired_one_kept(write: Write, tmp_path: Path) -> None:
    listing = write(*PAIR, "vis/b.png,vis,P1,fear,b", "vis/c.png,vis,P1,fear,").listing(tmp_path)
    assert ids(listing) == ["nir/a.png", "vis/a.png", "vis/c.png"]
    assert [(drop.what, drop.reason) for drop in listing.dropped] == [("vis/b.png", "no nir partner")]


def test_a_list_of_one_modality_needs_no_partners(write: Write, tmp_path: Path) -> None:
    assert len(write(PAIR[0], "vis/b.png,vis,P2,sad,b").listing(tmp_path).faces) == 2


def test_nothing_usable_is_an_error_that_says_why(write: Write, tmp_path: Path) -> None:
    assert "no face can be used: 1 left out: label 'bored'" in refusal(write("a.png,vis,P1,bored,"), tmp_path)


def test_neutral_is_a_class_unless_it_is_not_wanted(write: Write, tmp_path: Path) -> None:
    dataset = write(*PAIR, "vis/n.png,vis,P1,Neutral,n", "nir/n.png,nir,P1,ne,n")
    assert len(dataset.listing(tmp_path).faces) == 4
    without = replace(dataset, neutral=False).listing(tmp_path)
    assert {face.expression for face in without.faces} == {"happiness"}
    assert len(without.dropped) == 2


def test_boxes_splits_and_unknown_people_are_listed(write: Write, tmp_path: Path) -> None:
    header = "path,modality,subject,expression,split,box"
    rows = ("a.png,vis,?,happy,,1 2 5.5 6", "b.png,vis,P1,sad,03,", "c.png,vis,P2,sad,VAL,", "d.png,vis,P3,sad,test,")
    faces = write(*rows, header=header).listing(tmp_path).faces
    assert faces[0].box == (1, 2, 5.5, 6)
    assert faces[0].subject == "?"
    assert [face.split for face in faces] == ["", "3", "train", "test"]


@pytest.mark.parametrize("box", ["1 2 3", "a b c d", "1 2 1 6", "5 2 1 6", "nan 0 1 1", "0 0 inf 1", "1 2 3 4 5"])
def test_a_bad_box_is_refused(write: Write, tmp_path: Path, box: str) -> None:
    dataset = write(f"a.png,vis,P1,happy,{box}", header="path,modality,subject,expression,box")
    assert f"line 2: box '{box}'" in refusal(dataset, tmp_path)


@pytest.mark.parametrize("split", ["-1", "1.5", "dev", "²"])
def test_a_bad_split_is_refused(write: Write, tmp_path: Path, split: str) -> None:
    dataset = write(f"a.png,vis,P1,happy,{split}", header="path,modality,subject,expression,split")
    assert "is not train, val, test or a fold number" in refusal(dataset, tmp_path)


def test_nir_loads_as_luminance_in_three_equal_channels(write: Write, tmp_path: Path) -> None:
    dataset = write(*PAIR)
    nir, vis = (dataset.load(face, tmp_path, 32) for face in dataset.listing(tmp_path).faces)
    assert nir.pixels.shape == vis.pixels.shape == (6, 8, 3)
    assert tuple(vis.pixels[0, 0]) == (120, 60, 40)
    assert tuple(nir.pixels[0, 0]) == (round(0.299 * 120 + 0.587 * 60 + 0.114 * 40),) * 3
    assert not nir.cropped


def test_landmark_files_are_listed_loaded_and_checked(write: Write, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 8, (68, 2))
    np.save(tmp_path / "a.npy", points)
    np.save(tmp_path / "short.npy", points[:5])
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01")
    header = "path,modality,subject,expression,landmarks"
    rows = [f"{name}.png,vis,P1,happy,{name}.npy" for name in ("a", "broken", "object", "short")]
    dataset = write(*rows, "z.png,vis,P1,happy,", header=header)
    listing = dataset.listing(tmp_path)
    assert listing.landmarks == 68
    assert listing.faces[0].files == ("a.png", "a.npy")
    loaded = dataset.load(listing.faces[0], tmp_path, 32).landmarks
    assert loaded is not None and loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, points, rtol=1e-6)
    for face in listing.faces[1:4]:
        with pytest.raises(DataError, match=f"{face.id[:-4]}.npy"):
            dataset.load(face, tmp_path, 32)
    assert dataset.load(listing.faces[4], tmp_path, 32).landmarks is None


@pytest.mark.parametrize(
    ("path", "complaint"),
    [("../a.npy", "contains '..'"), ("none.npy", "landmarks 'none.npy' does not exist"), ("a.png", "not an .npy file")],
)
def test_a_bad_landmark_path_is_refused(write: Write, tmp_path: Path, path: str, complaint: str) -> None:
    dataset = write(f"a.png,vis,P1,happy,{path}", header="path,modality,subject,expression,landmarks")
    assert complaint in refusal(dataset, tmp_path)


def test_a_data_set_at_a_path_is_named_after_its_folder_or_file(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "large-hfe"
    draw(folder / "a.png")
    for name in ("manifest.csv", "lab.csv"):
        (folder / name).write_text(f"{HEADER}\na.png,vis,P1,happy,\n", encoding="utf-8")
    assert dataset_from_path(folder).name == "large-hfe"
    assert dataset_from_path(folder / "manifest.csv").name == "large-hfe"
    assert dataset_from_path(folder / "lab.csv").name == "lab"
    assert len(dataset_from_path(folder / "lab.csv").listing(None).faces) == 1


@pytest.mark.parametrize(
    ("name", "complaint"), [("none.csv", "does not exist"), ("a.png", "no manifest"), ("", "no data set")]
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    draw(tmp_path / "a.png")
    with pytest.raises(UsageError, match=complaint):
        dataset_from_path(tmp_path / name)


def test_labels_of_common_data_sets_have_canonical_names() -> None:
    given = ("Angry", " DISGUSTED", "Afraid", "joy", "Sad", "surprised", "Neutral", "SA", "smiling")
    assert [canonical(label) for label in given] == [*CLASSES, "sadness", "happiness"]
    assert canonical("contempt") is None
    assert canonical("contempt", checked_aliases({"Contempt": "angry"})) == "anger"
    assert canonical("happy", checked_aliases({"happy": "surprise"})) == "surprise"


def test_manifest_and_folder_are_registered() -> None:
    assert [dataset.name for dataset in nferbench_datasets()] == ["manifest", "folder"]


def test_listing_and_splitting_import_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, nferbench.datasets.files, nferbench.datasets.fingerprint, nferbench.faces.folds\n"
        "import nferbench.faces.prepare\n"
        "print(sorted({'torch', 'pandas', 'torchvision', 'matplotlib', 'diffusers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_photographs_are_listed_by_their_manifest(shared: Path) -> None:
    listing = dataset_from_path(shared / "faces-london").listing(None)
    assert len({face.subject for face in listing.faces}) == 80
    assert len({face.pair for face in listing.faces}) == 160
    assert {face.expression for face in listing.faces} == {"neutral", "happiness"}
    assert listing.dropped == ()


def test_a_person_whose_name_is_spelled_in_several_ways_is_one(write: Write, tmp_path: Path) -> None:
    names = ("P 1", "P\u00a01", " P  1 ", "P\u200b 1", "\uff30 1")
    rows = [f"{row}.png,vis,{name},happy,{row}" for row, name in enumerate(names)]
    rows += [f"{row}n.png,nir,{name},happy,{row}" for row, name in enumerate(reversed(names))]
    header = "path,modality,subject,expression,pair"
    listing = write(*rows, header=header).listing(tmp_path)
    assert {face.subject for face in listing.faces} == {"P 1"} and len(listing.faces) == 2 * len(names)
    assert "the subject is empty" in refusal(write("a.png,vis,\u200b,happy,"), tmp_path)


def test_a_sequence_is_one_however_its_person_is_spelled(write: Write, tmp_path: Path) -> None:
    header = "path,modality,subject,expression,sequence,frame"
    rows = [f"{frame}.png,vis,{name},happy,1,{frame}" for frame, name in enumerate(("Jos\u00e9", "Jose\u0301"))]
    dataset = replace(write(*rows, header=header), last=1)
    assert ids(dataset.listing(tmp_path)) == ["1.png"]
    assert len({face.sequence for face in replace(dataset, last=0).listing(tmp_path).faces}) == 1


BOXED = "path,modality,subject,expression,pair,box"


def test_boxes_in_shares_of_the_image_are_refused(write: Write, tmp_path: Path) -> None:
    rows = [f"vis/{n}.png,vis,P{n},happy,,{box}" for n, box in enumerate(("0.2 0.25 0.75 1.02", "-0.1 0 0.9 0.8"))]
    dataset = write(*rows, "vis/9.png,vis,P9,happy,,0 0 6 6", header=BOXED)
    said = refusal(dataset, tmp_path)
    assert "2 of 3 boxes are in 0-1, such as 0.2 0.25 0.75 1.02 on line 2; pixels of the upright image are due" in said
    assert any("boxes are in 0-1" in line for line in dataset.problems(tmp_path))


def test_a_tiny_box_among_good_ones_is_left_out_and_counted(write: Write, tmp_path: Path) -> None:
    boxes = ("0 0 6 6", "1 1 4.5 5", "0.1 0.1 0.9 0.9", "1 0 8 6")
    rows = [f"vis/{n}.png,vis,P{n},happy,,{box}" for n, box in enumerate(boxes)]
    listing = write(*rows, header=BOXED).listing(tmp_path)
    assert ids(listing) == ["vis/0.png", "vis/3.png"]
    assert counted(listing.dropped) == ["2 left out: its box has fewer than 4 pixels a side (such as vis/1.png)"]
