"""CFEE as distributed, in trees that copy its names and quirks; no real copy was tried."""

from __future__ import annotations

import sys
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import replaced
from nferbench.datasets import cfee
from nferbench.datasets.cfee import CfeeDataset, codes_from_rows, read_sheet
from nferbench.datasets.left_out import counted

DATABASE = "CFEE_Database_230"
PLACES = {
    **dict.fromkeys(range(1, 5), "01-04/Images1"),
    **dict.fromkeys(range(5, 9), "05-08/Images2"),
    **dict.fromkeys(range(9, 13), "09-12/Images3"),
    **dict.fromkeys(range(13, 17), "13-16/Images4"),
    **dict.fromkeys(range(17, 21), "17-20/Images5"),
    **dict.fromkeys(range(21, 27), "21-26/Images6"),
}
WORDS = ["Neutral", "Happy", "Sad", "Fearful", "Angry", "Surprised", "Disgusted", "Happily surprised"]
SHEET: list[list[object]] = [["Category", "Name"], *([code, word] for code, word in enumerate(WORDS, 1))]


def database(folder: Path, subjects: int = 2, codes: int = 26, ending: str = "jpg") -> Path:
    """Empty files under the names of a copy: listing decodes nothing."""
    for code in range(1, codes + 1):
        place = folder / PLACES[code]
        place.mkdir(parents=True, exist_ok=True)
        for number in range(subjects):
            (place / f"{code:02d}_{110 + number}_{2500 + 26 * number + code:04d}.{ending}").touch()
    return folder


def without_xlrd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlrd", None)  # an import then raises ImportError


class Book:
    """What the reader uses of a workbook of xlrd."""

    def __init__(self, sheets: dict[str, list[list[object]]]) -> None:
        self.sheets = sheets

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sheet_names(self) -> list[str]:
        return list(self.sheets)

    def sheet_by_name(self, name: str) -> Any:
        rows = self.sheets[name]
        return types.SimpleNamespace(nrows=len(rows), row_values=lambda row, start, end: rows[row][start:end])


def with_sheet(monkeypatch: pytest.MonkeyPatch, folder: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """A copy whose .xls file holds these sheets, for a stand-in of xlrd."""
    xlrd = types.ModuleType("xlrd")
    xlrd.open_workbook = lambda name, **options: Book(sheets)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "xlrd", xlrd)
    (database(folder) / cfee.SHEET_FILE).write_bytes(b"xls")
    return folder


def test_codes_one_to_seven_are_the_basic_expressions_and_neutral_is_left_out(tmp_path: Path) -> None:
    listing = CfeeDataset().listing(database(tmp_path / DATABASE, subjects=1))
    assert {face.id[:2]: face.expression for face in listing.faces} == {
        "02": "happiness",
        "03": "sadness",
        "04": "fear",
        "05": "anger",
        "06": "surprise",
        "07": "disgust",
    }
    assert {(face.modality, face.subject, face.pair) for face in listing.faces} == {("vis", "110", "")}
    assert listing.landmarks == 0
    assert counted(listing.dropped) == [
        "19 left out: a compound or other expression (codes 08 to 26) (such as 05-08/Images2/08_110_2508.jpg)",
        "1 left out: neutral faces are not wanted (01-04/Images1/01_110_2501.jpg)",
    ]


def test_neutral_can_be_kept(tmp_path: Path) -> None:
    dataset = replaced(CfeeDataset(), {"neutral": True}, "datasets.cfee")
    listing = dataset.listing(database(tmp_path))
    assert Counter(face.expression for face in listing.faces)["neutral"] == 2
    assert len(listing.faces) == 14


@pytest.mark.parametrize("nesting", [".", DATABASE, f"{DATABASE}/{DATABASE}", f"raw/faces/cfee/{DATABASE}"])
def test_the_database_is_found_at_most_four_levels_below_the_root(tmp_path: Path, nesting: str) -> None:
    database(tmp_path / nesting, subjects=1)
    faces = CfeeDataset().listing(tmp_path).faces
    assert [face.id for face in faces] == [f"{code:02d}_110_{2500 + code}" for code in range(2, 8)]
    assert all((tmp_path / face.files[0]).is_file() for face in faces)


