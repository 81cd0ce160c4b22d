"""A drawing of the page is one element, in the colours around it, whatever is configured on the machine."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure

from nferbench_reports.svg import INK, drawing, element


def drawn(name: str = "one") -> str:
    with drawing(name):
        figure = Figure((2, 2))
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.plot([0, 1], [1, 2], "o-")
        axes.set_title("5 $ & <b>$")
        return element(figure)


def test_a_drawing_is_one_element_that_the_page_can_hold() -> None:
    text = drawn()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and text.startswith("<svg")
    assert "5 $ & <b>$" in {each.text for each in root.iter() if each.tag.endswith("text")}
    assert "currentColor" in text and INK not in text and "metadata" not in text
    assert not [each.get("id") for each in root.iter() if (each.get("id") or "").endswith("_1")]


def test_what_is_configured_and_when_it_is_drawn_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawn()
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    assert drawn() == first and matplotlib.rcParams["lines.linewidth"] == 9.0


def test_drawings_of_other_names_share_no_id() -> None:
    def ids(text: str) -> set[str]:
        return {each.get("id") or "" for each in ElementTree.fromstring(text).iter()} - {""}

    assert ids(drawn("one")) and not ids(drawn("one")) & ids(drawn("two"))


def test_letters_that_this_machine_cannot_draw_are_left_to_who_shows_them(recwarn: pytest.WarningsRecorder) -> None:
    with drawing("letters"):
        figure = Figure((1, 1))
        figure.text(0.5, 0.5, "\u4e2d\u6587")
        assert "\u4e2d\u6587" in element(figure)
    assert not recwarn.list
