"""Cards by name or by their figures."""

from __future__ import annotations

import pytest

from nferbench.contract.errors import UsageError
from nferbench.machine.share import budget
from nferbench.planning.cards import KNOWN, Card, card


@pytest.mark.parametrize("name", [each.name for each in KNOWN])
def test_known_cards_are_found_in_any_case(name: str) -> None:
    assert card(name) == card(name.upper()) == next(each for each in KNOWN if each.name == name)


def test_a_card_of_24_gb_has_room_for_22() -> None:
    assert card("rtx-4090").room == card("24:165").room == 22_000_000_000
    assert card("8:20").room == 6_500_000_000


def test_figures_make_a_card() -> None:
    mine = card("12.5:40")
    assert (mine.memory, mine.bf16, mine.tf32, mine.devices) == (12.5e9, 40e12, 20e12, ())


@pytest.mark.parametrize("text", [" 24 : 165\n", "+24:165.0", "2_4:1_65", "\uff12\uff14:165"])
def test_a_card_is_called_by_what_was_understood(text: str) -> None:
    assert card(text) == card("24:165") and card(text).name == "24:165"
    assert card(" RTX-4090 ") == card("rtx-4090")


@pytest.mark.parametrize("each", [*KNOWN, card("2:10"), card("8:20"), card("1000000:1000000")], ids=str)
def test_a_run_on_such_a_card_plans_with_no_less(each: Card) -> None:
    """So that it takes no smaller pieces than were told."""
    assert 0 < each.room <= budget(int(each.memory), int(each.memory), 1)


NO_NUMBERS = ("gtx-1080", "", "24", "24:", ":165", "a:b", "x\ny", "24,5:165", "24GB:165", "24:165:3", "nan:165")
NO_CARDS = (
    "24:inf",
    "1:165",
    "1.5:1",
    "24:-1",
    "-24:1",
    "24:0",
    "1e7:165",
    "1e308:1",
    "24:1e308",
    "24:1e300",
    "24:1e-320",
)


@pytest.mark.parametrize("text", [*NO_NUMBERS, *NO_CARDS])
def test_anything_else_is_one_line_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        card(text)
    assert "\n" not in str(caught.value)
    for each in (*(known.name for known in KNOWN), "GB:TFLOPS"):
        assert each in str(caught.value)
