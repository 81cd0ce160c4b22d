"""Names of files for faces: readable, safe, and different on every file system."""

from __future__ import annotations

import unicodedata

import pytest

from nferbench.engine.file_names import file_names


def test_what_is_plain_stays_and_the_ending_of_an_image_goes() -> None:
    assert file_names(["vis/P1/anger/000.jpg", "s001-anger-0-vis", "P1/v2.5"]) == {
        "vis/P1/anger/000.jpg": "vis/P1/anger/000.png",
        "s001-anger-0-vis": "s001-anger-0-vis.png",
        "P1/v2.5": "P1/v2.5.png",
    }


@pytest.mark.parametrize(
    "ids",
    [
        ["a/b.jpg", "a/b.png"],
        ["P1/a.png", "p1/A.png"],
        ["a b", "a?b", "a-b"],
        ["é", "e\u0301", "É"],
        ["１", "1"],
        [f"{'x' * 300}{i}" for i in range(3)],
        [f"{'面' * 100}{i}" for i in range(3)],
        ["", ".", "..", "../..", "/"],
        ["a.png/b", "a"],
        ["con", "CON.x", "lpt1.jpg", "aux/nul"],
        ["a\\b", "a/b"],
        ["\udce9", "\udcea"],
        ["a\nb", "a\tb", "a:b"],
    ],
)
def test_no_two_are_alike_and_every_file_system_takes_them(ids: list[str]) -> None:
    names = file_names(ids)
    assert list(names) == ids
    folded = [unicodedata.normalize("NFKD", name).casefold() for name in names.values()]
    assert len(set(folded)) == len(ids)
    for name in names.values():
        *folders, last = name.split("/")
        assert last.endswith(".png") and not any(folder.lower().endswith(".png") for folder in folders)
        for part in [*folders, last]:
            assert 0 < len(part.encode()) <= 255 and part[0] not in ".-" and part.isprintable()
            assert not set(part) & set('<>:"\\|?* ') and part[-1] != "."
            assert part.partition(".")[0].lower() not in ("con", "aux", "nul", "lpt1")


def test_a_name_depends_on_no_order() -> None:
    ids = ["P1/a.png", "p1/A.png", "b"]
    assert file_names(ids[::-1]) == file_names(ids)
