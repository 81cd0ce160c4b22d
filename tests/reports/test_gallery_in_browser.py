"""The gallery as a browser shows it: what is chosen, drawn and computed there."""

from __future__ import annotations

import base64
import importlib.util
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_run import Drawn, runs_of
from PIL import Image

from nferbench_reports.gallery_section import section
from nferbench_reports.runs import Asked
from nferbench_reports.section import Widget

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path"),
]
NASTY = "</script><img src=x onerror=fail()>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def drawn(workspace: Any) -> Drawn:
    return Drawn(workspace, title=NASTY, subject=NASTY)


@pytest.fixture
def page(browser: Any, drawn: Drawn, tmp_path: Path) -> Iterator[Any]:
    """The gallery alone on a page; whatever the browser complains of fails the test."""
    made = section(runs_of(drawn.workspace.root), Asked())
    assert made is not None
    widget = next(part for part in made.parts if isinstance(part, Widget))
    (tmp_path / "page.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{widget.style}</style>{widget.html}'
        f"<script>{widget.script}</script></html>",
        encoding="utf-8",
    )
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto((tmp_path / "page.html").as_uri())
    yield opened
    opened.close()
    assert not complaints


def face(page: Any) -> str:
    """The id of the face that is drawn, which every listed face tells by its subject and expression."""
    text = page.locator("#gallery-face option:checked").inner_text()
    subject, expression, _ = text.rsplit(", ", 2)
    return f"vis-{subject[0]}-{expression}"


def seen(page: Any, at: int, where: str = "#gallery-wall") -> np.ndarray:
    """The pixels of a canvas, (S, S, 3), once the face that was chosen is drawn."""
    page.wait_for_selector("#gallery[aria-busy=false]")
    part = f"{where} > *" if where == "#gallery-pair" else f"{where} > figure"
    uri = page.evaluate(
        "([part, at]) => { const found = document.querySelectorAll(part)[at];"
        "return (found.matches('canvas') ? found : found.querySelector('canvas')).toDataURL() }",
        [part, at],
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)


def test_a_face_that_is_chosen_is_shown_by_every_method_beside_its_real_nir(page: Any, drawn: Drawn) -> None:
    assert (seen(page, 0) == drawn.prepared["vis-a-anger"]).all()
    page.select_option("#gallery-subject", index=2)
    page.select_option("#gallery-expression", "=happiness")
    assert face(page) == "vis-b-happiness"
    assert (seen(page, 0) == drawn.prepared["vis-b-happiness"]).all()
    assert (seen(page, 2) == drawn.translated["pix2pix", "vis-b-happiness"]).all()
    assert (seen(page, 3) == drawn.translated["sr3", "vis-b-happiness"]).all()
    assert (seen(page, 4) == drawn.prepared["nir-b-happiness"]).all()
    lpips, psnr, ssim = drawn.scores["sr3", "vis-b-happiness"]
    numbers = page.locator("#gallery-wall figcaption").nth(3).inner_text().split("\n")
    assert numbers == ["sr3", f"LPIPS {lpips:.4f}", f"PSNR {psnr:.2f}", f"SSIM {ssim:.4f}"]


def test_a_choice_that_leaves_no_face_widens_the_others(page: Any, drawn: Drawn) -> None:
    page.select_option("#gallery-subject", index=1)
    page.select_option("#gallery-fold", "=1")
    assert page.input_value("#gallery-subject") == "" and face(page) == "vis-c-anger"
    page.click("#gallery-after")
    assert face(page) == "vis-c-fear" and (seen(page, 0) == drawn.prepared["vis-c-fear"]).all()


def test_the_error_map_is_the_absolute_difference_times_its_gain(page: Any, drawn: Drawn) -> None:
    page.select_option("#gallery-view", "error")
    off = np.abs(drawn.translated["pix2pix", "vis-a-anger"].astype(int) - drawn.prepared["nir-a-anger"])
    for gain in (1, 4):
        page.select_option("#gallery-gain", str(gain))
        shown = seen(page, 2)
        assert shown.any() and (shown == np.minimum(255, gain * off)).all()
    assert page.locator("#gallery-legend").inner_text().split() == ["0", "64", "and", "more", "levels", "of", "255"]
    assert (seen(page, 4) == drawn.prepared["nir-a-anger"]).all()


