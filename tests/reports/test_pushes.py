"""The figure of pushes, and what is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nferbench_reports import write_report
from nferbench_reports.pushes import panels_of, read_pushes, summarised
from nferbench_reports.records import read_records
from nferbench_reports.results import Missing


def pushes(*energies: str, steps: int = 4, factor: float = 0.5) -> list[dict[str, Any]]:
    """Steps from t = 400 on; energy number i pushes `factor` * (i + 1) * (k + 1) times as hard as the score."""
    rows = []
    for k in reversed(range(steps)):
        sizes = {"score": 1.0, **{name: factor * (i + 1) * (k + 1) for i, name in enumerate(energies)}, "noise": k / 4}
        for term, size in sizes.items():
            spread = {"rms_mean": 0.1 * size, "rms_low": 0.05 * size, "rms_high": 0.2 * size}
            rows.append({"t": 100 * (k + 1), "k": k, "term": term, **spread, "relative": size, "cosine": ""})
    return rows


def recorded(workspace: Any, *rows: tuple[str, str, list[dict[str, Any]] | None], **more: Any) -> Path:
    """A record of diffusion methods by title, key of the translation on fold 0, and its pushes."""
    stages: dict[str, Any] = {}
    for _, key, table in rows:
        if key not in stages:
            faces = [{"id": "f", "subject": "a", "expression": "anger", "pair": "p"}]
            tables = {"faces.csv": faces, **({"pushes.csv": table} if table else {})}
            stages[key] = workspace.stage(key, tables)
    described = [workspace.row(title, "diffusion", translation=[stages[key]]) for title, key, _ in rows]
    path: Path = workspace.record(described, **more)
    return path


def test_guided_rows_have_a_panel_each_and_equal_work_one(workspace: Any) -> None:
    recorded(
        workspace,
        ("Guided", "a", pushes("E_a", "E_b")),
        ("Plain", "b", pushes()),
        ("Before", "c", None),
        ("The same", "a", None),
    )
    panels, faults = panels_of(workspace.root, read_records(workspace.root).chosen[0].record)
    assert [panel.title for panel in panels] == ["Guided, The same"] and faults == []


def test_the_report_draws_them_the_same_to_the_byte(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace, ("Guided $x_", "a", pushes("E_a", "E_b")), ("Other", "b", pushes("E_c")))
    written = write_report(workspace.root, tmp_path / "out")
    path = tmp_path / "out" / "pushes-tiny.png"
    assert path in written.paths and "![Pushes of guided methods on Tiny](pushes-tiny.png)" in written.text
    assert written.text.count("How far each term moves a face") == 1
    first = path.read_bytes()
    write_report(workspace.root, tmp_path / "out")
    assert path.read_bytes() == first


def test_an_energy_that_outweighs_the_score_is_drawn_above_it(workspace: Any, tmp_path: Path) -> None:
    heights = {}
    for name, factor in (("weak", 0.01), ("strong", 100)):
        recorded(workspace, ("Guided", name, pushes("E_a", factor=factor)))
        write_report(workspace.root, tmp_path / "out")
        image = np.asarray(Image.open(tmp_path / "out" / "pushes-tiny.png").convert("RGB")).astype(int)[
            100:
        ]  # no legend
        orange = (image[..., 0] > 180) & (image[..., 2] < 80)
        heights[name] = np.nonzero(orange)[0].mean() / len(image)
    assert heights["strong"] < heights["weak"] - 0.1


def test_results_without_pushes_have_no_figure_and_lose_an_older_one(workspace: Any, tmp_path: Path) -> None:
    recorded(workspace, ("Before", "c", None), ("Plain", "b", pushes()))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pushes-tiny.png").write_bytes(b"older")
    written = write_report(workspace.root, tmp_path / "out")
    assert not (tmp_path / "out" / "pushes-tiny.png").exists() and "ushes" not in written.text


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_stored_pushes_that_are_not_what_was_written_are_told(workspace: Any, tmp_path: Path, fault: str) -> None:
    recorded(workspace, ("Guided", "a", pushes("E_a")), ("Other", "b", pushes("E_c")))
    path = workspace.root / "stages" / "a" / "pushes.csv"
    path.write_text(path.read_text().replace("0.1", "0.2")) if fault == "changed" else path.unlink()
    text = write_report(workspace.root, tmp_path / "out").text
    assert "Pushes not drawn: Guided: a/pushes.csv is not what was written" in text and "pushes-tiny.png" in text


@pytest.mark.parametrize(("column", "text"), [("relative", "much"), ("t", ""), ("k", "inf")])
def test_text_in_the_place_of_a_number_is_told(workspace: Any, column: str, text: str) -> None:
    rows = pushes("E_a")
    rows[1][column] = text
    workspace.stage("a", {"pushes.csv": rows})
    found = read_pushes(workspace.root / "stages" / "a" / "pushes.csv")
    assert isinstance(found, Missing) and found.reason == "a/pushes.csv holds something else than numbers"


def test_a_summary_tells_even_steps_and_where_an_energy_outweighs_the_score(workspace: Any) -> None:
    workspace.stage("a", {"pushes.csv": pushes("E_a", "E_b", steps=31, factor=0.02)})
    table = read_pushes(workspace.root / "stages" / "a" / "pushes.csv")
    assert not isinstance(table, Missing)
    summary = summarised(table, 4)
    assert summary.steps == 31 and summary.terms == ("score", "E_a", "E_b", "noise")
    assert [t for t, _ in summary.rows] == [3100, 2100, 1100, 100]
    assert summary.rows[0][1] == pytest.approx((0.1, 0.62, 1.24, 7.5))
    (overshoot,) = summary.overshoots
    assert (overshoot.term, overshoot.t) == ("E_b", 3100) and overshoot.relative == pytest.approx(1.24)
    assert summarised(table[table["k"] > 28], 10).steps == 2


@pytest.mark.parametrize("size", [0.0, float("inf"), float("nan")])
def test_pushes_that_cannot_be_drawn_are_left_out_of_the_lines(workspace: Any, tmp_path: Path, size: float) -> None:
    rows = [{**row, "rms_mean": size, "rms_low": size, "rms_high": size} for row in pushes("E_a")]
    rows = [{name: "" if value != value else value for name, value in row.items()} for row in rows]
    recorded(workspace, ("Guided", "a", rows))
    write_report(workspace.root, tmp_path / "out")
    assert (tmp_path / "out" / "pushes-tiny.png").is_file()
