"""Images and faces are matched by one rule, or not at all."""

from __future__ import annotations

import unicodedata

import pytest

from nferbench.contract.dataset import Face
from nferbench.contract.errors import DataError
from nferbench.planning.matching import match


def face(id: str, file: str = "") -> Face:
    return Face(id, "vis", "p", "anger", files=(file,) if file else ())


DRAWN = [face("p1-a-vis"), face("p1-b-vis"), face("p2-a-vis")]
TREE = [face(f"vis/{who}/happy/{number}.jpg", f"vis/{who}/happy/{number}.jpg") for who in "pq" for number in (1, 2)]
LISTED = [face("one", "VL/Strong/P1/000.jpeg"), face("two", "VL/Strong/P2/001.jpeg")]


@pytest.mark.parametrize(
    ("faces", "named"),
    [
        (DRAWN, "{id}.png"),
        (DRAWN, "some/where/{id}.PNG"),
        (TREE, "vis/{who}/happy/{number}.png"),
        (TREE, "vis/{who}/happy/{number}.jpg.png"),
        (TREE, "{who}/happy/{number}.tiff"),  # the tree without the folder that all share
        (TREE, "vis_{who}_happy_{number}.npy"),
        (TREE, "fold-0/vis-{who}-happy-{number}.jpg.png"),
        (LISTED, "{id}.png"),
        (LISTED, "VL/Strong/{place}.png"),
        (LISTED, "{place}.png"),
        (LISTED, "out/{stem}.jpg"),
    ],
)
def test_each_way_of_naming_is_understood(faces: list[Face], named: str) -> None:
    names = {}
    for each in faces:
        parts = (each.files[0] if each.files else each.id).rpartition(".")[0].split("/")
        *_, who, _, number = ["", "", *parts] if len(parts) < 3 else parts
        names[each.id] = named.format(id=each.id, who=who, number=number, place="/".join(parts[-2:]), stem=parts[-1])
    files = [*names.values(), "another.png"]
    assert match(files, faces, faces) == names


def test_composed_and_decomposed_names_are_one() -> None:
    id, file = (unicodedata.normalize(form, "Renée/é") for form in ("NFC", "NFD"))
    assert match([f"{file}.png"], [face(id)], [face(id)]) == {id: f"{file}.png"}
    with pytest.raises(DataError, match="1 of 1 faces have several"):
        match([f"{file}.png", f"{id}.png"], [face(id)], [face(id)])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["p1-a-vis.png"], "2 of 3 faces have no image: p1-b-vis, p2-a-vis; name each image after the id of its face"),
        ([], "3 of 3 faces have no image: p1-a-vis"),
        (["P1-A-VIS.png", "p1-b-vis.png", "p2-a-vis.png"], r"no image: p1-a-vis \(some names differ in case alone\)"),
        (
            ["p1-a-vis.png", "p1-a-vis.jpg", "p1-b-vis.png", "p2-a-vis.png"],
            r"1 of 3 faces have several: p1-a-vis \(p1-a-vis.png, p1-a-vis.jpg\)",
        ),
        (["x/p1-a-vis.png", "y/p1-a-vis.png", "p1-b-vis.png", "p2-a-vis.png"], "1 of 3 faces have several"),
    ],
)
def test_what_is_missing_or_ambiguous_is_listed(files: list[str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        match(files, DRAWN, DRAWN)


def test_a_name_that_several_faces_share_is_no_name() -> None:
    with pytest.raises(DataError, match=r"2 of 2 images stand for several faces: 1.png \(vis/p/.*, vis/q/"):
        match(["1.png", "2.png"], TREE, TREE)
    # Nor where only one of these faces is wanted now: the image may be that of the other.
    with pytest.raises(DataError, match="stand for several faces"):
        match(["1.png", "2.png"], TREE[:2], TREE)
    with pytest.raises(DataError, match="1 of 1 images stand for several faces"):
        match(["a-b.png"], [face("a b"), face("a+b")], [face("a b"), face("a+b")])


def test_two_rules_that_mean_different_images_are_refused() -> None:
    crossed = [face("1", "2.jpg"), face("2", "1.jpg")]
    with pytest.raises(DataError, match=r"2 of 2 faces have two images: of 1 1.png by id, 2.png by path"):
        match(["1.png", "2.png"], crossed, crossed)


def test_names_that_do_not_print_are_escaped_and_long_lists_cut() -> None:
    faces = [face(f"a\n{number}") for number in range(9)]
    with pytest.raises(DataError) as error:
        match([], faces, faces)
    assert "9 of 9 faces have no image: a\\n0, a\\n1, a\\n2, a\\n3, a\\n4 and 4 more" in str(error.value)
