"""The section of faces: what is in it, which pictures the page carries, and when it carries none."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gallery_run import CLASSES, Drawn, runs_of
from PIL import Image
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench_reports import write_report
from nferbench_reports.gallery import extremes, faces_tested, score_columns, scores_frame, translated_faces
from nferbench_reports.gallery_pictures import embed, sources
from nferbench_reports.gallery_section import section, told, wall_of
from nferbench_reports.results import Missing
from nferbench_reports.runs import Asked
from nferbench_reports.section import Sheet, Widget


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def payload(widget: Widget) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="gallery-data">(.*?)</script>', widget.html, re.DOTALL)
    data: dict[str, Any] = json.loads(text)
    return data


def parts(root: Path, asked: Asked | None = None) -> dict[type, Any]:
    made = section(runs_of(root), asked or Asked())
    assert made is not None
    return {type(part): part for part in made.parts}


def test_what_is_embedded_is_what_is_stored_to_the_last_pixel(workspace: Any) -> None:
    drawn = Drawn(workspace)
    widget = parts(workspace.root)[Widget]
    data = payload(widget)
    (shown,) = data["sets"]
    assert [source["title"] for source in shown["sources"]] == [
        "VIS",
        "Without translation",
        "pix2pix",
        "sr3",
        "NIR (real)",
    ]
    assert len(shown["faces"]) == 12 and shown["lossy"] == ""
    vis, none, pix2pix, sr3, nir = (source["pictures"] for source in shown["sources"])
    assert vis == none  # the same pixels are carried once
    for at, (fold, _, _, face) in enumerate(shown["faces"]):
        assert (pixels(data["pictures"][vis[at]]) == drawn.prepared[face]).all()
        assert (pixels(data["pictures"][nir[at]]) == drawn.prepared[face.replace("vis", "nir")]).all()
        assert (pixels(data["pictures"][pix2pix[at]]) == drawn.translated["pix2pix", face]).all()
        if fold == "0":
            assert (pixels(data["pictures"][sr3[at]]) == drawn.translated["sr3", face]).all()
        else:
            assert sr3[at] == "diverged: loss <b>NaN</b>"
    assert widget.faces == len(data["pictures"]) == 12 + 12 + 12 + 6


def test_the_numbers_below_a_picture_are_those_of_its_scores_and_of_the_sheet(workspace: Any) -> None:
    drawn = Drawn(workspace)
    made = parts(workspace.root)
    (shown,) = payload(made[Widget])["sets"]
    frame = made[Sheet].frame
    assert made[Sheet].name == "images" and len(frame) == 12 + 12 + 6
    columns = ["dataset", "record", "fold", "id", "subject", "expression", "method", "lpips", "psnr", "ssim"]
    assert list(frame.columns) == columns
    for line in frame.itertuples():
        assert (line.lpips, line.psnr, line.ssim) == pytest.approx(drawn.scores[line.method, line.id], abs=0)
    for source, name in zip(shown["sources"], ("", "none", "pix2pix", "sr3", ""), strict=True):
        for (_, _, _, face), numbers in zip(shown["faces"], source["numbers"], strict=True):
            stored = drawn.scores.get((name, face))
            assert numbers == (stored and [f"{stored[0]:.4f}", f"{stored[1]:.2f}", f"{stored[2]:.4f}"])


def test_the_worst_median_and_best_are_those_of_a_sorted_list(workspace: Any) -> None:
    drawn = Drawn(workspace)
    (shown,) = payload(parts(workspace.root)[Widget])["sets"]
    for source, name in zip(shown["sources"], ("", "none", "pix2pix", "sr3", ""), strict=True):
        for metric, picks in enumerate(source["picks"]):
            scores = {face: values[metric] for (row, face), values in drawn.scores.items() if row == name}
            if not scores:
                assert picks is None
                continue
            worst_first = sorted(scores, key=lambda face: scores[face], reverse=metric == 0)
            expected = [worst_first[0], worst_first[(len(scores) - 1) // 2], worst_first[-1]]
            assert [shown["faces"][i][3] for i in picks[:3]] == expected and picks[3] == len(scores)


def test_what_has_no_number_is_neither_worst_nor_best_and_infinity_is_a_number(workspace: Any) -> None:
    Drawn(workspace)
    psnr = score_columns(runs_of(workspace.root)[0], "standard")[1]
    frame = pd.DataFrame(
        [(0, "a", 30.0), (0, "b", math.nan), (0, "c", math.inf), (1, "a", 20.0)], columns=["fold", "id", "psnr"]
    ).assign(subject="s", expression="anger", method="m")
    found = extremes(frame, "m", psnr)
    assert found is not None and found.faces == 3
    assert [(one.fold, one.id) for one in (found.worst, found.median, found.best)] == [(1, "a"), (0, "a"), (0, "c")]
    assert extremes(frame, "other", psnr) is None


def test_the_convention_of_psnr_names_its_column(workspace: Any) -> None:
    Drawn(workspace)
    frame = parts(workspace.root, Asked("paper"))[Sheet].frame
    assert list(frame.columns)[-3:] == ["lpips", "psnr_paper", "ssim_paper"]


def test_a_face_that_two_folds_test_is_shown_once_for_each(workspace: Any) -> None:
    drawn = Drawn(workspace)
    both = [{**row, "folds": [row["folds"][0], {**row["folds"][0], "fold": 1}]} for row in drawn.rows]
    workspace.record(both, faces=drawn.faces, size=16, division="repeats")
    (shown,) = payload(parts(workspace.root)[Widget])["sets"]
    assert [face[:3] for face in shown["faces"][:3]] == [
        ["0", "a", "anger"],
        ["1", "a", "anger"],
        ["0", "a", "fear"],
    ]


def test_faces_are_chosen_from_by_subject_and_expression(workspace: Any) -> None:
    Drawn(workspace)
    (run,) = runs_of(workspace.root)
    faces = faces_tested(run, translated_faces(run), scores_frame(run, score_columns(run, "standard")))
    assert [(one.subject, one.expression) for one in faces] == [(s, e) for s in "abcd" for e in CLASSES]


def test_over_the_budget_the_extremes_come_first_and_then_subjects_in_order(workspace: Any) -> None:
    Drawn(workspace)
    (run,) = runs_of(workspace.root)
    frame = scores_frame(run, score_columns(run, "standard"))
    whole = wall_of(run, frame, Asked(), 10**7)
    assert not isinstance(whole, Missing) and len(whole.embedded.faces) == 12
    marked = {face for each in whole.extremes.values() for face in (each.worst, each.median, each.best)}
    assert set(whole.embedded.faces[: len(marked)]) == marked
    shown, wanted = whole.sources, whole.tested
    sizes = [len(uri) for uri in embed(shown, wanted, 1).pictures]
    budget = sum(sizes) // 2
    part = embed(shown, wanted, 3, budget)
    assert part.quality is None and part.faces == wanted[: len(part.faces)] and 3 <= len(part.faces) < 12
    assert sum(map(len, part.pictures)) <= budget
    assert sum(map(len, embed(shown, wanted[: len(part.faces) + 1], 1).pictures)) > budget


def test_the_page_says_how_many_of_the_test_faces_it_has(workspace: Any) -> None:
    Drawn(workspace, side=64)
    (run,) = runs_of(workspace.root)
    frame = scores_frame(run, score_columns(run, "standard"))
    whole, part = (wall_of(run, frame, Asked(), budget) for budget in (10**7, 100_000))
    assert not isinstance(whole, Missing) and not isinstance(part, Missing)
    assert told(whole) == "12 of 12 test faces, 42 pictures at 64 px; pixels exactly as they are stored."
    count = len(part.embedded.faces)
    assert 0 < count < 12 and told(part).startswith(f"{count} of 12 test faces, {len(part.embedded.pictures)} pictures")
    assert "then all expressions of one subject after the other" in told(part)


def test_pictures_are_compressed_for_the_sake_of_the_faces_that_are_needed_and_it_is_said(workspace: Any) -> None:
    drawn = Drawn(workspace, side=64)
    (run,) = runs_of(workspace.root)
    found = sources(run, translated_faces(run))
    assert not isinstance(found, Missing)
    wall = wall_of(run, scores_frame(run, score_columns(run, "standard")), Asked(), 10**7)
    assert not isinstance(wall, Missing)
    exact = embed(found, wall.tested, 12)
    budget = sum(map(len, exact.pictures)) - 1
    lossy = embed(found, wall.tested, 12, budget)
    assert exact.quality is None and lossy.quality == 85 and len(lossy.faces) == 12
    assert sum(map(len, lossy.pictures)) <= budget
    off = [
        np.abs(pixels(lossy.pictures[i]).astype(int) - drawn.translated["pix2pix", face.id])
        for i, face in zip(lossy.shown[2], lossy.faces, strict=True)
        if not isinstance(i, Missing)
    ]
    assert 0 < np.mean(off) < 3 * lossy.off and np.max(off) <= lossy.off_most
    assert "compressed with loss (JPEG, quality 85): pixels, and so error maps" in told(replace(wall, embedded=lossy))


def test_a_run_of_which_nothing_fits_has_no_pictures_and_says_why(workspace: Any) -> None:
    Drawn(workspace)
    (run,) = runs_of(workspace.root)
    wall = wall_of(run, scores_frame(run, score_columns(run, "standard")), Asked(), 10)
    assert wall == Missing("one face is larger than all that a page may hold")


def test_without_faces_there_is_no_picture_of_one_anywhere(workspace: Any, tmp_path: Path) -> None:
    Drawn(workspace)
    out = tmp_path / "out"
    shown = write_report(workspace.root, out)
    assert (out / "grid-tiny.png").exists() and "](grid-tiny.png)" in shown.text
    report = write_report(workspace.root, out, faces=False)
    assert not list(out.glob("grid-*")) and "](grid-" not in report.text
    assert "No picture grid of Tiny: pictures of faces were left out (--no-faces)." in report.text
    made = section(runs_of(workspace.root), Asked(faces=False))
    assert made is not None and made.text == ("Pictures of faces were left out (--no-faces).",)
    assert [type(part) for part in made.parts] == [Sheet]
    assert not any(re.search(rb"data:image|\x89PNG", path.read_bytes()) for path in out.iterdir())


def test_the_command_line_leaves_them_out_by_an_option(workspace: Any, tmp_path: Path) -> None:
    Drawn(workspace)
    words = ["report", "--workspace", str(workspace.root), "--out", str(tmp_path / "out"), "--no-faces"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0 and "pictures of faces were left out (--no-faces)" in said.output
    assert not list((tmp_path / "out").glob("grid-*"))


def test_scores_of_each_test_face_lie_beside_the_page(workspace: Any, tmp_path: Path) -> None:
    drawn = Drawn(workspace)
    write_report(workspace.root, tmp_path)
    table = pd.read_csv(tmp_path / "images.csv").set_index(["method", "id"])
    assert {
        key: tuple(line) for key, line in table[["lpips", "psnr", "ssim"]].T.to_dict("list").items()
    } == drawn.scores


def test_faces_that_cannot_be_read_are_a_reason_and_their_scores_stay(workspace: Any) -> None:
    drawn = Drawn(workspace)
    (workspace.root / drawn.faces["path"] / "images.npy").unlink()
    made = section(runs_of(workspace.root), Asked())
    assert made is not None and [type(part) for part in made.parts] == [Sheet]
    assert made.text[0].startswith(
        "No pictures of Tiny: the prepared faces: faces-done/images.npy is not what was written"
    )


def test_pictures_that_were_changed_since_are_not_shown(workspace: Any) -> None:
    drawn = Drawn(workspace)
    path = workspace.root / drawn.rows[1]["folds"][0]["translation"]["path"] / "images.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (shown,) = payload(parts(workspace.root)[Widget])["sets"]
    reasons = {one for one in shown["sources"][2]["pictures"] if isinstance(one, str)}
    assert len(reasons) == 1 and "images.npy is not what was written" in reasons.pop()


def test_fewer_pictures_than_faces_are_a_reason_too(workspace: Any) -> None:
    drawn = Drawn(workspace)
    stage = drawn.rows[1]["folds"][0]["translation"]
    workspace.images(stage, np.zeros((5, 16, 16, 3), np.uint8))
    (shown,) = payload(parts(workspace.root)[Widget])["sets"]
    assert "does not hold the pictures that its faces.csv lists" in str(shown["sources"][2]["pictures"])
    workspace.images(stage, np.zeros((6, 8, 8, 3), np.uint8))
    (shown,) = payload(parts(workspace.root)[Widget])["sets"]
    assert len([one for one in shown["sources"][2]["pictures"] if isinstance(one, str)]) == 6


def test_a_run_that_translates_nothing_has_no_section(workspace: Any) -> None:
    workspace.record([workspace.row("none", "none", fer=[workspace.fer("f", "ab", "aa fh")])])
    assert section(runs_of(workspace.root), Asked()) is None


def test_several_runs_share_a_page_and_a_picture_that_both_have(workspace: Any) -> None:
    Drawn(workspace)
    (run,) = runs_of(workspace.root)
    made = section([run, run], Asked())
    assert made is not None
    widget, sheet = made.parts
    assert isinstance(widget, Widget) and isinstance(sheet, Sheet)
    data = payload(widget)
    assert data["sets"][0] == data["sets"][1] and widget.faces == len(data["pictures"]) == 42
    assert len(sheet.frame) == 2 * 30


def test_names_from_outside_are_data_never_markup(workspace: Any) -> None:
    nasty = "</script><script>alert(1)</script>&amp;\u2028<!--"
    Drawn(workspace, title=nasty, subject=nasty)
    widget = parts(workspace.root)[Widget]
    inner = re.findall(r'id="gallery-data">(.*)</script>', widget.html, re.DOTALL)[0]
    assert not re.search("[<>&\u2028\u2029]", inner)
    (shown,) = payload(widget)["sets"]
    assert shown["sources"][2]["title"].startswith("</script><script>alert(1)</script>&amp;")
    assert shown["faces"][0][1] == "a</script><script>alert(1)</script>&amp;\\u2028<!--"
