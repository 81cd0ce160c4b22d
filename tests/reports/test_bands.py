"""Which frequencies VIS and NIR share, and what is said of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nferbench_reports import bands, write_report
from nferbench_reports.bands import DIFFERENCE, VIS, Shared, bands_frame, choose, shared, spectrum_frame
from nferbench_reports.bands_picture import bands_picture, parts
from nferbench_reports.bands_section import PARTS, SPECTRUM, section, verdict
from nferbench_reports.frequencies import BANDS, correlations, spectra
from nferbench_reports.records import read_records
from nferbench_reports.results import Missing, load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet

CLASSES = ("anger", "fear", "happiness")
SIDE = 16
FOLDS = ("ac", "bd")  # test subjects


def listed(subjects: str = "abcd", takes: int = 1) -> list[dict[str, str]]:
    return [
        {
            "id": f"{subject}-{expression}-{take}-{modality}",
            "modality": modality,
            "subject": subject,
            "expression": expression,
            "pair": f"{subject}-{expression}-{take}",
        }
        for subject in subjects
        for expression in CLASSES
        for take in range(takes)
        for modality in ("vis", "nir")
    ]


def drawn(what_is_shared: str, side: int = SIDE) -> np.ndarray:
    """Faces of `listed`: the low or the high frequencies of a pair are the same, all else is noise."""
    rng = np.random.default_rng(5)
    faces = []
    for _ in listed()[::2]:
        common, vis, nir = (parted(noise) for noise in rng.normal(0, 1, (3, side, side)))
        for own in (vis, nir):
            low, high = (common[0], own[1]) if what_is_shared == "low" else (own[0], common[1])
            faces.append(128 + 30 * low + 15 * high)
    grey = np.stack(faces).round().clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def parted(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies up to 4 cycles, and those above, of equal strength."""
    frequencies = np.fft.fftfreq(len(noise)) * len(noise)
    low = np.hypot(*np.meshgrid(frequencies, frequencies)) <= 4
    both = [np.fft.ifft2(np.fft.fft2(noise) * mask).real for mask in (low, ~low)]
    return both[0] / both[0].std(), both[1] / both[1].std()


class Made:
    """A workspace with faces, the row "none" and the row "copy", which hands on the real NIR face."""

    def __init__(self, workspace: Any, images: np.ndarray, **protocol: Any) -> None:
        self.workspace = workspace
        rows = listed()
        self.faces = workspace.images(workspace.stage("faces-done", {"faces.csv": rows}), images)
        fer = [workspace.fer(f"f{fold}", subjects, "aa fh") for fold, subjects in enumerate(FOLDS)]
        self.copies = []
        for fold, subjects in enumerate(FOLDS):
            mine = [i for i, row in enumerate(rows) if row["modality"] == "vis" and row["subject"] in subjects][::-1]
            table = [{name: rows[i][name] for name in ("id", "subject", "expression", "pair")} for i in mine]
            stage = workspace.stage(f"t{fold}", {"faces.csv": table})
            self.copies.append(workspace.images(stage, images[[i + 1 for i in mine]]))
        self.rows = [
            workspace.row("none", "none", fer=fer, translation=self.copies),
            workspace.row("copy", "gan", fer=fer, translation=self.copies),
        ]
        self.protocol = protocol

    def run(self) -> Run:
        self.workspace.record(self.rows, faces=self.faces, **self.protocol)
        root = self.workspace.root
        (stored,) = read_records(root).chosen
        record = stored.record
        results = (load_results(root, row, record.protocol.classes, record.metrics()) for row in record.rows)
        return Run(root, stored.file, record, tuple(results))


def measured(run: Run) -> Shared:
    found = shared(run)
    assert isinstance(found, Shared), found
    return found


def told(run: Run, asked: Asked | None = None) -> Section:
    found = section([run], asked or Asked())
    assert found is not None
    return found


def sheet(found: Section, name: str) -> Sheet:
    return next(part for part in found.parts if isinstance(part, Sheet) and part.name == name)


