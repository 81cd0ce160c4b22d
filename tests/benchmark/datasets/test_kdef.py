"""KDEF as distributed, in trees that copy its names and quirks; no real copy was tried."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nferbench.contract.dataset import EXPRESSIONS
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import replaced
from nferbench.datasets.kdef import BLACK, ERRATA, PEOPLE, KdefDataset, View
from nferbench.datasets.left_out import counted

LABELS = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
VIEWS: tuple[View, ...] = ("FL", "HL", "S", "HR", "FR")
RIGHT_TO_WRONG = {right: wrong for wrong, right in ERRATA.items()}


def copy(folder: Path, people: tuple[str, ...] = ("F01",), views: tuple[str, ...] = VIEWS, lower: bool = False) -> Path:
    """Empty files under the names of the release, errata included: listing decodes nothing."""
    for person in people:
        for session in "AB":
            place = folder / f"{session}{person}"
            place = place.with_name(place.name.lower()) if lower else place
            place.mkdir(parents=True, exist_ok=True)
            for label in LABELS:
                for view in views:
                    name = f"{session}{person}{label}{view}"
                    name = f"{RIGHT_TO_WRONG.get(name, name)}.JPG"
                    (place / (name.lower() if lower else name)).touch()
    return folder


def seen(root: Path, **fields: object) -> dict[str, tuple[str, str]]:
    """Subject and expression of each face, by its id."""
    dataset = replaced(KdefDataset(), fields, "datasets.kdef")
    return {face.id: (face.subject, face.expression) for face in dataset.listing(root).faces}


def reasons(root: Path, **fields: object) -> dict[str, str]:
    dataset = replaced(KdefDataset(), fields, "datasets.kdef")
    return {drop.what: drop.reason for drop in dataset.listing(root).dropped}


def test_the_default_is_frontal_without_neutral_and_both_sessions_are_one_person(tmp_path: Path) -> None:
    expected = {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "SA": "sadness", "SU": "surprise"}
    assert seen(copy(tmp_path)) == {
        f"{session}F01{label}S": ("F01", expression) for session in "AB" for label, expression in expected.items()
    }
    listing = KdefDataset().listing(tmp_path)
    assert {(face.modality, face.pair) for face in listing.faces} == {("vis", "")}
    assert counted(listing.dropped)[0].startswith("55 left out: the view is not S (such as AF01/AF01AFFL.JPG")


def test_the_same_number_of_the_other_sex_is_another_person(tmp_path: Path) -> None:
    assert {subject for subject, _ in seen(copy(tmp_path, ("F01", "M01"))).values()} == {"F01", "M01"}


def test_views_are_chosen_and_unknown_ones_refused(tmp_path: Path) -> None:
    copy(tmp_path)
    assert {name[6:] for name in seen(tmp_path, views=["HL", "S", "HR"])} == {"HL", "S", "HR"}
    assert len(seen(tmp_path, views=["FR"])) == 11  # one of the twelve is black
    with pytest.raises(UsageError, match=r"datasets\.kdef\.views"):
        seen(tmp_path, views=["frontal"])
    with pytest.raises(UsageError, match=r"views .*allowed: one or more of FL, HL, S, HR, FR"):
        seen(tmp_path, views=[])


def test_neutral_can_be_kept(tmp_path: Path) -> None:
    assert Counter(expression for _, expression in seen(copy(tmp_path), neutral=True).values())["neutral"] == 2
    assert reasons(tmp_path)["AF01/AF01NES.JPG"] == "neutral faces are not wanted"


def test_the_two_misnamed_files_are_read_as_what_they_show(tmp_path: Path) -> None:
    copy(tmp_path, ("F31", "M31"))
    assert (tmp_path / "AF31/AF31V.JPG").is_file() and not (tmp_path / "AF31/AF31SAHL.JPG").exists()
    found = seen(tmp_path, views=["HL", "HR"])
    assert found["AF31SAHL"] == ("F31", "sadness")
    assert found["AM31SUHR"] == ("M31", "surprise")
    assert len(found) == 2 * 2 * 6 * 2
    assert set(reasons(tmp_path, views=["HL", "HR"]).values()) == {
        "the view is not HL or HR",
        "neutral faces are not wanted",
    }


@pytest.mark.parametrize("views", [("S",), ("HL", "HR")])
def test_the_errata_are_told_whether_or_not_their_views_are_wanted(tmp_path: Path, views: tuple[str, ...]) -> None:
    dataset = replaced(KdefDataset(), {"views": views}, "datasets.kdef")
    findings = dataset.findings(dataset.listing(copy(tmp_path, ("F31", "M31"))), tmp_path)
    assert sorted(finding.text for finding in findings if "misnamed" in finding.text) == [
        "AF31/AF31V.JPG is misnamed in the official release and stands for AF31SAHL",
        "AM31/AM31H.JPG is misnamed in the official release and stands for AM31SUHR",
    ]


@pytest.mark.parametrize(("wrong", "right"), ERRATA.items())
def test_a_file_under_its_right_name_comes_before_the_misnamed_one(tmp_path: Path, wrong: str, right: str) -> None:
    folder = copy(tmp_path, (right[1:4],)) / right[:4]
    (folder / f"{right}.JPG").touch()
    (face,) = [
        face for face in replaced(KdefDataset(), {"views": VIEWS}, "").listing(tmp_path).faces if face.id == right
    ]
    assert face.files == (f"{right[:4]}/{right}.JPG",)
    assert reasons(tmp_path, views=VIEWS)[f"{right[:4]}/{wrong}.JPG"] == "another file has this name"


def test_black_files_are_left_out_by_name(tmp_path: Path) -> None:
    people = tuple({name[1:4] for name in BLACK})
    copy(tmp_path, people)
    assert {what for what, reason in reasons(tmp_path, views=VIEWS).items() if reason.startswith("black")} == {
        f"{name[:4]}/{name}.JPG" for name in BLACK
    }
    assert len(seen(tmp_path, views=VIEWS, neutral=True)) == len(people) * 70 - 10


def test_no_frontal_image_is_black() -> None:
    assert len(BLACK) == 10
    assert {name[6:] for name in BLACK} == {"FL", "HL", "HR", "FR"}


def test_capitals_do_not_matter_in_names(tmp_path: Path) -> None:
    copy(tmp_path / "lower", ("F01", "F31", "M31"), lower=True)
    copy(tmp_path / "upper", ("F01", "F31", "M31"))
    for views in (("S",), VIEWS):
        assert seen(tmp_path / "lower", views=views) == seen(tmp_path / "upper", views=views)


@pytest.mark.parametrize("averages", ["AKDEF", "akdef"])
def test_averaged_faces_are_never_listed(tmp_path: Path, averages: str) -> None:
    copy(tmp_path / "KDEF")
    (tmp_path / f"KDEF/{averages}/AF01").mkdir(parents=True)  # as where the release was unpacked into itself
    for name in ("FAFS.JPG", "FAHR.JPG", "AF01/AF02ANS.JPG"):
        (tmp_path / "KDEF" / averages / name).touch()
    found = KdefDataset().listing(tmp_path)
    assert len(found.faces) == 12 and not any(averages in face.files[0] for face in found.faces)
    left_out = [drop.what for drop in found.dropped if drop.reason == "an average over all people (AKDEF)"]
    assert left_out == [f"KDEF/{averages}/{name}" for name in ("AF01/AF02ANS.JPG", "FAFS.JPG", "FAHR.JPG")]


@pytest.mark.parametrize("nesting", [".", "KDEF", "KDEF_and_AKDEF/KDEF", "kdef/KDEF_and_AKDEF/KDEF_and_AKDEF/KDEF"])
def test_the_people_are_found_at_most_four_levels_below_the_root(tmp_path: Path, nesting: str) -> None:
    copy(tmp_path / nesting)
    (tmp_path / nesting).parent.joinpath("AKDEF/AF01").mkdir(parents=True)
    faces = KdefDataset().listing(tmp_path).faces
    assert len(faces) == 12
    assert all((tmp_path / face.files[0]).is_file() for face in faces)


def test_what_is_no_copy_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root"):
        KdefDataset().listing(None)
    (tmp_path / "AKDEF/AF01").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"nothing up to 4 levels below .* such as AF01"):
        KdefDataset().listing(tmp_path)
    copy(tmp_path / "a/b/c/d/KDEF")
    with pytest.raises(UsageError, match="nothing up to 4 levels below"):
        KdefDataset().listing(tmp_path)
    (tmp_path / "KDEF/AF01").mkdir(parents=True)
    with pytest.raises(DataError, match="no face can be used: there is no image file") as caught:
        KdefDataset().listing(tmp_path)
    assert "\n" not in str(caught.value)


def test_two_copies_side_by_side_are_not_chosen_between(tmp_path: Path) -> None:
    copy(tmp_path / "KDEF")
    copy(tmp_path / "KDEF-small")
    with pytest.raises(UsageError, match="each look like a copy"):
        KdefDataset().listing(tmp_path)


def test_the_tree_that_zip_files_of_macos_add_and_links_out_of_the_root_are_no_copies(tmp_path: Path) -> None:
    root = tmp_path / "root"
    copy(root / "data/KDEF")
    copy(root / "__MACOSX/KDEF")
    (root / "data/mine").symlink_to(copy(tmp_path / "elsewhere"))
    (root / "data/now").symlink_to(root / "data/KDEF")
    assert {face.files[0].split("/")[1] for face in KdefDataset().listing(root).faces} == {"KDEF"}


@pytest.mark.parametrize(
    "odd", ["AF36ANS.JPG", "AF00ANS.JPG", "CF01ANS.JPG", "AF01XXS.JPG", "AF01AN.JPG", "AF01ANS_1.JPG", "AF1ANS.JPG"]
)
def test_odd_names_are_left_out_and_named(tmp_path: Path, odd: str) -> None:
    (copy(tmp_path) / "AF01" / odd).touch()
    assert len(seen(tmp_path)) == 12
    assert reasons(tmp_path)[f"AF01/{odd}"] == "the name is not of the form AF01ANS.JPG"


def test_clutter_and_second_files_of_one_name_are_named(tmp_path: Path) -> None:
    folder = copy(tmp_path) / "BF01"
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "AF01ANS.png"):
        (folder / name).touch()
    assert len(seen(tmp_path)) == 12
    told = reasons(tmp_path)
    assert told["BF01/AF01ANS.png"] == "another file has this name"
    assert told["BF01/notes.txt"] == "not the name of an image file"
    assert "BF01/Thumbs.db" in told and "BF01/.DS_Store" not in told


def test_a_complete_copy_has_840_frontal_faces_of_70_people(tmp_path: Path) -> None:
    listing = KdefDataset().listing(copy(tmp_path, PEOPLE, views=("S",)))
    assert len(PEOPLE) == 70 and len({face.subject for face in listing.faces}) == 70
    assert Counter(face.expression for face in listing.faces) == dict.fromkeys(EXPRESSIONS, 140)
    assert KdefDataset().findings(listing, tmp_path) == ()


@pytest.mark.parametrize(("views", "count"), [(("S",), 840), (("HL", "S", "HR"), 2520), (VIEWS, 4200)])
def test_a_complete_copy_has_the_published_count_in_each_choice_of_views(
    tmp_path: Path, views: tuple[View, ...], count: int
) -> None:
    dataset = KdefDataset(views=views)
    listing = dataset.listing(copy(tmp_path, PEOPLE, views))
    black = [name for name in BLACK if name[6:] in views and name[4:6] != "NE"]
    assert len(listing.faces) == count - len(black)
    assert not [finding for finding in dataset.findings(listing, tmp_path) if "misnamed" not in finding.text]


def test_a_complete_release_has_4900_files_and_only_the_errata_are_told(tmp_path: Path) -> None:
    copy(tmp_path, PEOPLE)
    dataset = KdefDataset(views=VIEWS, neutral=True)
    listing = dataset.listing(tmp_path)
    assert len(listing.faces) + len(listing.dropped) == 4900
    assert len(listing.faces) == 4890
    assert ["misnamed" in finding.text for finding in dataset.findings(listing, tmp_path)] == [True, True]


def test_missing_people_and_images_are_told_and_an_absent_class_is_serious(tmp_path: Path) -> None:
    copy(tmp_path, tuple(person for person in PEOPLE if person != "M07"), views=("S",))
    for file in tmp_path.glob("*/*ANS.JPG"):
        file.unlink()
    told = defaultdict(list)
    for finding in KdefDataset().findings(KdefDataset().listing(tmp_path), tmp_path):
        told[finding.serious].append(finding.text)
    assert told[True] == ["no image of anger; is the copy complete?"]
    assert told[False][0] == "69 people of 70; not there: M07"
    assert told[False][1] == "138 images of disgust; a complete copy has 140"
    assert told[False][-1] == "690 images of the six basic expressions; a complete copy has 840"


def test_a_face_loads_in_colour_and_only_from_under_the_root(tmp_path: Path) -> None:
    face = KdefDataset().listing(copy(tmp_path / "KDEF").parent).faces[0]
    Image.new("RGB", (6, 8), (200, 100, 50)).save(tmp_path / face.files[0], quality=95)
    picture = KdefDataset().load(face, tmp_path, 32)
    assert picture.pixels.shape == (8, 6, 3)
    assert abs(picture.pixels.astype(int) - [200, 100, 50]).max() <= 4
    with pytest.raises(DataError, match="must stay under the data root"):
        KdefDataset().load(replace(face, files=("../AF01ANS.JPG",)), tmp_path, 32)
