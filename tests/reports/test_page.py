"""The page as markup: what stands in it, and what can never stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nferbench_reports import write_report
from nferbench_reports.page import Headline, Page, write_page
from nferbench_reports.section import Figure, Picture, Section, Sheet, Shown, Widget
from nferbench_reports.sheet_html import IN_ALL, IN_PLACE, OF_A_CHOICE, lay_out
from nferbench_reports.sheet_rows import printed

NASTY = "</script></style><img src=x onerror=alert(1)>\"'&\u2028"
VOID = {"meta", "link", "img", "br"}
SVG = (
    '<svg viewBox="0 0 9 9"><defs><clipPath id="clip"><path d="M0 0h9v9z"/></clipPath></defs>'
    '<g clip-path="url(#clip)"><use href="#clip"/><text>id="clip"</text></g></svg>'
)


@dataclass
class Row:
    attributes: dict[str, str | None]
    cells: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def texts(self) -> list[str]:
        return [text for text, _ in self.cells]


class Reader(HTMLParser):
    """Holds a page to the rules of HTML that it can hold it to, and keeps tables, attributes and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[Row]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(Row(dict(attrs)))
        if tag in ("td", "th"):
            self.tables[-1][-1].cells.append(("", dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            attributes, code = self.scripts[-1]
            self.scripts[-1] = (attributes, code + data)
        elif "style" not in self.open:
            self.text += data
            if ("td" in self.open or "th" in self.open) and "sup" not in self.open:
                text, attributes = self.tables[-1][-1].cells[-1]
                self.tables[-1][-1].cells[-1] = (text + data, attributes)

    def ids(self) -> list[str | None]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


def page_of(*parts: Sheet | Figure | Picture | Widget, **more: Any) -> str:
    return write_page(Page("Results", (), (), (Section("made-up", "Made up", ("Words.",), parts),), **more))


def confusion() -> Sheet:
    frame = pd.DataFrame(
        {
            "dataset": ["one"] * 4 + ["two"] * 2,
            "row": ["a", "a", "b", "b", "a", "a"],
            "true": ["anger", "fear"] * 3,
            "anger": [50.0, -25.0, 10.0, 5.0, np.nan, 1.0],
            "fear": [12.5, 100.0, 0.0, -10.0, 2.0, 0.5],
        }
    )
    columns = (Shown("true", "True"), *(Shown(name, name, 1, shaded=True) for name in ("anger", "fear")))
    return Sheet("confusion", "Confusion", frame, columns, ("dataset", "row"))


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [
        (1.005, 2, False, "1.00"),
        (-3.14159, 2, False, "−3.14"),
        (-0.001, 2, True, "+0.00"),
        (0.0, 3, False, "0.000"),
        (0.0002, 3, False, "< 0.001"),
        (0.0009, 3, False, "< 0.001"),
        (0.001, 3, False, "0.001"),
        (-0.0002, 3, False, "0.000"),
        (float("nan"), 2, True, "–"),
        (None, None, False, "–"),
        (float("inf"), 2, False, "∞"),
        (-float("inf"), 2, True, "−∞"),
        (7, 2, False, "7.00"),
        (7, None, False, "7"),
        (7.0, None, True, "+7"),
        (np.int64(311_027_910), None, False, "311\u202f027\u202f910"),
        (0.123456789, None, False, "0.123457"),
        (True, None, False, "yes"),
        (np.bool_(False), None, False, "no"),
        ("a\n b\x1b", None, False, "a b\\x1b"),
    ],
)
def test_values_are_printed_as_people_read_them(value: object, decimals: int | None, signed: bool, text: str) -> None:
    assert printed(value, decimals, signed) == text


def test_every_row_is_in_the_page_with_what_a_reader_chooses_by() -> None:
    (table,) = Reader(page_of(confusion())).tables
    assert table[0].texts() == ["Data set", "Row", "True", "anger", "fear"]
    assert [row.texts() for row in table[1:]] == [
        ["one", "a", "anger", "50.0", "12.5"],
        ["one", "a", "fear", "−25.0", "100.0"],
        ["one", "b", "anger", "10.0", "0.0"],
        ["one", "b", "fear", "5.0", "−10.0"],
        ["two", "a", "anger", "–", "2.0"],
        ["two", "a", "fear", "1.0", "0.5"],
    ]
    assert [row.attributes["data-p"] for row in table[1:]] == ["0 0", "0 0", "0 1", "0 1", "1 0", "1 0"]
    assert [row.cells[2][1].get("scope") for row in table[1:]] == ["row"] * 6


def test_shades_are_parts_of_the_largest_that_is_shown_at_the_time() -> None:
    (table,) = Reader(page_of(confusion())).tables
    found = [
        [((attributes.get("class") or ""), attributes.get("style")) for _, attributes in row.cells[3:]]
        for row in table[1:]
    ]
    assert found == [
        [("more", "--level:0.50"), ("more", "--level:0.12")],
        [("less", "--level:0.25"), ("more", "--level:1.00")],
        [("more", "--level:1.00"), ("", None)],
        [("more", "--level:0.50"), ("less", "--level:1.00")],
        [("", None), ("more", "--level:1.00")],
        [("more", "--level:0.50"), ("more", "--level:0.25")],
    ]


def test_one_value_to_choose_is_said_and_a_missing_one_is_a_value() -> None:
    sheet = confusion()
    one = Sheet("s", "S", sheet.frame[:4], sheet.columns, ("dataset", "row"))
    laid = lay_out(one)
    assert laid.fixed == (("Data set", "one"),) and [choice.values for choice in laid.choices] == [("a", "b")]
    missing = Sheet("s", "S", sheet.frame.assign(row=["a", "a", None, None, "a", "a"]), sheet.columns, ("row",))
    assert [choice.values for choice in lay_out(missing).choices] == [("a", "–")]


def test_bold_italics_marks_and_decimals_follow_columns_of_the_frame() -> None:
    frame = pd.DataFrame(
        {
            "name": ["x", "y"],
            "value": [1.5, 2.25],
            "places": [1, 3],
            "best": [False, True],
            "reference": [True, False],
            "notes": ["", "a <b>"],
        }
    )
    columns = (Shown("name", "Name"), Shown("value", "V", "places", "higher", bold="best", marks="notes"))
    page = page_of(Sheet("s", "S", frame, columns, italic="reference"))
    assert '<tr class="aside"><th scope="row" class="text">x</th><td>1.5</td></tr>' in page
    assert "<td><b>2.250</b><sup>a &lt;b&gt;</sup></td>" in page
    assert "V ↑" in page


def test_a_sheet_without_rows_or_without_anything_to_choose_is_still_a_sheet() -> None:
    sheet = confusion()
    for pick in ((), ("dataset", "row")):
        page = Reader(page_of(Sheet("s", "S", sheet.frame[:0], sheet.columns, pick)))
        assert "No rows." in page.text and len(page.tables[0]) == 1


def long(rows: int, choices: int) -> Sheet:
    number = np.arange(rows)
    frame = pd.DataFrame({"network": [f"{i % choices} {NASTY}" for i in number], "update": number, "loss": number / 7})
    shown = (Shown("network", "Network"), Shown("update", "Update"), Shown("loss", "Loss", 3))
    return Sheet("losses", "Losses", frame, shown, ("network",))


def test_many_rows_are_kept_by_choice_and_are_text_too() -> None:
    page = Reader(page_of(long(IN_PLACE + 1, 3)))
    assert len(page.tables[0]) == 1  # the head alone
    blocks = [(attributes["data-p"], code) for attributes, code in page.scripts if attributes.get("type")]
    assert [code for code, _ in blocks] == ["0", "1", "2"]
    rows = [len(re.findall("<tr", code)) for _, code in blocks]
    assert sum(rows) == IN_PLACE + 1 and max(rows) - min(rows) <= 1
    assert not any("<img" in code or "</script" in code or "\u2028" in code for _, code in blocks)
    assert f">{1999 / 7:.3f}<" in blocks[1999 % 3][1]
    assert "losses.csv has them all" in page.text


def test_rows_that_nobody_can_choose_among_stand_in_the_page_up_to_a_number() -> None:
    sheet = long(OF_A_CHOICE, 1)
    for pick in ((), ("network",)):
        laid = lay_out(Sheet("s", "S", sheet.frame, sheet.columns, pick))
        assert laid.rows.count("<tr>") == OF_A_CHOICE and laid.blocks == ()


@pytest.mark.parametrize(("rows", "choices"), [(OF_A_CHOICE + 1, 1), (2 * OF_A_CHOICE + 2, 2), (IN_ALL + 1, 100)])
def test_too_many_rows_are_said_to_be_in_the_file(rows: int, choices: int) -> None:
    page = Reader(page_of(long(rows, choices)))
    assert page.tables == [] and f"Too long for a page, {rows} rows: losses.csv" in page.text


def test_a_sheet_without_columns_is_named_with_its_file() -> None:
    page = Reader(page_of(Sheet("images", "All images", confusion().frame, (), ("dataset",), ("A note.",))))
    assert page.tables == [] and "Too long for a page, 6 rows: images.csv" in page.text and "A note." in page.text


def test_what_others_wrote_is_text_everywhere() -> None:
    frame = pd.DataFrame({"name": [NASTY, "=1+1"], NASTY: [1.0, 2.0], "notes": [NASTY, ""], "pick": [NASTY, "b"]})
    columns = (Shown("name", NASTY, marks="notes"), Shown(NASTY, NASTY, 1, heading=NASTY))
    parts = (
        Sheet("s", NASTY, frame, columns, ("pick",), (NASTY,)),
        Figure(SVG, NASTY, NASTY, "s"),
        Picture(b"\x89PNG", NASTY, NASTY, (NASTY,)),
    )
    page = Page(NASTY, (Headline(NASTY, ((NASTY, NASTY),)),), (NASTY,), (Section("a", NASTY, (NASTY,), parts),))
    read = Reader(write_page(page))
    assert [tag for tag, _ in read.tags].count("img") == 1 and len(read.scripts) == 1
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert read.text.count("<img src=x onerror=alert(1)>") >= 16


def test_a_script_or_a_style_of_a_widget_cannot_be_ended_by_what_it_says() -> None:
    script = 'const text = "</script><img src=x onerror=alert(1)><!--<script>";'
    read = Reader(page_of(Widget('<p id="mine">here</p>', script, ".mine::after { content: '</style>' }")))
    assert [tag for tag, _ in read.tags].count("img") == 0
    assert [code for _, code in read.scripts][1].count("<\\/script>") == 1
    assert "<!--" not in read.scripts[1][1]
    assert "mine" in read.ids()


def test_drawings_share_no_ids() -> None:
    figure = Figure(SVG, "alt", "caption", "sheet")
    page = page_of(figure, figure)
    ids = Reader(page).ids()
    assert len(ids) == len(set(ids)) and {"d1-1-clip", "d1-2-clip"} <= set(ids)
    assert page.count("url(#d1-2-clip)") == page.count('href="#d1-2-clip"') == 1
    assert page.count('<text>id="clip"</text>') == 2
    assert page.count('href="sheet.csv"') == 2


def test_the_page_asks_nobody_for_anything() -> None:
    page = page_of(confusion(), Picture(b"\x89PNG", "alt", "caption"), Figure(SVG, "alt", "caption", "sheet"))
    read = Reader(page)
    policies = [attributes["content"] for _, attributes in read.tags if "http-equiv" in attributes]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
    ]
    places = [attributes[name] or "" for _, attributes in read.tags for name in ("src", "href") if name in attributes]
    assert all(re.fullmatch(r"#[\w-]+|data:.*|[\w.-]+\.csv", place) for place in places), places
    assert "://" not in page and "@import" not in page


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((0, 0), "This page contains no pictures of faces."),
        ((1, 0), "This page contains 1 picture of a face."),
        ((7, 5), "This page contains 12 pictures of faces."),
    ],
)
def test_the_page_says_how_many_faces_it_contains(counts: tuple[int, int], said: str) -> None:
    parts = (Picture(b"", "alt", "caption", faces=counts[0]), Widget("", "", faces=counts[1]))
    assert said in page_of(*parts) and "--no-faces" not in page_of(*parts)
    assert "Pictures of faces were left out (--no-faces)." in page_of(left_out=True)