@pytest.mark.parametrize(
    ("what", "agrees"), [("high", "This agrees with the paper."), ("low", "This does not agree with the paper.")]
)
def test_the_text_says_what_the_data_say(workspace: Any, what: str, agrees: str) -> None:
    found = told(Made(workspace, drawn(what)).run())
    assert any(line.endswith(agrees) for line in found.text)
    lines = sheet(found, PARTS).frame.query("row == @VIS").set_index("band")
    shared_band, other_band = BANDS if what == "low" else BANDS[::-1]
    assert lines.loc[shared_band, "beyond"] > 0.6 > 0.4 > abs(lines.loc[other_band, "beyond"])


def test_numbers_are_those_of_faces_read_one_by_one(workspace: Any) -> None:
    images = drawn("high").astype(float).mean(axis=-1)
    frame = spectrum_frame([measured(Made(workspace, drawn("high")).run())]).query("row == @VIS")
    table = pd.DataFrame(listed())
    by_id = dict(zip(table["id"], images, strict=True))
    values: dict[str, list[np.ndarray]] = {}
    for pair in choose(table, list("abcd"), 99)[0]:
        (value,) = correlations(spectra(by_id[pair.vis][None]), spectra(by_id[pair.nir][None]))
        values.setdefault(pair.subject, []).append(value[len(BANDS) :])
    means = np.array([np.mean(each, axis=0) for each in values.values()])
    low, high = stats.t.interval(0.95, len(means) - 1, means.mean(0), stats.sem(means, axis=0))
    assert frame["correlation"].to_numpy() == pytest.approx(means.mean(0))
    assert frame["low"].to_numpy() == pytest.approx(low) and frame["high"].to_numpy() == pytest.approx(high)
    assert frame["cycles"].tolist() == list(range(1, SIDE // 2 + 1))
    assert set(frame["pairs"]) == {12} and set(frame["subjects"]) == {4} and set(frame["folds"]) == {2}


def test_a_row_that_gives_the_real_face_shares_all_and_faces_as_they_are_stand_there_once(workspace: Any) -> None:
    frame = bands_frame([measured(Made(workspace, drawn("low")).run())])
    assert frame["row"].drop_duplicates().tolist() == [VIS, "copy"]  # "none" is the VIS face
    lines = frame.query("row == 'copy'").set_index("band")
    assert lines.loc[list(BANDS), "correlation"].to_list() == pytest.approx([1, 1])
    assert lines.loc[DIFFERENCE, "correlation"] == pytest.approx(0)
    assert lines.loc[BANDS[1], "beyond"] == pytest.approx(1 - lines.loc[BANDS[1], "baseline"])


def test_the_other_face_is_of_another_person_with_another_expression() -> None:
    table = pd.DataFrame(listed(takes=2))
    pairs, count = choose(table, list("abd"), 99)
    assert count == len(pairs) == 18
    for pair in pairs:
        assert pair.other is not None and pair.nir == pair.vis.replace("vis", "nir")
        (subject, expression, *_), (own, mine, *_) = pair.other.split("-"), pair.vis.split("-")
        assert subject != own and expression != mine and subject in "abd"
    assert pairs == choose(table.sample(frac=1, random_state=1), list("dba"), 99)[0]


def test_of_many_pairs_as_many_of_each_person_are_taken() -> None:
    pairs, count = choose(pd.DataFrame(listed(takes=2)), list("abcd"), 9)
    assert count == 24 and [pair.subject for pair in pairs] == list("aabbccdd")
    assert {pair.vis.split("-")[1] for pair in pairs} == set(CLASSES)
    pairs, _ = choose(pd.DataFrame(listed()), list("abcd"), 2)
    assert [pair.subject for pair in pairs] == ["a", "c"]


def test_a_sample_is_told(workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "PIXELS", 4 * SIDE**2)
    found = told(Made(workspace, drawn("high")).run())
    assert sheet(found, SPECTRUM).notes == ("Tiny: 4 of 12 pairs are measured, chosen evenly over people.",)
    assert set(sheet(found, SPECTRUM).frame["pairs"]) == {4}


def test_blocks_change_no_number(workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Made(workspace, drawn("high")).run()
    whole = spectrum_frame([measured(run)])
    monkeypatch.setattr(bands, "_AT_ONCE", 5 * SIDE**2)
    pd.testing.assert_frame_equal(whole, spectrum_frame([measured(run)]))


def test_a_fold_that_lacks_is_told_and_counted(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    made.rows[1]["folds"][1]["translation"] = workspace.missing("gone", "failed", "no room")
    found = told(made.run())
    assert sheet(found, PARTS).notes == ("Tiny, copy: 1 of 2 folds; fold 1: failed: no room.",)
    assert set(sheet(found, PARTS).frame.query("row == 'copy'")["folds"]) == {1}
    assert set(sheet(found, PARTS).frame.query("row == 'copy'")["pairs"]) == {6}


def test_a_row_without_any_translation_has_no_line(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    for fold in made.rows[1]["folds"]:
        fold["translation"] = workspace.missing(f"gone{fold['fold']}")
    found = told(made.run())
    assert set(sheet(found, SPECTRUM).frame["row"]) == {VIS}
    assert sheet(found, SPECTRUM).notes == ("Tiny, copy: none of 2 folds; fold 0: not run yet; fold 1: not run yet.",)


def test_faces_of_another_size_are_no_translations_of_these(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    workspace.images(made.copies[0], drawn("high", 20)[:6])
    (note,) = sheet(told(made.run()), SPECTRUM).notes
    assert note.startswith("Tiny, copy: 1 of 2 folds; fold 0: ") and "at their size" in note


def test_one_person_has_neither_interval_nor_others(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    for stage in made.copies:
        path = workspace.root / stage["path"] / "faces.csv"
        path.write_text(path.read_text().replace(",c,", ",a,").replace(",b,", ",a,").replace(",d,", ",a,"))
        workspace.sealed(stage)
    for row in made.rows:
        for fold in row["folds"]:
            fold["fer"] = None
    found = told(made.run())
    assert found.text[2].endswith("1 people. With one person nothing can be said of others.")
    line = sheet(found, PARTS).frame.iloc[0]
    assert np.isfinite(line["correlation"]) and line[["low", "high", "baseline", "beyond"]].isna().all()


def test_verdicts_follow_from_both_intervals() -> None:
    def said(*ends: float) -> str:
        numbers = {"correlation": 0.1, "beyond": 0.2, "pairs": 8, "subjects": 4}
        names = ("low", "high", "beyond_low", "beyond_high")
        lines = [{"row": VIS, "band": band, **numbers} for band in (*BANDS, DIFFERENCE)]
        lines[-1] |= dict(zip(names, ends, strict=True))
        return verdict("T", pd.DataFrame(lines)).rsplit(". ", 1)[1]

    nan = float("nan")
    assert said(0.1, 0.2, 0.1, 0.3) == "This agrees with the paper."
    assert said(0.1, 0.2, -0.1, 0.3) == "This agrees with the paper in part."
    assert said(-0.2, -0.1, 0.1, 0.3) == "One agrees with the paper, the other does not."
    assert said(-0.2, 0.1, -0.1, 0.3) == "This speaks neither for the paper nor against it."
    assert said(-0.2, -0.1, -0.2, -0.1) == "This does not agree with the paper."
    assert said(0.1, 0.2, nan, nan) == "This agrees with the paper."


def test_a_bundle_says_that_it_has_no_faces(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    path = workspace.root / made.faces["path"] / "stage.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "left_out": ["images.npy"]}))
    found = told(made.run())
    assert not found.parts
    assert re.fullmatch("Tiny: nothing is shown, the prepared faces: bundles have no faces in them.*", *found.text)


@pytest.mark.parametrize("side", [8, 9])
def test_faces_without_high_frequencies_have_no_spectrum(workspace: Any, side: int) -> None:
    found = told(Made(workspace, drawn("high", side)).run())
    assert not found.parts and f"faces of {side} px hold no frequencies above 4 cycles" in found.text[0]


def test_nothing_is_shown_before_anything_is_run(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    made.rows = [workspace.row("copy", "gan", translation=[workspace.missing("later")])]
    assert told(made.run()).text == ("Tiny: nothing is shown, no stage of any fold is complete.",)


def test_pictures_of_faces_only_where_they_may_be_shown(workspace: Any) -> None:
    Made(workspace, drawn("high")).run()
    for faces in (True, False):
        out = workspace.root / f"out-{faces}"
        report = write_report(workspace.root, out, faces=faces)
        assert [(out / "bands-tiny.png").is_file(), "](bands-tiny.png)" in report.text] == [faces] * 2
        page = (out / "report.html").read_text()
        assert ("Low and high frequencies of faces of Tiny" in page) == faces == ("data:image/png" in page)


def test_figures_are_one_element_of_svg_and_equal_for_equal_numbers(workspace: Any) -> None:
    run = Made(workspace, drawn("high")).run()
    asked = Asked(against=("none", "copy"))
    one, two = told(run, asked), told(run, asked)
    for first, second in zip(one.parts, two.parts, strict=True):
        if isinstance(first, Figure) and isinstance(second, Figure):
            assert first.svg == second.svg and first.sheet in (SPECTRUM, PARTS)
            assert ElementTree.fromstring(first.svg).tag.endswith("svg")
    drawing = next(part.svg for part in one.parts if isinstance(part, Figure))
    assert "currentColor" in drawing and ">copy</text>" in drawing and "#010101" not in drawing


def test_both_parts_of_a_face_add_up_to_it() -> None:
    face = np.random.default_rng(0).integers(90, 160, (24, 24, 3)).astype(np.uint8)
    low, high = parts(face)
    assert np.abs(low.astype(int) + high.astype(int) - 128 - face).max() <= 1


def test_the_picture_has_three_pairs_of_fold_0(workspace: Any) -> None:
    made = Made(workspace, drawn("high"))
    drawn_picture = bands_picture(workspace.root, made.run().record)
    assert not isinstance(drawn_picture, Missing)
    image, faces = drawn_picture
    assert faces == 6 * 3 and image.width > 6 * 160 and 3 * 160 < image.height < 4 * 160


def test_the_report_has_the_picture_and_both_tables(workspace: Any, tmp_path: Path) -> None:
    made = Made(workspace, drawn("high"), dataset="Set A")
    made.run()
    report = write_report(workspace.root, tmp_path / "out")
    assert {"bands.csv", "bands-parts.csv", "bands-set-a-7781d909.png"} <= {path.name for path in report.paths}
    assert "](bands-set-a-7781d909.png)" in report.text
    assert len(pd.read_csv(tmp_path / "out" / "bands.csv")) == 2 * (SIDE // 2)


def test_older_faces_do_not_stay_beside_newer_tables(workspace: Any, tmp_path: Path) -> None:
    workspace.record([workspace.row("m", "gan", fer=[workspace.fer("f", "ab", "aa fh")])])
    (tmp_path / "bands-tiny.png").write_bytes(b"old")
    (tmp_path / "bands.csv").write_bytes(b"old")
    write_report(workspace.root, tmp_path)
    assert not (tmp_path / "bands-tiny.png").exists()


def test_two_runs_on_one_data_set_are_told_apart(workspace: Any) -> None:
    run = Made(workspace, drawn("high")).run()
    found = section([run, replace(run, file="records/other.json")], Asked())
    assert found is not None
    assert sheet(found, SPECTRUM).pick == ("dataset", "record", "row") and sheet(found, PARTS).pick[1] == "record"
    assert sheet(told(run), PARTS).pick == ("dataset",)
    assert len(sheet(found, PARTS).frame) == 2 * len(sheet(told(run), PARTS).frame)
