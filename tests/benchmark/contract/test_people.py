"""Names of people: which spellings are one person, and which may be."""

from __future__ import annotations

import unicodedata

import pytest

from nferbench.contract.dataset import Face, Listing
from nferbench.contract.people import NAMED, UNKNOWN, lookalikes, plain, spelled_alike, told

JOSE = unicodedata.normalize("NFC", "José")


@pytest.mark.parametrize(
    "other",
    [
        unicodedata.normalize("NFD", JOSE),
        f" {JOSE}",
        f"{JOSE}\u00a0",
        "Jo\u200bs\u00e9",  # zero width space
        f"\ufeff{JOSE}",
        f"{JOSE}\ufe0f",  # variation selector
        "Ｊｏｓé",
    ],
)
def test_spellings_that_look_alike_are_one_person(other: str) -> None:
    assert other != JOSE
    faces = tuple(Face(str(row), "vis", name, "fear") for row, name in enumerate((JOSE, other)))
    assert {face.subject for face in Listing(faces).faces} == {JOSE}


@pytest.mark.parametrize("names", [("P 1", "P\u00a01"), ("P 1", "P  1"), ("P 1", "P\u30001", "P\u2009 1"), ("1", "１")])
def test_blanks_and_digits_of_every_kind_are_equal(names: tuple[str, ...]) -> None:
    assert set(spelled_alike(names).values()) == {names[0]}


def test_whoever_is_spelled_in_one_way_keeps_it() -> None:
    """What is stored of such data is found by it."""
    kept = ["007", "7.0", "s001", "Anna", "anna", "P  1", unicodedata.normalize("NFD", JOSE), "１"]
    assert spelled_alike(kept) == {name: name for name in kept}


def test_a_question_mark_of_any_width_is_nobody() -> None:
    assert spelled_alike(["？"]) == {"？": UNKNOWN}
    assert spelled_alike(["\u200b"]) == {"\u200b": "\u200b"} and plain("\u200b") == ""


@pytest.mark.parametrize(
    "names",
    [
        ("007", "7"),
        ("Anna", "anna"),
        ("1", "1.0"),
        ("s01", "S1"),
        ("P 1", "P1"),
        ("1", "1,0"),
        ("1", "١"),
        ("STRASSE", "straße"),
    ],
)
def test_names_that_may_be_one_person_are_told(names: tuple[str, ...]) -> None:
    assert lookalikes([*names, "other"]) == [tuple(sorted(names))]
    assert all(repr(name) in told([names]) for name in names)


@pytest.mark.parametrize(
    "names", [("1", "10"), ("0", "00x"), ("1.05", "1.5"), ("a1", "b1"), ("1", "11"), (UNKNOWN, "？？")]
)
def test_names_that_differ_are_not(names: tuple[str, ...]) -> None:
    assert lookalikes(names) == []


def test_a_note_stays_one_short_line_however_many_there_are() -> None:
    groups = lookalikes([text for number in range(1, 1000) for text in (str(number), f"{number:05d}")])
    assert len(groups) == 999
    assert f" and {999 - NAMED} more such; " in told(groups) and len(told(groups)) < 300
    assert "\n" not in told([("a\nb", "A\nB")])