def test_five_levels_are_too_deep(tmp_path: Path) -> None:
    database(tmp_path / "a/b/c/d" / DATABASE)
    with pytest.raises(UsageError, match="nothing up to 4 levels below"):
        CfeeDataset().listing(tmp_path)


def test_two_copies_side_by_side_are_not_chosen_between(tmp_path: Path) -> None:
    database(tmp_path / "one")
    database(tmp_path / "two")
    with pytest.raises(UsageError, match=r"one and .*two each look like a copy") as caught:
        CfeeDataset().listing(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_copy_under_two_names_is_one_copy(tmp_path: Path) -> None:
    database(tmp_path / DATABASE)
    (tmp_path / "current").symlink_to(tmp_path / DATABASE)
    assert len(CfeeDataset().listing(tmp_path).faces) == 12


def test_the_tree_that_zip_files_of_macos_add_is_no_copy(tmp_path: Path) -> None:
    database(tmp_path / "faces" / DATABASE)
    database(tmp_path / "__MACOSX" / DATABASE)
    assert all(face.files[0].startswith("faces/") for face in CfeeDataset().listing(tmp_path).faces)


def test_a_database_outside_of_the_root_is_not_followed_to(tmp_path: Path) -> None:
    database(tmp_path / "elsewhere")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / DATABASE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="nothing up to 4 levels"):
        CfeeDataset().listing(tmp_path / "root")


def test_the_ending_may_have_any_case(tmp_path: Path) -> None:
    assert len(CfeeDataset().listing(database(tmp_path, ending="JPG")).faces) == 12
    assert len(CfeeDataset().listing(database(tmp_path / "other", ending="Jpg")).faces) == 12


@pytest.mark.parametrize(
    "odd",
    [
        "04_221.jpg",
        "26_222.jpg",
        "260_19.png.jpg",
        "02_110_2502_detectface.jpg",
        "02_110_2502 (1).jpg",
        "2_110_2502.jpg",
        "02_110_02502.jpg",
        "02_110_2502.png",
    ],
)
def test_odd_names_are_left_out_and_named(tmp_path: Path, odd: str) -> None:
    (database(tmp_path) / "21-26/Images6" / odd).touch()
    listing = CfeeDataset().listing(tmp_path)
    assert len(listing.faces) == 12
    assert [drop.what for drop in listing.dropped if "the name is not of the form" in drop.reason] == [
        f"21-26/Images6/{odd}"
    ]


def test_codes_beyond_the_last_are_left_out_and_named(tmp_path: Path) -> None:
    (database(tmp_path) / "21-26/Images6/27_110_2527.jpg").touch()
    (tmp_path / "01-04/Images1/00_110_2500.jpg").touch()
    reasons = {drop.what: drop.reason for drop in CfeeDataset().listing(tmp_path).dropped}
    assert reasons["21-26/Images6/27_110_2527.jpg"] == "code 27 is none of 01 to 26"
    assert reasons["01-04/Images1/00_110_2500.jpg"] == "code 00 is none of 01 to 26"


def test_clutter_is_named_and_the_spreadsheet_is_no_clutter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_xlrd(monkeypatch)
    database(tmp_path, codes=7)
    for name in ("Thumbs.db", "01-04/readme.txt", cfee.SHEET_FILE):
        (tmp_path / name).write_bytes(b"x")
    listing = CfeeDataset(neutral=True).listing(tmp_path)
    assert {drop.what for drop in listing.dropped} == {"Thumbs.db", "01-04/readme.txt"}


def test_a_second_file_of_one_name_is_left_out(tmp_path: Path) -> None:
    database(tmp_path, codes=7)
    (tmp_path / "01-04/Images1/copy").mkdir()
    (tmp_path / "01-04/Images1/copy/02_110_2502.JPG").touch()
    listing = CfeeDataset(neutral=True).listing(tmp_path)
    assert len(listing.faces) == 14
    assert [drop.reason for drop in listing.dropped] == ["another file has this name"]


def test_a_sheet_that_agrees_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sheet(monkeypatch, tmp_path, {"110": [["AU1"]], "summary": SHEET})
    listing = CfeeDataset().listing(tmp_path)
    (told, *_) = CfeeDataset().findings(listing, tmp_path)
    assert told.text == f"{cfee.SHEET_FILE} agrees with the table of the reader on the names of the codes"
    without_xlrd(monkeypatch)
    assert CfeeDataset().listing(tmp_path) == listing