def test_high_frequencies_are_those_of_the_energy_of_nfer_sde(page: Any, drawn: Drawn) -> None:
    import torch

    from nferbench_methods.diffusion.filters import high_pass

    page.select_option("#gallery-view", "high")
    page.select_option("#gallery-gain", "2")
    picture = torch.tensor(drawn.translated["pix2pix", "vis-a-anger"].astype(float)).permute(2, 0, 1)[None]
    high = high_pass(picture, 2, "linear")[0].permute(1, 2, 0).numpy()  # 16 px, 8 cells
    assert np.abs(seen(page, 2) - np.clip(128 + 2 * high, 0, 255)).max() <= 0.5 + 1e-6


def test_worst_median_and_best_jump_to_the_right_face(page: Any, drawn: Drawn) -> None:
    page.select_option("#gallery-metric", label="PSNR ↑")
    page.select_option("#gallery-method", label=NASTY)
    scores = {face: values[1] for (row, face), values in drawn.scores.items() if row == "pix2pix"}
    worst_first = sorted(scores, key=lambda one: scores[one])
    for button, place in (("worst", 0), ("best", 11), ("median", 5)):
        page.click(f"#gallery-{button}")
        assert face(page) == worst_first[place]
        assert (seen(page, 0) == drawn.prepared[worst_first[place]]).all()
        said = page.locator("#gallery-said").inner_text()
        assert said.startswith(f"{button.capitalize()} of 12 test faces by PSNR") and said.endswith(
            f": {scores[worst_first[place]]:.2f}"
        )


def test_faces_without_a_score_are_counted_where_the_worst_is_named(page: Any, drawn: Drawn) -> None:
    page.select_option("#gallery-method", label="sr3")
    page.click("#gallery-worst")
    scores = {face: values[0] for (row, face), values in drawn.scores.items() if row == "sr3"}
    worst = max(scores, key=lambda one: scores[one])
    said = f"Worst of 6 test faces (6 have no score) by LPIPS, sr3: {scores[worst]:.4f}"
    assert face(page) == worst and page.locator("#gallery-said").inner_text() == said


def test_the_swipe_shows_two_methods_and_moves_by_mouse_and_keys(page: Any, drawn: Drawn) -> None:
    page.select_option("#gallery-left", label=NASTY)
    page.select_option("#gallery-right", label="sr3")
    assert (seen(page, 0, "#gallery-pair") == drawn.translated["pix2pix", "vis-a-anger"]).all()
    assert (seen(page, 1, "#gallery-pair") == drawn.translated["sr3", "vis-a-anger"]).all()

    def hidden() -> str:
        clip: str = page.evaluate("getComputedStyle(document.querySelector('#gallery-pair > :last-child')).clipPath")
        return clip

    assert hidden() == "inset(0px 0px 0px 50%)"
    page.focus("#gallery-at")
    page.keyboard.press("ArrowRight")
    assert hidden() == "inset(0px 0px 0px 51%)"
    page.keyboard.press("Home")
    assert hidden() == "inset(0px 0px 0px 0%)"
    width = page.locator("#gallery-at").bounding_box()["width"]
    page.locator("#gallery-at").click(position={"x": width / 2, "y": 5})
    assert hidden() == "inset(0px 0px 0px 50%)"


def test_a_translation_that_is_missing_is_a_place_with_its_reason(page: Any) -> None:
    page.select_option("#gallery-fold", "=1")
    place = page.locator("#gallery-wall figure").nth(3).locator(".gallery-none")
    assert place.inner_text() == "diverged: loss <b>NaN</b>"
    assert page.locator("#gallery-wall figcaption").nth(3).inner_text() == "sr3\nno scores"


def test_names_from_outside_are_text(page: Any) -> None:
    assert page.locator("#gallery-wall .gallery-title").nth(2).inner_text() == NASTY
    assert page.locator("#gallery-subject option").nth(1).inner_text() == f"a{NASTY}"
    assert page.locator("#gallery img").count() == 0
