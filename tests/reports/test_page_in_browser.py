"""The page in a real browser: sorting, choosing, copying and colours, without a request or a message of the console."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nferbench_reports.page import Headline, Page, write_page
from nferbench_reports.section import Figure, Section, Sheet, Shown, Widget
from nferbench_reports.sheet_html import IN_PLACE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium and no google-chrome on the PATH")

NASTY = "</script><img src=x onerror='window.hacked = 1'>"


def scores() -> Sheet:
    frame = pd.DataFrame(
        {
            "method": ["pix2pix", NASTY, "λ_h = 10", "=1+1"],
            "acc": [44.5, np.nan, 7.25, -100.0],
            "p": [0.0001, 0.2, np.nan, 0.001],
            "best": [True, False, False, False],
            "notes": ["a", "", "", ""],
            "reference": [False, False, True, False],
        }
    )
    columns = (
        Shown("method", "Method", marks="notes"),
        Shown("acc", "Acc (%)", 2, "higher", heading="Recognition", bold="best"),
        Shown("p", "p", 3, "lower", heading="Recognition"),
    )
    return Sheet("scores", "Scores", frame, columns, italic="reference")


def confusion() -> Sheet:
    rows = [
        ("one", "none", "anger", 50.0),
        ("one", "sr3", "anger", 70.0),
        ("two", "none", "anger", 1.0),
        ("two", "none", "fear", 2.0),
        ("two", NASTY, "fear", -3.0),
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "row", "true", "share"])
    shown = (Shown("true", "True"), Shown("share", "Share", 1, shaded=True))
    return Sheet("confusion", "Confusion", frame, shown, ("dataset", "row"))


def losses() -> Sheet:
    number = np.arange(IN_PLACE + 2)
    networks = np.where(number % 2, NASTY, "score")
    frame = pd.DataFrame({"network": networks, "update": number, "loss": (number * 37 % 1000) / 8})
    return Sheet(
        "losses", "Losses", frame, (Shown("update", "Update"), Shown("loss", "Loss", 3, "lower")), ("network",)
    )


def wide() -> Sheet:
    frame = pd.DataFrame({f"column{i}": [i * 1000.5] for i in range(40)})
    return Sheet("wide", "Wide", frame, tuple(Shown(name, name, 3) for name in frame))


def page() -> str:
    svg = '<svg viewBox="0 0 900 9" width="900pt" height="9pt"><path d="M0 0h900" stroke="currentColor"/></svg>'
    widget = Widget(
        '<p id="counted"></p>',
        'const here = document.getElementById("counted"); here.textContent = "ran"; const text = "</script>";',
    )
    sections = (
        Section("tables", "Tables", (NASTY,), (scores(), confusion(), losses())),
        Section("rest", "The rest", (), (wide(), Figure(svg, "A line", "A line.", "wide"), widget)),
    )
    return write_page(Page(NASTY, (Headline(NASTY, (("rows", "4"),)),), (NASTY,), sections))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sandbox = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []  # root has none
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    """The page, wide and light; fails where it asked for anything, or the console or a script said something."""
    context = browser.new_context(viewport={"width": 1600, "height": 900}, color_scheme="light")
    said: list[str] = []
    asked: list[str] = []
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    yield tab
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert tab.evaluate("window.hacked") is None
    context.close()


def cells(tab: Any, sheet: int, column: int) -> list[str]:
    """What a column shows, in the order on the screen; of a hidden column and hidden rows nothing."""
    found: list[str] = tab.evaluate(
        """([sheet, column]) => [...document.querySelectorAll(".sheet")[sheet].querySelectorAll("tbody tr")]
        .map((row) => row.cells[column]).filter((cell) => cell.offsetParent !== null).map((cell) => cell.innerText)""",
        [sheet, column],
    )
    return found


def test_a_click_on_a_head_sorts_and_what_is_missing_stays_last(opened: Any) -> None:
    head = opened.locator(".sheet").nth(0).locator("thead tr").nth(1).locator("th")
    before = cells(opened, 0, 1)
    assert before == ["44.50", "–", "7.25", "−100.00"]
    head.nth(1).locator("button").click()
    assert cells(opened, 0, 1) == ["44.50", "7.25", "−100.00", "–"]
    assert head.nth(1).get_attribute("aria-sort") == "descending"
    head.nth(1).locator("button").press("Enter")
    assert cells(opened, 0, 1) == ["−100.00", "7.25", "44.50", "–"]
    assert head.nth(1).get_attribute("aria-sort") == "ascending"
    head.nth(1).locator("button").press("Space")
    assert cells(opened, 0, 1) == before and head.nth(1).get_attribute("aria-sort") is None
    head.nth(2).locator("button").click()
    assert cells(opened, 0, 2) == ["< 0.001", "0.001", "0.200", "–"]
    head.nth(0).locator("button").click()
    assert cells(opened, 0, 0)[0] in (NASTY, "=1+1") and head.nth(0).get_attribute("aria-sort") == "ascending"


def test_choices_combine_and_offer_only_what_there_is(opened: Any) -> None:
    sheet = opened.locator(".sheet").nth(1)
    dataset, row = sheet.get_by_label("Data set"), sheet.get_by_label("Row")
    assert (cells(opened, 1, 2), cells(opened, 1, 3)) == (["anger"], ["50.0"])
    assert cells(opened, 1, 0) == []  # said by the choice
    row.select_option("sr3")
    assert cells(opened, 1, 3) == ["70.0"]
    dataset.select_option("two")
    assert cells(opened, 1, 3) == ["1.0", "2.0"]  # there is no sr3 here
    assert row.locator("option:checked").inner_text() == "none"
    assert row.locator("option[disabled]").all_inner_texts() == ["sr3"]
    row.select_option(NASTY)
    assert cells(opened, 1, 3) == ["−3.0"]
    colour = "getComputedStyle(document.querySelectorAll('.sheet')[1].querySelector('td.less')).backgroundColor"
    assert opened.evaluate(colour) != "rgba(0, 0, 0, 0)"


def test_a_long_sheet_shows_the_rows_of_a_choice_and_sorts_them(opened: Any) -> None:
    sheet = opened.locator(".sheet").nth(2)
    frame = losses().frame
    expected = frame[frame["network"] == "score"]
    assert cells(opened, 2, 0) == [str(value) for value in expected["update"]]
    sheet.locator("thead button").nth(1).click()
    assert cells(opened, 2, 1) == [f"{value:.3f}" for value in sorted(expected["loss"])]
    sheet.get_by_label("Network").select_option(NASTY)
    others = frame[frame["network"] == NASTY]
    assert cells(opened, 2, 1) == [f"{value:.3f}" for value in sorted(others["loss"])]
    assert opened.locator("img").count() == 0


@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_shown_is_copied_and_where_it_cannot_be_shown_to_copy(opened: Any, allowed: bool) -> None:
    answer = "(text) => { window.copied = text; return Promise.resolve(); }" if allowed else "() => Promise.reject()"
    opened.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{ value: {{ writeText: {answer} }} }})")

    def copied(sheet: int, button: str) -> str:
        opened.locator(".sheet").nth(sheet).get_by_role("button", name=button).click()
        if allowed:
            opened.get_by_text("Copied.").wait_for()
            text: str = opened.evaluate("window.copied")
            return text
        area = opened.locator("dialog textarea")
        area.wait_for()
        text = area.input_value()
        assert opened.evaluate("getSelection().toString() || document.activeElement.selectionEnd") in (text, len(text))
        opened.get_by_role("button", name="Close").click()
        return text

    lines = list(csv.reader(copied(0, "Copy as CSV").splitlines()))
    assert lines == [
        ["Method", "Recognition Acc (%) ↑", "Recognition p ↓"],
        ["pix2pix", "44.50", "< 0.001"],
        [NASTY, "", "0.200"],
        ["λ_h = 10", "7.25", ""],
        ["'=1+1", "-100.00", "0.001"],
    ]
    opened.locator(".sheet").nth(1).get_by_label("Row").select_option("sr3")
    assert copied(1, "Copy as CSV") == "True,Share\nanger,70.0\n"
    tex = copied(0, "Copy as LaTeX").splitlines()
    assert tex[1:4] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{Recognition} \\",
    ]
    assert tex[4:7] == [r"\cmidrule(lr){2-3}", r"Method & Acc (\%) $\uparrow$ & p $\downarrow$ \\", r"\midrule"]
    assert tex[7] == r"pix2pix$^{\mathrm{a}}$ & \textbf{44.50} & $<$ 0.001 \\"
    assert tex[9] == r"\textit{$\lambda$\_h = 10} & \textit{7.25} & \textit{--} \\"
    assert tex[10] == r"=1+1 & $-$100.00 & 0.001 \\"
    assert tex[11:] == [r"\bottomrule", r"\end{tabular}"]


def test_colours_follow_the_system_and_the_button(browser: Any, file: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto(file.as_uri())
    background = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(background)
    tab.get_by_role("button", name="Light").click()
    light = tab.evaluate(background)
    assert light == "rgb(255, 255, 255)" != dark
    tab.reload()
    assert tab.evaluate(background) == light  # it is remembered
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate(background) == dark
    context.close()


@pytest.mark.parametrize("width", [380, 1600])
def test_nothing_but_tables_scrolls_sideways(opened: Any, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    box = opened.locator(".sheet").nth(3).locator(".scroll")
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    first = box.locator("tbody th")
    before = first.bounding_box()["x"]
    box.evaluate("(box) => { box.scrollLeft = 500; }")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=2)  # the names of rows stay


def test_the_sections_fold_away_on_a_narrow_screen_and_lead_to_their_places(opened: Any) -> None:
    expect = sync_api.expect
    link = opened.locator("nav").get_by_role("link", name="The rest")
    assert link.is_visible()
    opened.set_viewport_size({"width": 380, "height": 800})
    expect(link).to_be_hidden()
    opened.locator("nav summary").click()
    link.click()
    expect(opened.locator("#rest h2")).to_be_in_viewport()
    expect(link).to_be_hidden()


def test_a_widget_runs_once_its_part_is_there(opened: Any) -> None:
    assert opened.locator("#counted").inner_text() == "ran"


def test_without_scripts_all_rows_and_what_they_are_of_are_there(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(file.as_uri())
    sheet = tab.locator(".sheet").nth(1)
    assert sheet.locator("tbody tr").nth(4).locator("td, th").all_inner_texts() == ["two", NASTY, "fear", "−3.0"]
    assert sheet.locator("tbody tr:visible").count() == 5 and not sheet.locator("select").first.is_visible()
    assert "losses.csv has them all" in tab.locator(".sheet").nth(2).inner_text()
    context.close()
