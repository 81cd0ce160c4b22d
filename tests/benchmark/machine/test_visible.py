"""CUDA_VISIBLE_DEVICES is read as CUDA reads it."""

from __future__ import annotations

import pytest

from nferbench.machine.gpus import Card
from nferbench.machine.visible import visible

FIRST, SECOND = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-8932aaaa-d72c-4106-c12f-20bd9faed9f6"
TWO = (Card(FIRST), Card(SECOND))
THREE = (*TWO, Card("GPU-5d2c"))
DIVIDED = (Card(FIRST, ("MIG-c7384736", "MIG-a28ad590")), Card(SECOND))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ("0", "1", "2")),
        ("", ()),
        (" ", ()),
        ("0,1", ("0", "1")),
        ("2,0", ("2", "0")),
        ("1", ("1",)),
        (",1", ()),
        ("0,,1", ("0",)),
        ("-1", ()),
        ("-1,0", ()),
        ("0,-1,1", ("0",)),
        ("0,7,1", ("0",)),
        ("7", ()),
        ("1,1", ()),
        ("0,1,0", ()),
        ("0,-1,0", ("0",)),
        ("01,1", ()),
        (" 2 , 0", ("2", "0")),
        ("2 ,", ("2",)),
        ("1gpu,0", ("1", "0")),
        ("0x1,2", ("0", "2")),
        ("00", ("0",)),
        ("0,00", ()),
        ("0" * 30 + "1", ("1",)),
        ("9" * 30, ()),
        ("0," + "9" * 5000, ("0",)),  # more digits than Python takes for a number
        ("+1", ("1",)),
        ("none", ()),
        ("NoDevFiles", ()),
        ("all", ()),
        ("²", ()),
        (FIRST, (FIRST,)),
        (f"{SECOND},{FIRST}", (SECOND, FIRST)),
        ("GPU-8932f937", (FIRST,)),
        ("GPU-5", ("GPU-5d2c",)),
        ("GPU-8932", ()),  # of two cards
        ("GPU-8932f,GPU-8932", (FIRST,)),
        ("GPU-", ()),
        ("GPU-77,GPU-5d2c", ()),
        ("GPU-5d2c,GPU-77,GPU-8932f", ("GPU-5d2c",)),
        ("GPU-5d2c,GPU-5", ()),  # twice the same
        ("GPU-5d2c,1", ("GPU-5d2c",)),  # the first entry says how all are named
        ("0,GPU-5d2c", ("0",)),
        ("GPU-5d2c, GPU-8932f", ("GPU-5d2c",)),
        (f"MIG-{FIRST}/1/0", (f"MIG-{FIRST}/1/0",)),
        (f"MIG-{FIRST}/1/0,MIG-{FIRST}/1/0", ()),
        ("MIG-GPU-77/1/0", ()),
        ("MIG-GPU-\x1b[31m", ()),
    ],
)
def test_the_forms_of_the_variable(value: str | None, names: tuple[str, ...]) -> None:
    assert visible(value, THREE) == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ("MIG-c7384736", "MIG-a28ad590", SECOND)),
        ("MIG-c7384736", ("MIG-c7384736",)),
        ("MIG-a28,MIG-c7", ("MIG-a28ad590", "MIG-c7384736")),
        ("MIG-77", ()),
        (f"MIG-{FIRST}/1/2", (f"MIG-{FIRST}/1/2",)),
        ("0,1", ("0", "1")),
        ("GPU-8932a", (SECOND,)),
    ],
)
def test_parts_of_a_card(value: str | None, names: tuple[str, ...]) -> None:
    assert visible(value, DIVIDED) == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ()),
        ("3,1", ("3", "1")),
        ("1,1", ()),
        ("GPU-77,GPU-8", ("GPU-77", "GPU-8")),
        ("GPU-77,GPU-77", ()),
        ("MIG-77", ("MIG-77",)),
        ("GPU-\n77", ()),
    ],
)
def test_entries_are_believed_where_cards_cannot_be_told(value: str | None, names: tuple[str, ...]) -> None:
    assert visible(value, None) == names


def test_cards_without_names_are_counted() -> None:
    assert visible("0,1,2", (Card(), Card())) == ("0", "1")
    assert visible("GPU-77", (Card(), Card())) == ("GPU-77",)
    assert visible("MIG-77", TWO) == ("MIG-77",)  # parts are not told by every source
    assert visible("0", ()) == visible(None, ()) == visible("GPU-77", ()) == ()