def test_each_section_has_a_link_and_each_link_a_section() -> None:
    read = Reader(page_of())
    links = [attributes["href"] for tag, attributes in read.tags if tag == "a"]
    assert links == ["#content", "#run", "#made-up"] and {"content", "run", "made-up"} <= set(read.ids())


def test_what_sections_bring_stands_in_the_page_and_in_files_beside_it(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Section("made-up", "Made up", ("Words.",), (confusion(), Picture(b"", "alt", "caption", faces=3)))
    monkeypatch.setattr("nferbench_reports.report._sections", lambda contents, drawn: [made])
    workspace.record([workspace.row("none", "none", fer=[workspace.fer("f", "ab", "aa fh")])], folds=1)
    written = write_report(workspace.root, tmp_path)
    page = Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "made-up" in page.ids() and "Words." in page.text and "contains 3 pictures of faces" in page.text
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "confusion.csv"), confusion().frame)
    assert {tmp_path / "report.html", tmp_path / "confusion.csv"} <= set(written.paths)
    for text in ("Tiny", "subjects", "2025-01-02"):
        assert text in page.text


def test_the_page_of_a_report_has_the_numbers_of_its_tables(workspace: Any, tmp_path: Path) -> None:
    def row(name: str, group: str, **more: Any) -> dict[str, Any]:
        fer = [workspace.fer(f"{name}0", "ab", "aa fh"), workspace.fer(f"{name}1", "cd", "aa ff")]
        scores = [[(0.1 + i, 20 + i, 0.5, 62 + i, 0.9)] * 2 for i in range(2)]
        quality = [workspace.quality(f"{name}q{i}", "ab", scores[i]) for i in range(2)]
        made: dict[str, Any] = workspace.row(name, group, fer=fer, quality=quality, **more)
        return made

    rows = [
        row("none", "none"),
        row("pix2pix", "gan", stamps=["stamped"]),
        row("oracle", "reference"),
        row("sr3", "diffusion", heterogeneous=True),
    ]
    rows[3]["folds"][1]["quality"] = workspace.missing("x", "diverged", "NaN")
    workspace.record(rows, dataset="oulu-casia", dataset_title="Oulu <CASIA>")
    write_report(workspace.root, tmp_path, paper=True)
    read = Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    table, compared, headroom, *_ = read.tables
    stored = pd.read_csv(tmp_path / "table-comparison-oulu-casia.csv")
    assert [line.texts()[0] for line in table[2:]] == stored["title"].tolist()
    kinds = {"accuracy": 2, "macro_f1": 2, "lpips": 4, "psnr": 2, "ssim": 4}
    columns = [
        (f"{name}{part}", places)
        for name, places in kinds.items()
        for part in ("", " mean", " sd", " published", " difference")
    ]
    for line, (_, values) in zip(table[2:], stored.iterrows(), strict=True):
        for text, (column, places) in zip(line.texts()[2:], columns, strict=True):
            if pd.isna(values[column]):
                assert text == "–"
            else:
                assert float(text.replace("−", "-")) == pytest.approx(values[column], abs=0.51 * 10**-places)
    assert stored["accuracy published"].notna().sum() >= 2
    names = [line.attributes.get("class") for line in table[2:]]
    assert names == ["aside" if name == "oracle" else None for name in stored["method"]]
    for shown, file in ((compared, "comparisons.csv"), (headroom, "headroom.csv")):
        assert len(shown) - 1 - (shown is headroom) == len(pd.read_csv(tmp_path / file))
    for said in ("stamped", "1 of 2 folds: fold 1: diverged: NaN", "† made for heterogeneous faces", "Oulu <CASIA>"):
        assert said in read.text
    assert "No picture grid of Oulu <CASIA>: the prepared faces: not run yet." in read.text
