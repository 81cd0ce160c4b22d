"""Texts from outside in tables that spreadsheets open."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nferbench.contract.dataset import Face, FaceDataset, Listing, Picture
from nferbench.contract.printable import Plain, cell, from_cell, plain
from nferbench.engine.artifacts import translated_faces, write_faces, write_table
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import read_prepared
from nferbench_reports.results import Missing, read_table

FORMULAS = ("=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "＝1", "'=1", "''=1")
PLAIN = ("P1", "007", "-1", "+2.5", "'a", "", "Größe", "a=b", "1-2", "?")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_and_each_gives_its_text_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert from_cell(cell(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cell(text) == text == from_cell(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(100.0, "100"), (1, "1"), (0.5, "0.5"), (1e-5, "1e-05"), (None, "null"), (True, "true"), ("a", "a")],
)
def test_values_are_written_as_in_yaml(value: Plain, text: str) -> None:
    assert plain(value) == text


def harmless(path: Path) -> bool:
    with path.open(newline="", encoding="utf-8") as file:
        return not any(text.startswith(("=", "@", "+c", "-2+")) for row in csv.reader(file) for text in row)


def test_stored_tables_hold_no_formula_and_are_read_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [Face(f"{text}/x", "vis", text, "fear", text) for text in (*FORMULAS, "P1")]
    write_faces(tmp_path / "faces.csv", listed)
    np.save(tmp_path / "images.npy", np.zeros((len(listed), 1, 1, 3), np.uint8))
    monkeypatch.setattr("nferbench.engine.artifacts.entry_of", lambda *_: SimpleNamespace(path=tmp_path))
    stage: Any = None
    assert translated_faces(stage, stage)[1] == tuple(listed)
    write_table(tmp_path / "scores.csv", [{"id": face.id, "subject": face.subject, "psnr": -1.5} for face in listed])
    table = read_table(tmp_path / "scores.csv", ("id", "subject", "psnr"))
    assert not isinstance(table, Missing)
    assert list(table["subject"]) == [face.subject for face in listed] and set(table["psnr"]) == {"-1.5"}
    assert harmless(tmp_path / "faces.csv") and harmless(tmp_path / "scores.csv")


def test_prepared_faces_keep_their_names(tmp_path: Path) -> None:
    class Drawn(FaceDataset):
        name = title = "drawn"

        def listing(self, root: Path | None) -> Listing:
            return Listing(tuple(Face(f"{text}/x", "vis", text, "fear") for text in FORMULAS))

        def load(self, face: Face, root: Path | None, size: int) -> Picture:
            return Picture(np.full((size, size, 3), 99, np.uint8), cropped=True)

    prepare(Drawn(), None, 8, "given", tmp_path, lambda *_: None)
    assert {face.id.removesuffix("/x") for face in read_prepared(tmp_path).faces} == set(FORMULAS)
    assert harmless(tmp_path / "faces.csv")
