"""The whole page of a report in a real browser: a reader sorts, chooses a face, swipes, compares two methods."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from gallery_run import Drawn

from nferbench_reports import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium and no google-chrome on the PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [390, 1500])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_reader_finds_a_way_through_all_of_it(
    browser: Any, workspace: Any, tmp_path: Path, width: int, colours: str
) -> None:
    Drawn(workspace)
    write_report(workspace.root, tmp_path / "out")
    walk(browser, tmp_path / "out" / "report.html", width, colours)


def walk(browser: Any, page: Path, width: int, colours: str) -> None:
    """Use the page of a report as a reader does; of any report whose rows translate."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())

    # Sort the first table by PSNR, best first.
    table = tab.locator(".sheet").first
    titles = table.locator("thead tr").last.locator("th").all_inner_texts()
    psnr = next(i for i, title in enumerate(titles) if _heading(table, i).startswith("PSNR"))
    table.locator("thead tr").last.locator("th").nth(psnr).click()
    shown = [text for text in table.locator(f"tbody tr td:nth-child({psnr + 1})").all_inner_texts() if text != "–"]
    values = [float(text.split()[0].strip("≈").replace("−", "-")) for text in shown]
    assert len(values) > 1 and values == sorted(values, reverse=True)

    # Compare two methods.
    compared = tab.locator(".sheet", has=tab.locator("h3", has_text="Differences"))
    against = compared.locator("label", has_text="Against").locator("select")
    chosen = against.locator("option").nth(1).inner_text()
    against.select_option(index=1)
    stored = pd.read_csv(page.parent / "comparisons.csv")
    metric = compared.locator("label", has_text="Metric").locator("select option:checked").inner_text()
    expected = stored[(stored["against"] == chosen) & (stored["metric"] == metric)]
    rows = [row for row in compared.locator("tbody tr").all() if row.is_visible()]
    assert len(rows) == len(expected) > 0
    assert all(name in row.inner_text() for name, row in zip(expected["method"], rows, strict=True))

    # Choose a face, then the worst of a method, then another pair of methods to swipe between.
    tab.select_option("#gallery-face", index=1)
    before = tab.locator("#gallery-face option:checked").inner_text()
    tab.select_option("#gallery-method", index=1)
    tab.click("#gallery-worst")
    tab.wait_for_selector("#gallery[aria-busy=false]")
    worst = tab.locator("#gallery-face option:checked").inner_text()
    tab.click("#gallery-best")
    tab.wait_for_selector("#gallery[aria-busy=false]")
    assert before and worst != tab.locator("#gallery-face option:checked").inner_text()
    tab.select_option("#gallery-left", index=1)
    tab.fill("#gallery-at", "80")
    assert tab.locator("#gallery-pair canvas").count() == 2

    # It fits, is silent, and has asked nobody for anything.
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert said == [] and [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    tab.close()


def _heading(table: Any, column: int) -> str:
    """What stands above a column: the heading that spans it."""
    headings = table.locator("thead tr").first.locator("th")
    at = 0
    for i in range(headings.count()):
        at += int(headings.nth(i).get_attribute("colspan") or 1)
        if column < at:
            return str(headings.nth(i).inner_text())
    return ""
