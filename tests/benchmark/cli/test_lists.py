"""Lists of what is registered, whatever its texts hold and whatever it raises."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.cli.catalogue import detector_rows, methods_json, plugin_rows
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


def test_rows_are_listed_with_what_they_set_of_their_method(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(
        "base: quick\nrows: [{use: nfer-sde, name: mine, title: A, set: {score: {like: sdedit.score}, steps: 4}}]\n"
    )
    said = CliRunner().invoke(app, ["methods", "--preset", str(preset)])
    words = " ".join(said.output.split())
    assert said.exit_code == 0
    assert "row title method with --methods" in words
    assert "cond+eh Cond + E_h nfer-sde lambda_f = 0 ablation" in words
    assert "sdedit-300 SDEdit, M = 300 sdedit start_step = 300 variants" in words
    assert "mine A nfer-sde score.like = variants sdedit.score, steps = 4" in words
    preset.write_text("base: quick\nrows: [{use: nfer-sde, name: mine, set: {stepps: 4}}]\n")
    refused = CliRunner().invoke(app, ["methods", "--preset", str(preset)])
    assert "did you mean 'steps'?" in str(refused.exception)


def test_the_plugins_are_listed_with_what_they_register_and_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, "given", GIVEN)
    installed(tmp_path, monkeypatch, "gone", "raise SystemExit(3)\n")
    file = tmp_path / "a_file.py"
    file.write_text(GIVEN.replace('"mine"', '"none"').replace("nferbench_translators", "nferbench_datasets"))
    said = CliRunner().invoke(app, ["plugins", "--json", "--plugin", str(file)])
    assert said.exit_code == 0
    listed = {each["plugin"]: each for each in json.loads(said.output)["plugins"]}
    assert listed["given (nferbench-given)"] == {
        "plugin": "given (nferbench-given)",
        "distribution": "nferbench-given",
        "version": "1.5",
        "names": {"nferbench_translators": ["mine"]},
        "loaded": True,
        "left_out": [],
    }
    gone = listed["gone (nferbench-gone)"]
    assert (gone["loaded"], gone["names"], gone["left_out"]) == (False, {}, ["SystemExit: 3"])
    refused = listed[str(file)]
    assert (refused["loaded"], refused["distribution"], refused["names"]) == (True, "", {"nferbench_datasets": []})
    assert "it must return a list of FaceDataset" in refused["left_out"][0]
    assert listed["nferbench_methods.none"]["names"] == {"nferbench_translators": ["none"]}
    assert listed["nferbench_methods.none"]["distribution"] == "nferbench"
    rows = plugin_rows(load_plugins([str(file)]))
    assert ("given (nferbench-given)", "nferbench-given 1.5", "translators", "mine") in rows
    assert (str(file), "-", "datasets", "-") in rows
    said = CliRunner().invoke(app, ["plugins", "--plugin", str(file)])
    assert said.exit_code == 0 and "plugin gone (nferbench-gone) did not load: SystemExit: 3" in said.output


GIVEN = """
from dataclasses import replace
from nferbench import hookimpl
from nferbench_methods.none import WithoutTranslation

@hookimpl
def nferbench_translators():
    return [replace(WithoutTranslation(), name="mine")]
"""


def installed(site: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """Put a plugin where an installed package would be."""
    (site / f"module_{name}.py").write_text(text)
    about = site / f"nferbench_{name}-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: nferbench-{name}\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text(f"[nferbench]\n{name} = module_{name}\n")
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["reprot"], "Did you mean 'report'"),
        (["method"], "Did you mean 'methods'"),
        (["data", "veryfy"], "Did you mean 'verify'?"),
        (["run", "--prest", "quick"], "--preset"),
        (["data", "verify", "cfee", "--data-rot", "x"], "--data-root"),
    ],
)
def test_a_command_or_option_that_there_is_not_is_answered_with_the_nearest(words: list[str], meant: str) -> None:
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 2 and meant in " ".join(said.output.replace("│", " ").split())


def test_what_is_long_in_a_table_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "why"), [("x" * 90, "y" * 90)])
    said = capsys.readouterr().out
    assert said.count("x") == 90 and "…" not in said


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