@pytest.mark.parametrize(
    ("row", "word", "table"),
    [(4, "Angry", "fear"), (1, "Happy", "neutral"), (7, "Happily surprised", "disgust"), (8, "Sad", "no basic")],
)
def test_a_sheet_that_disagrees_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, word: str, table: str
) -> None:
    rows = [*SHEET[:row], [row, word], *SHEET[row + 1 :]]
    with_sheet(monkeypatch, tmp_path, {"summary": rows})
    with pytest.raises(DataError, match=f"calls code 0{row} '{word}', the table of the reader .*'{table}") as caught:
        CfeeDataset().listing(tmp_path)
    assert "\n" not in str(caught.value)


def test_codes_that_the_sheet_does_not_name_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sheet(monkeypatch, tmp_path, {"Summary": SHEET[:4] + SHEET[5:]})
    (told, *_) = CfeeDataset().findings(CfeeDataset().listing(tmp_path), tmp_path)
    assert told.text.endswith("on the names of the codes, but says nothing on 04")


def test_a_workbook_without_the_sheet_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sheet(monkeypatch, tmp_path, {"110": SHEET})
    (told, *_) = CfeeDataset().findings(CfeeDataset().listing(tmp_path), tmp_path)
    assert "has no sheet 'summary', but '110'" in told.text
    with_sheet(monkeypatch, tmp_path, {"summary": SHEET[:1]})
    (told, *_) = CfeeDataset().findings(CfeeDataset().listing(tmp_path), tmp_path)
    assert "starts no row with a code and a word" in told.text


def test_without_xlrd_it_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_xlrd(monkeypatch)
    (database(tmp_path) / cfee.SHEET_FILE.upper()).write_bytes(b"xls")
    listing = CfeeDataset().listing(tmp_path)
    assert len(listing.faces) == 12
    (told, *_) = CfeeDataset().findings(listing, tmp_path)
    assert "xlrd is not installed (pip install xlrd)" in told.text and "unchecked" in told.text
    assert not told.serious


def test_a_copy_without_the_spreadsheet_says_so(tmp_path: Path) -> None:
    (told, *_) = CfeeDataset().findings(CfeeDataset().listing(database(tmp_path)), tmp_path)
    assert told.text.startswith(f"{cfee.SHEET_FILE} is not there") and not told.serious


def test_codes_are_read_as_numbers_or_text_and_other_rows_passed_over() -> None:
    rows: list[list[object]] = [[], ["x"], ["Category", "Name"], [1.0, " Neutral "], ["02", "Happy"], [3, "Sad", 0.5]]
    rows += [[4.5, "half"], ["", "blank"], [5, ""], [101, "three digits"]]
    assert codes_from_rows(rows) == [(1, "Neutral"), (2, "Happy"), (3, "Sad")]


def test_a_real_xls_file_is_read_without_a_word_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xlrd", reason="xlrd, which reads .xls files, is not installed")
    for name in [name for name in sys.modules if name.split(".")[0] == "xlrd"]:
        monkeypatch.delitem(sys.modules, name)  # it keeps the stdout that it was imported under
    xlwt = pytest.importorskip("xlwt", reason="xlwt, which writes .xls files, is not installed")
    book = xlwt.Workbook()
    book.add_sheet("110").write(0, 0, "AU1")
    sheet = book.add_sheet("summary")
    for row, cells in enumerate([*SHEET, ["09", "Awed"]]):
        for column, cell in enumerate(cells):
            sheet.write(row, column, cell)
    file = database(tmp_path) / cfee.SHEET_FILE
    book.save(str(file))
    with file.open("ab") as stream:
        stream.write(b"x")  # xlrd warns of such a length
    assert read_sheet(file) == ([*enumerate(WORDS, 1), (9, "Awed")], "")
    assert len(CfeeDataset().listing(tmp_path).faces) == 12
    assert capsys.readouterr().out == ""


def test_a_damaged_xls_file_is_told_and_is_no_obstacle(tmp_path: Path) -> None:
    pytest.importorskip("xlrd", reason="xlrd, which reads .xls files, is not installed")
    file = database(tmp_path) / cfee.SHEET_FILE
    for content in (b"", b"not a workbook", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000)):
        file.write_bytes(content)
        codes, why = read_sheet(file)
        assert not codes and why.startswith("it is damaged (") and "\n" not in why
    assert len(CfeeDataset().listing(tmp_path).faces) == 12


