"""Lists of what is registered, whatever its texts hold and whatever it raises."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.cli.catalogue import detector_rows, methods_json
from nferbench.cli.output import table
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.planning.plugins import load_plugins


@dataclass(frozen=True)
class Raising(FaceDetector):
    """Cannot even say whether it is ready."""

    points = 0
    name: str = field(default="raising", compare=False)
    title: str = field(default="Raising", compare=False)

    def ready(self) -> None:
        raise KeyError("a bug")

    def find(self, pixels: Any) -> tuple[Detection, ...]:
        return ()


def test_a_detector_that_raises_is_listed_with_the_others() -> None:
    plugins = load_plugins(installed=False)
    items = {**plugins.detectors.items, "raising": Raising()}
    rows = detector_rows(replace(plugins, detectors=replace(plugins.detectors, items=items)))
    assert rows[-1] == ("raising", "Raising", "0", "no (KeyError: 'a bug')") and len(rows) == len(items)


def test_texts_of_a_table_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name",), [("[/red]",), ("[bold]x",), ("a\x1b[31mb",)])
    said = capsys.readouterr().out
    assert "[/red]" in said and "[bold]x" in said and "a\\x1b[31mb" in said


def test_the_doctor_names_plugins_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ends_at_once.py").write_text("raise SystemExit(3)\n")
    about = tmp_path / "nferbench_ends-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nferbench-ends\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[nferbench]\nends = ends_at_once\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "plugin ends (nferbench-ends) did not load: SystemExit: 3" in done.output


def test_the_methods_are_listed_with_the_studies_of_the_preset(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(
        "base: quick\nstudies: [{use: sdedit, vary: start_step, values: [7, 9], set: {steps: 4}, name: s}]\n"
    )
    said = CliRunner().invoke(app, ["methods", "--preset", str(preset)])
    assert said.exit_code == 0
    line = " ".join(said.output.splitlines()[-1].split())
    assert line == "s sdedit start_step 7, 9 steps = 4"
    without = CliRunner().invoke(app, ["methods"])
    assert without.output.splitlines()[-1] == "preset paper has no studies; --preset study lists some"


def test_the_json_says_of_each_row_of_a_study_what_it_is(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("base: quick\nstudies: [{use: sdedit, vary: grey_source, values: [true]}]\n")
    listed = {
        row["name"]: row for row in json.loads(methods_json(load_plugins(installed=False), str(preset)))["methods"]
    }
    assert listed["sdedit"]["study"] is None and listed["sdedit"]["tables"] == ["comparison"]
    (study,) = [row for row in listed.values() if row["tables"] == ["study"]]
    assert (study["name"], study["study"]["value"], study["study"]["default"]) == (
        "sdedit-grey_source-true",
        True,
        False,
    )