@pytest.mark.parametrize("subjects", [229, 230])
def test_a_complete_copy_gives_no_finding_on_counts(tmp_path: Path, subjects: int) -> None:
    listing = CfeeDataset().listing(database(tmp_path, subjects))
    assert len(listing.faces) == 6 * subjects
    assert len(CfeeDataset().findings(listing, tmp_path)) == 1  # the one on the missing spreadsheet


@pytest.mark.parametrize("subjects", [228, 231])
def test_a_person_too_few_or_too_many_is_told(tmp_path: Path, subjects: int) -> None:
    listing = CfeeDataset().listing(database(tmp_path, subjects, codes=7))
    assert [finding.text for finding in CfeeDataset().findings(listing, tmp_path)[1:]] == [
        f"{subjects} subjects; a complete copy has 229 or 230",
        f"{6 * subjects:,} images of the six basic expressions; a complete copy has 1,374 to 1,380",
    ]


def test_too_few_people_are_told(tmp_path: Path) -> None:
    _, *counts = CfeeDataset().findings(CfeeDataset().listing(database(tmp_path)), tmp_path)
    assert [finding.text for finding in counts] == [
        "2 subjects; a complete copy has 229 or 230",
        "12 images of the six basic expressions; a complete copy has 1,374 to 1,380",
    ]
    assert not any(finding.serious for finding in counts)


def test_an_absent_class_is_serious(tmp_path: Path) -> None:
    findings = CfeeDataset().findings(CfeeDataset().listing(database(tmp_path, codes=4)), tmp_path)
    serious = [finding.text for finding in findings if finding.serious]
    assert [text.split(";")[0] for text in serious] == [
        "no image of anger",
        "no image of disgust",
        "no image of surprise",
    ]


def test_neutral_is_missed_only_where_it_is_wanted(tmp_path: Path) -> None:
    for file in (database(tmp_path) / "01-04/Images1").glob("01_*"):
        file.unlink()
    for neutral in (False, True):
        dataset = replace(CfeeDataset(), neutral=neutral)
        findings = dataset.findings(dataset.listing(tmp_path), tmp_path)
        assert any(finding.serious for finding in findings) is neutral


def test_unequal_classes_are_told(tmp_path: Path) -> None:
    for file in (database(tmp_path, subjects=10) / "05-08/Images2").glob("05_11[0-3]_*"):
        file.unlink()
    *_, told = CfeeDataset().findings(CfeeDataset().listing(tmp_path), tmp_path)
    assert told.text.endswith("anger 6, disgust 10, fear 10, happiness 10, sadness 10, surprise 10")


def test_what_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root"):
        CfeeDataset().listing(None)
    (tmp_path / "01-04").mkdir()
    with pytest.raises(UsageError, match="01-04/Images1"):
        CfeeDataset().listing(tmp_path)
    (tmp_path / "01-04/Images1").mkdir()
    with pytest.raises(DataError, match="no face can be used: there is no image file"):
        CfeeDataset().listing(tmp_path)
    (tmp_path / "01-04/Images1/04_221.jpg").touch()
    with pytest.raises(DataError, match="1 left out: the name is not of the form") as caught:
        CfeeDataset().listing(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_face_loads_in_colour(tmp_path: Path) -> None:
    database(tmp_path / DATABASE, subjects=1)
    dataset = CfeeDataset()
    face = dataset.listing(tmp_path).faces[0]
    Image.new("RGB", (9, 7), (200, 100, 50)).save(tmp_path / face.files[0], quality=95)
    picture = dataset.load(face, tmp_path, 32)
    assert picture.pixels.shape == (7, 9, 3)
    assert abs(picture.pixels.astype(int) - [200, 100, 50]).max() <= 4
    assert picture.box is None and picture.landmarks is None and not picture.cropped


def test_loading_stays_under_the_root(tmp_path: Path) -> None:
    database(tmp_path / "root", subjects=1)
    face = CfeeDataset().listing(tmp_path / "root").faces[0]
    with pytest.raises(DataError, match="must stay under the data root"):
        CfeeDataset().load(replace(face, files=("../outside.jpg",)), tmp_path / "root", 32)
